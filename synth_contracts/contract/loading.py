"""Loading contracts: all faults of all files at once, each with its file:line:col.

A file is read (document), held against the schema (checking), read for its meaning (columns,
synthetic, policy, quality, servers) and expanded (expand). Faulty parts are taken out after the
schema, so that later steps still find the faults of the sound ones.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth_contracts.contract.checking import check
from synth_contracts.contract.columns import check_releasable, plain_name, read_columns
from synth_contracts.contract.document import (
    Map,
    Place,
    Problems,
    locate,
    parse,
    read_text,
    suggest,
)
from synth_contracts.contract.expand import expand_rules, missing_needs, not_compared, with_digest
from synth_contracts.contract.jsonschema import VENDOR
from synth_contracts.contract.model import Column, Contract, ExportPolicy
from synth_contracts.contract.policy import read_policy
from synth_contracts.contract.quality import Quality, check_columns, read_quality
from synth_contracts.contract.retention import read_retention
from synth_contracts.contract.rules import NEED_IN_WORDS, RULES
from synth_contracts.contract.servers import read_source_ref
from synth_contracts.contract.synthetic import Synthetic, read_synthetic
from synth_contracts.errors import ContractError, Problem

TABLE_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_SECTIONS = ("synthetic", "export")


@dataclass(frozen=True)
class Loaded:
    """What became of one file. ``contract`` is None when there are problems."""

    path: Path
    contract: Contract | None
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def load_contract(path: str | Path) -> Contract:
    """The contract in the file ``path``, validated and expanded.

    Environment variables need not be set: they are filled in when the source is read.

    Raises:
        ContractError: the file cannot be read or is invalid; carries all its problems.
    """
    return load_contracts([path])[0]


def load_contracts(paths: Sequence[str | Path]) -> tuple[Contract, ...]:
    """The contracts in ``paths``, in that order.

    Raises:
        ContractError: any file is invalid, or two release the same table; all problems of all
            files.
    """
    loaded = load_files(paths)
    problems = [problem for one in loaded for problem in one.problems]
    if problems:
        raise ContractError(problems)
    return tuple(one.contract for one in loaded if one.contract is not None)


def load_files(paths: Sequence[str | Path]) -> tuple[Loaded, ...]:
    """Every file with its contract or its problems; never raises for what a file holds."""
    seen: dict[str, Path] = {}
    return tuple(_load(Path(path), seen) for path in paths)


def _load(path: Path, seen: dict[str, Path]) -> Loaded:
    problems = Problems(path)
    contract = _read(path, seen, problems)
    if problems:
        contract = None
    return Loaded(path, contract, tuple(problems.found), tuple(problems.warnings))


def _read(path: Path, seen: dict[str, Path], problems: Problems) -> Contract | None:
    text = read_text(path, problems)
    root = None if text is None else parse(text, problems)
    if text is None or root is None:
        return None
    check(root, problems)
    table = _table(root, problems)
    name = None if table is None else _table_name(table, seen, path, problems)
    for key in ("id", "version"):
        if isinstance(root.get(key), str) and not plain_name(root[key]):
            problems.add(root.values_at[key], f"`{key}` is empty or holds control characters")
    policy = _policy(root, problems)
    if table is None:
        return None
    columns = read_columns(table.get("properties") or [], problems)
    section = _section(table, "synthetic", "schema[0].customProperties", problems)
    if section is None and not problems:
        problems.add(
            table.at,
            "the table has no `synthetic` section",
            "give schema[0].customProperties an item {property: synthetic, "
            "vendor: synth-contracts, value: {preset: standard}}",
        )
    synthetic = read_synthetic(section or Map(), columns, problems)
    quality = read_quality(table, columns, synthetic.preset, problems)
    source = read_source_ref(root, table, name or "", problems)
    retention = read_retention(root, table, problems)
    _check_meaning(table, columns, synthetic, quality, problems)
    rules, not_asked, report_only = expand_rules(
        synthetic.preset,
        synthetic.k,
        missing_needs(synthetic.roles, columns, None),
        quality.rules,
        synthetic.disabled,
        synthetic.generator.claim,
    )
    if not problems:
        _check_privacy(rules, section or table, problems)
    if problems or name is None:
        return None
    description = root.get("description") or {}
    return with_digest(
        Contract(
            path=path,
            text=text,
            id=root["id"],
            table=name,
            version=root["version"],
            description={k: v for k, v in description.items() if isinstance(v, str)},
            source=source,
            columns=columns,
            preset=synthetic.preset,
            k=synthetic.k,
            roles=synthetic.roles,
            codes=synthetic.codes,
            holdout=synthetic.holdout,
            generator=synthetic.generator,
            rules=rules,
            not_asked=(*not_asked, *quality.text_only),
            report_only=report_only,
            export=policy,
            expanded={},
            digest="",
            blind_above=synthetic.blind_above,
            constraints=synthetic.constraints,
            retention=retention,
        )
    )


def _table(root: Map, problems: Problems) -> Map | None:
    tables = root.get("schema") or ()
    if len(tables) > 1:
        problems.add(
            locate(root, ["schema", 1]),
            f"the contract holds {len(tables)} tables",
            "one contract, one table: write a file for each",
        )
    if not tables:
        if not problems:
            problems.add(root.at, "the contract has no `schema`: no table is named")
        return None
    table = tables[0]
    return table if isinstance(table, Map) else None


def _table_name(table: Map, seen: dict[str, Path], path: Path, problems: Problems) -> str | None:
    name = table.get("name")
    if name is None:
        return None
    at = table.values_at["name"]
    if not TABLE_NAME.fullmatch(name):
        problems.add(
            at,
            f"`{name[:80]}` cannot name a released table",
            "use a-z, 0-9 and _, a letter first, at most 63 characters; the source's own name goes "
            "into physicalName",
        )
        return None
    if name in seen:
        problems.add(at, f"the table `{name}` is released by {seen[name]} already")
    seen.setdefault(name, path)
    return str(name)


def _section(holder: Map, name: str, home: str, problems: Problems) -> Map | None:
    """The vendor section ``name`` of ``holder``; faults of placing and naming are recorded."""
    found: Map | None = None
    for item in holder.get("customProperties") or ():
        word = item.get("property")
        if word is None or not _ours(item, problems):
            continue
        at = item.values_at["property"]
        if word not in _SECTIONS:
            problems.add(at, f"unknown section `{word[:80]}`", suggest(word, _SECTIONS))
        elif word != name:
            home_of = "the top level" if word == "export" else "schema[0].customProperties"
            problems.add(at, f"`{word}` stands in {home}", f"move it to {home_of}")
        elif found is not None:
            problems.add(at, f"a second `{name}` section", f"see line {found.at[0]}")
        elif isinstance(item.get("value"), Map):
            found = item["value"]

    return found


def _ours(item: Map, problems: Problems) -> bool:
    """Whether a custom property is meant for this package; v3.1 has no vendor."""
    word, vendor = item["property"], item.get("vendor")
    if vendor is None:
        return word in _SECTIONS
    if vendor != VENDOR and word in _SECTIONS:
        mend = suggest(vendor, [VENDOR])
        if mend.startswith("did you mean"):
            problems.add(item.values_at["vendor"], f"unknown vendor `{vendor[:80]}`", mend)
    return bool(vendor == VENDOR)


def _policy(root: Map, problems: Problems) -> ExportPolicy:
    section = _section(root, "export", "the top level", problems)
    if section is None:
        return ExportPolicy()
    roles = [role["role"] for role in root.get("roles") or () if isinstance(role.get("role"), str)]
    return read_policy(section, roles, problems)


def _check_meaning(
    table: Map,
    columns: tuple[Column, ...],
    synthetic: Synthetic,
    quality: Quality,
    problems: Problems,
) -> None:
    """What only holds or fails across sections."""
    roles = synthetic.roles
    properties: list[Any] = table.get("properties") or []
    check_releasable(columns, {n.casefold() for n in roles.exclude}, properties, problems)
    check_columns(quality, columns, not_compared(roles, columns), synthetic.codes, problems)
    missing = missing_needs(roles, columns, None)
    for rule in quality.rules:
        lacks = [need for need in RULES[rule.metric].needs if need in missing]
        if lacks and rule.id:
            problems.add(
                quality.places[rule.id],
                f"the rule `{rule.id}` cannot be asked: {NEED_IN_WORDS[lacks[0]]}",
                "name the role in the synthetic section",
            )
        if rule.id in synthetic.disabled:
            at: Place = quality.places[rule.id]
            problems.add(at, f"the rule `{rule.id}` is both written here and disabled")


def _check_privacy(rules: Sequence[Any], section: Map, problems: Problems) -> None:
    if any(r.metric == "membership_inference" and r.severity == "error" for r in rules):
        return
    kind = "no privacy rule of severity error"
    if any(r.family == "privacy" and r.severity == "error" for r in rules):
        kind = "no rule of membership_inference with severity error"
    problems.add(
        section.at,
        f"the contract ends up with {kind}",
        "name a preset (`preset: standard`), or write the rule membership_inference",
    )
