"""The expanded form, its digest, the JSON schema, and the docs."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import re
from pathlib import Path

import open_data_contract_standard
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft201909Validator

from synth_contracts.contract import canonical_json, load_contract, show_expanded
from synth_contracts.contract.checking import _validator
from synth_contracts.contract.document import Problems, parse
from synth_contracts.contract.expand import digest_of
from synth_contracts.contract.generators import GENERATORS
from synth_contracts.contract.jsonschema import SCHEMA_FILE, as_text, build_schema, load_schema
from synth_contracts.contract.rules import RULES
from synth_contracts.contract.sections import export_section, synthetic_section

ROOT = Path(__file__).resolve().parents[2]
ODCS = Path(open_data_contract_standard.__file__).with_name("schema.json")


def test_the_digest_is_of_the_expanded_form(demo_path):
    contract = load_contract(demo_path)
    canonical = canonical_json(contract.expanded)
    assert contract.digest == hashlib.sha256(canonical).hexdigest()
    assert b": " not in canonical.replace(b'": ', b"")
    assert json.loads(canonical)["rules"][0]["threshold"] == 0.25


def test_formatting_comments_and_database_do_not_change_the_digest(bend, bent, demo_path, tmp_path):
    digest = load_contract(demo_path).digest
    assert bent(("k: 10", "k:   10 # the customary k")).digest == digest
    assert bent(("${SYNTH_SOURCE}", "/elsewhere/prod.duckdb")).digest == digest
    assert bent(("seed: 7", "entity: true\n            seed: 7")).digest == digest
    assert bent(("tokenTtl: 15m", "tokenTtl: 900")).digest == digest
    data = yaml.safe_load(demo_path.read_text())
    path = tmp_path / "sorted.odcs.yaml"
    path.write_text(json.dumps(data, sort_keys=True))
    assert load_contract(path).digest == digest


@pytest.mark.parametrize(
    "pair",
    [
        ("k: 10", "k: 11"),
        ("preset: standard", "preset: strict"),
        ("seed: 7", "seed: 8"),
        ("holdout: 0.3", "holdout: 0.31"),
        ("holidays: US", "holidays: GB"),
        ("reject: true", "reject: false"),
        ("{store_id: 0}", "{store_id: -1}"),
        ("sensitive: [amount,", "exclude: [n_items]\n            sensitive: [amount,"),
        ("{minimum: 0}", "{minimum: 1}"),
        ("{minimum: 0}", "{exclusiveMinimum: 0}"),
        ("tokenTtl: 15m", "tokenTtl: 16m"),
        ("maxRows: 1000000", "maxRows: 1000001"),
        ("schema: raw", "schema: raw2"),
        ("physicalName: transactions", "physicalName: baskets"),
        ("version: 1.0.0", "version: 1.0.1"),
        ("required: true, unique: true", "required: true"),
        ("rows: source", "rows: 1000"),
    ],
)
def test_whatever_generates_judges_or_lets_out_changes_the_digest(pair, bent, demo_path):
    assert bent(pair).digest != load_contract(demo_path).digest


def test_show_expanded_is_yaml_of_the_expanded_form(demo_path, bent):
    contract = bent(("k: 10", "k: 3"), ("version: 1.0.0", 'version: "1e3"'))
    text = show_expanded(contract)
    assert contract.digest in text
    assert "LOOSENED against the preset: k_anonymity" in text
    problems = Problems(Path("expanded"))
    assert parse(text, problems) == contract.expanded
    assert not problems


def test_canonical_json_spells_a_number_once():
    assert canonical_json({"b": 1.0, "a": [-0.0, 0.1, 1e-7, True, None, "é"]}) == (
        '{"a":[0,0.1,1e-07,true,null,"é"],"b":1}'.encode()
    )
    for bad in (math.nan, math.inf):
        with pytest.raises(ValueError, match="Out of range"):
            canonical_json({"a": bad})


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
    )
)  # fmt: skip
@settings(max_examples=50, deadline=None)
def test_canonical_json_is_stable(value):
    again = json.loads(canonical_json(value))
    assert digest_of(again) == digest_of(value)


def test_the_committed_schema_is_the_built_one():
    odcs = json.loads(ODCS.read_text("utf-8"))
    before = copy.deepcopy(odcs)
    committed = ROOT / "synth_contracts" / "contract" / "schema" / SCHEMA_FILE
    assert as_text(build_schema(odcs)) == committed.read_text("utf-8")
    assert odcs == before
    Draft201909Validator.check_schema(load_schema())


def test_the_shipped_schema_types_the_vendor_sections(demo_path):
    data = yaml.safe_load(demo_path.read_text())
    stock = Draft201909Validator(load_schema())
    public = Draft201909Validator(json.loads(ODCS.read_text("utf-8")))
    assert stock.is_valid(data)
    assert public.is_valid(data)
    section = data["schema"][0]["customProperties"][0]
    section["value"]["prest"] = "standard"
    assert not stock.is_valid(data)
    assert public.is_valid(data)
    section["vendor"] = "acme"
    assert stock.is_valid(data)


KEYS = ["name", "logicalType", "type", "metric", "mustBe", "query", "server", "value", "vendor", "x", "map",
        "property", "database", "required", "quality", "engine", "items", "relationships", "enum"]  # fmt: skip
VALUES = st.sampled_from(
    [
        None,
        1,
        "x",
        [],
        {},
        "array",
        "map",
        "sql",
        "custom",
        "library",
        "rowCount",
        "kafka",
        [{}],
        {"value": 1},
    ]
)


@settings(max_examples=40, deadline=None)
@given(edits=st.lists(st.tuples(st.integers(0, 10**6), st.sampled_from(KEYS), VALUES), max_size=3))
def test_the_fast_keywords_agree_with_jsonschema(edits):
    """Whatever is bent, our validator and jsonschema's own find the same document valid."""
    data = yaml.safe_load((ROOT / "tests/contract/examples/transactions.odcs.yaml").read_text())
    maps: list[dict] = []

    def walk(node):
        if isinstance(node, dict):
            maps.append(node)
        for child in (
            node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        ):
            walk(child)

    walk(data)
    for at, key, value in edits:
        maps[at % len(maps)][key] = copy.deepcopy(value)
    assert _validator().is_valid(data) == Draft201909Validator(load_schema()).is_valid(data)


