"""The JSON schema of a contract: ODCS v3.2.0 with this package's vendor sections typed in.

``schema/odcs-synth-v3.2.0.json`` is ``build_schema`` of the standard's own schema, committed and
shipped, so that editors complete and check contracts offline.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import deepcopy
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from synth_contracts.contract.sections import export_section, synthetic_section

VENDOR = "synth-contracts"
SCHEMA_FILE = "odcs-synth-v3.2.0.json"


def build_schema(odcs: Mapping[str, Any]) -> dict[str, Any]:
    """The ODCS schema with the vendor sections typed in, by if/then on property and vendor.

    Args:
        odcs: the standard's JSON schema, v3.2.0. It is not changed.

    One fault of the standard's schema is mended: its conditions on ``logicalType`` hold also where
    there is no logicalType, so that a property without one is asked for a ``map``.
    """
    schema = deepcopy(dict(odcs))
    definitions = schema["$defs"]
    schema["$comment"] = (
        "Open Data Contract Standard v3.2.0 (Bitol, Linux Foundation; Apache-2.0) with the vendor "
        "sections of synth-contracts. Built by synth_contracts/contract/jsonschema.py."
    )
    schema["title"] = "Open Data Contract Standard (ODCS) with synth-contracts sections"
    for branch in definitions["SchemaBaseProperty"]["allOf"]:
        if "if" in branch:
            branch["if"]["required"] = ["logicalType"]
    definitions["SynthSynthetic"] = synthetic_section()
    definitions["SynthExport"] = export_section()
    definitions["CustomProperty"]["allOf"] = [
        {
            # v3.1 documents have no vendor, and then the property's name decides
            "if": {
                "properties": {"property": {"const": name}, "vendor": {"const": VENDOR}},
                "required": ["property"],
            },
            "then": {"properties": {"value": {"$ref": f"#/$defs/{definition}"}}},
        }
        for name, definition in (("synthetic", "SynthSynthetic"), ("export", "SynthExport"))
    ]
    return schema


@cache
def load_schema() -> dict[str, Any]:
    """The shipped schema. Do not change what is returned."""
    text = files("synth_contracts.contract").joinpath("schema", SCHEMA_FILE).read_text("utf-8")
    found: dict[str, Any] = json.loads(text)
    return found


def write_schema(odcs_file: Path) -> None:
    """Write the shipped schema from the file of the standard's own."""
    odcs = json.loads(odcs_file.read_text("utf-8"))
    target = Path(__file__).parent / "schema" / SCHEMA_FILE
    target.write_text(as_text(build_schema(odcs)), encoding="utf-8")


def as_text(schema: Mapping[str, Any]) -> str:
    """The schema as it is committed."""
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"