def keys_of(section: dict) -> set[str]:
    found = set()
    for name, value in section.get("properties", {}).items():
        found |= {name} | keys_of(value)
    return found


def test_the_docs_name_every_key_parameter_and_rule():
    text = (ROOT / "docs" / "contract.md").read_text("utf-8")
    named = set(re.findall(r"`([A-Za-z0-9_.]+)`", text))
    spoken = named | {part for name in named for part in name.split(".")}
    keys = keys_of(synthetic_section()) | keys_of(export_section())
    parameters = {name for spec in GENERATORS.values() for name in spec.parameters}
    kwargs = {name for spec in RULES.values() for name in spec.options}
    wanted = keys | parameters | set(GENERATORS) | kwargs | set(RULES)
    assert wanted - spoken == set()


def test_the_docs_tables_name_no_key_that_does_not_exist():
    text = (ROOT / "docs" / "contract.md").read_text("utf-8")
    part = text.split("## The `synthetic` section")[1].split("## Rules")[0]
    rows = re.findall(r"^\| `([A-Za-z0-9_.]+)` \|", part, flags=re.M)
    keys = keys_of(synthetic_section()) | keys_of(export_section())
    parameters = {name for spec in GENERATORS.values() for name in spec.parameters}
    assert rows
    assert {row.split(".")[-1] for row in rows} <= keys | parameters


def test_the_docs_limits_are_those_of_the_presets():
    text = (ROOT / "docs" / "contract.md").read_text("utf-8")
    for spec in RULES.values():
        row = re.search(rf"^\| `{spec.id}` \|(.+)\|$", text, flags=re.M)
        assert row, spec.id
        cells = [cell.strip() for cell in row[1].split("|")]
        wanted = [
            "–" if preset not in spec.limits else str(spec.limits[preset]).removesuffix(".0")
            for preset in ("strict", "standard", "exploratory")
        ]
        assert cells[2:5] == wanted, spec.id
