"""Presets resolved into rules, the expanded form of a contract, and its digest.

The digest is SHA-256 over canonical JSON (after RFC 8785: sorted keys, no white space, one spelling
of each number) of the expanded form. Comments, formatting, descriptions and the path of a server's
database are not part of it; everything that generates, judges or lets out is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from datetime import date
from typing import Any

import yaml

from synth_contracts.contract.document import is_text
from synth_contracts.contract.model import (
    Calendar,
    Column,
    Contract,
    ExportPolicy,
    GeneratorSpec,
    NotAsked,
    Period,
    Roles,
    Rule,
)
from synth_contracts.contract.rules import (
    DEFAULT_K,
    NEED_IN_WORDS,
    PRESETS_VERSION,
    RULES,
    Limit,
    Need,
    RuleSpec,
    preset_rules,
)

#: Asked of every generator with a guarantee, whatever the preset; nothing disables it.
CLAIM_RULE = "empirical_epsilon"
_NUMERIC = {"integer", "number"}
_NAMED = {"text", "code", "boolean"}
_NOT_GENERATED = {"pii", "direct-identifier"}


def expand_rules(
    preset: str | None,
    k: int,
    missing: Mapping[Need, str],
    explicit: Sequence[Rule],
    disabled: Sequence[str],
    claim: float | None = None,
) -> tuple[tuple[Rule, ...], tuple[NotAsked, ...], tuple[str, ...]]:
    """(rules, not asked, report only) of a preset and a contract's own rules.

    Args:
        preset: its name, or None for no preset.
        k: the contract's k, the limit of k_anonymity.
        missing: what the contract or table does not have, with the words for it.
        explicit: the contract's own rules; one with a preset rule's id overrides that rule.
        disabled: preset rules that the contract takes out.
        claim: the epsilon that the generator claims; an audit must not refute it.
    """
    own = {rule.id: rule for rule in explicit}
    rules: list[Rule] = []
    not_asked: list[NotAsked] = []
    report: list[str] = []
    for rule_id, limit in preset_rules(preset).items():
        spec = RULES[rule_id]
        lacks = next((missing[need] for need in spec.needs if need in missing), None)
        if rule_id in own:
            rules.append(_overridden(own.pop(rule_id), spec, limit, k))
        elif rule_id in disabled:
            not_asked.append(NotAsked(rule_id, "disabled by the contract", disabled=True))
        elif lacks is not None:
            not_asked.append(NotAsked(rule_id, lacks))
        elif limit == "report":
            report.append(rule_id)
        else:
            rules.append(_from_preset(spec, limit, k, preset))
    if claim is not None:
        spec = RULES[CLAIM_RULE]
        if CLAIM_RULE in own:
            rules.append(_overridden(own.pop(CLAIM_RULE), spec, claim, k))
        else:
            rules.append(_from_preset(spec, claim, k, preset))
    return (*rules, *own.values()), tuple(not_asked), tuple(report)


def _from_preset(spec: RuleSpec, limit: Limit, k: int, preset: str | None) -> Rule:
    return Rule(
        id=spec.id,
        metric=spec.id,
        expectation=spec.expectation,
        column=None,
        operator=spec.operator,
        threshold=float(k) if limit == "k" else float(limit),
        judged=spec.judged_under(preset),
        severity="error",
        family=spec.family,
        options=spec.default_options,
        loosened=limit == "k" and k < DEFAULT_K,
    )


def _overridden(rule: Rule, spec: RuleSpec, limit: Limit, k: int) -> Rule:
    if limit == "report":
        return rule
    # the preset's k is the default one: a contract with a k of 2 is weaker than its preset
    wanted = float(max(k, DEFAULT_K)) if limit == "k" else float(limit)
    weaker = rule.threshold > wanted if rule.operator == "<=" else rule.threshold < wanted
    looser = weaker or rule.severity == "warning" or _narrower(rule, spec)
    return replace(rule, loosened=looser)


def _narrower(rule: Rule, spec: RuleSpec) -> bool:
    """Whether a rule looks at something else, or at less, than the preset's."""
    default = spec.default_options
    given = dict(rule.options)
    lags, all_lags = set(given.pop("lags", ())), set(default.pop("lags", ()))
    return given != default or not all_lags <= lags


def missing_needs(
    roles: Roles, columns: Sequence[Column], kinds: Mapping[str, str] | None
) -> dict[Need, str]:
    """What a table cannot be asked, with the words for it.

    ``kinds`` are the values of ``tables.Kind`` by column; None while the source is not known, and
    then only what the contract itself rules out is missing.
    """
    found: dict[Need, str] = {}

    def lacks(need: Need) -> None:
        found[need] = NEED_IN_WORDS[need]

    if roles.entity_key is None:
        lacks("entityKey")
    if not roles.quasi_identifiers:
        lacks("quasiIdentifiers")
    if not roles.sensitive:
        lacks("sensitive")
    known = {name.casefold(): kind for name, kind in (kinds or {}).items()}
    if roles.time_index is None:
        lacks("timeIndex")
    else:
        folded = roles.time_index.casefold()
        declared = next((c.logical_type for c in columns if c.name.casefold() == folded), None)
        if known.get(folded, declared) == "date":
            lacks("hours")
    if kinds is not None:
        aside = not_compared(roles, columns)
        if not any(kind in _NUMERIC and name not in aside for name, kind in known.items()):
            lacks("numeric")
        if not any(kind in _NAMED and name not in aside for name, kind in known.items()):
            lacks("categories")
    return found


def not_compared(roles: Roles, columns: Sequence[Column]) -> dict[str, str]:
    """Casefolded names of columns whose values no metric compares, with the reason."""
    found = {name.casefold(): "which is excluded" for name in roles.exclude}
    for column in columns:
        if _NOT_GENERATED & set(column.tags):
            found[column.name.casefold()] = "which is tagged a direct identifier"
        if column.primary_key:
            found[column.name.casefold()] = "a key that is made afresh"
    if roles.entity_key:
        found[roles.entity_key.casefold()] = "a key that is made afresh"
    return found


def settle(contract: Contract, kinds: Mapping[str, str]) -> Contract:
    """The contract once its columns' kinds are known (values of ``tables.Kind``, by column).

    Rules of the preset that the table cannot be asked become "not asked"; expanded form and
    digest follow. The same contract and kinds always give the same digest, and settling twice
    changes nothing.
    """
    rules, not_asked, report = expand_rules(
        contract.preset,
        contract.k,
        missing_needs(contract.roles, contract.columns, kinds),
        [rule for rule in contract.rules if rule.origin == "contract"],
        [item.id for item in contract.not_asked if item.disabled],
        contract.generator.claim,
    )
    text_only = tuple(item for item in contract.not_asked if item.reason == "text only")
    return with_digest(
        replace(contract, rules=rules, not_asked=(*not_asked, *text_only), report_only=report)
    )


def with_digest(contract: Contract) -> Contract:
    """The contract with its expanded form and digest computed anew."""
    expanded = expand(contract)
    return replace(contract, expanded=expanded, digest=digest_of(expanded))


def expand(contract: Contract) -> dict[str, Any]:
    """The expanded form: presets resolved, defaults filled in, keys spelled as in the file."""
    source = contract.source
    generator = contract.generator
    export = contract.export
    return {
        "format": "synth-contracts/expanded/v1",
        "presetsVersion": PRESETS_VERSION,
        "id": contract.id,
        "version": contract.version,
        "table": contract.table,
        "source": None
        if source is None
        else {
            "server": source.server,
            "type": source.type,
            "schema": source.schema,
            "table": source.table,
        },
        "columns": [_column(column) for column in contract.columns],
        "synthetic": {
            "preset": contract.preset,
            "k": contract.k,
            "codes": list(contract.codes),
            "roles": _camel(asdict(contract.roles)),
            "split": {"holdout": contract.holdout},
            "blindAbove": contract.blind_above,
            "constraints": [{"id": item.id, "check": item.check} for item in contract.constraints],
            "generator": {
                "type": generator.type,
                "rows": _rows(generator) if generator.rows is None else generator.rows,
                "fitRows": generator.fit_rows,
                "seed": generator.seed,
                # nothing where none is kept: the digest of a contract without it is what it was
                **({"saveModel": True} if generator.save_model else {}),
                "calendar": _calendar(generator.calendar),
                **_period(generator.period),
                "outliers": _camel(asdict(generator.outliers), keep={"other_value"}),
                "parameters": {n: _plain(value) for n, value in generator.parameters.items()},
                **({"dp": generator.guarantee.expanded()} if generator.guarantee else {}),
                **_plugin(generator.plugin),
            },
        },
        "rules": [_camel(asdict(rule), keep={"options"}) for rule in contract.rules],
        "notAsked": [asdict(item) for item in contract.not_asked],
        "reportOnly": list(contract.report_only),
        "export": _export(export),
        **({"retention": contract.retention.expanded()} if contract.retention else {}),
    }


def _export(policy: ExportPolicy) -> dict[str, Any]:
    """Nothing of a fingerprint where there is none: the digest without one is what it was."""
    said = _camel(asdict(policy))
    if not policy.fingerprint:
        del said["fingerprint"]
    return said


def _rows(generator: GeneratorSpec) -> str:
    return "noisy" if generator.guarantee else "source"


def _plugin(plugin: tuple[str, str] | None) -> dict[str, Any]:
    return {"plugin": {"distribution": plugin[0], "version": plugin[1]}} if plugin else {}


def _calendar(calendar: Calendar) -> dict[str, Any] | bool:
    if not calendar.enabled:
        return False
    found: dict[str, Any] = {"holidays": calendar.holidays, "volume": calendar.volume}
    if calendar.volume == "replay":
        found["volumeNoise"] = calendar.volume_noise
    return found


def _period(period: Period | None) -> dict[str, Any]:
    """Nothing where there is none: the digest of a contract without one is what it was."""
    if period is None:
        return {}
    said = {"start": period.start, "end": period.end, "days": period.days}
    return {
        "period": {
            key: value.isoformat() if isinstance(value, date) else value
            for key, value in said.items()
            if value is not None
        }
    }


def _column(column: Column) -> dict[str, Any]:
    said = _camel(asdict(column)).items()
    # by identity: a minimum of 0 equals False
    return {k: v for k, v in said if v is not None and v is not False and v != []}


def _camel(
    record: Mapping[str, Any], keep: frozenset[str] | set[str] = frozenset()
) -> dict[str, Any]:
    """Keys in camel case, tuples as lists; the values under ``keep`` hold the reader's own keys."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        head, *tail = key.split("_")
        name = head + "".join(part.title() for part in tail)
        found[name] = dict(value) if key in keep else _plain(value)
    return found


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, tuple | list) else value


def canonical_json(value: Any) -> bytes:
    """Canonical JSON in UTF-8. Raises ValueError for NaN and infinities."""
    return json.dumps(
        _numbers(value), sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def _numbers(value: Any) -> Any:
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return int(value)  # 1.0 and 1, -0.0 and 0 are one number
    if isinstance(value, Mapping):
        return {key: _numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_numbers(item) for item in value]
    return value


def digest_of(expanded: Mapping[str, Any]) -> str:
    """Hex SHA-256 of the canonical JSON of an expanded contract."""
    return hashlib.sha256(canonical_json(expanded)).hexdigest()


class _Dumper(yaml.SafeDumper):  # type: ignore[misc] # PyYAML has no types
    """Quotes text that YAML 1.2 would read as something else (``1e3``), whatever 1.1 thinks."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = None if is_text(text) else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)


def show_expanded(contract: Contract) -> str:
    """The expanded form as YAML, under a comment with its digest and what is loosened."""
    head = [f"# expanded contract of {contract.table}, sha256 {contract.digest}"]
    if contract.loosened:
        head.append(f"# LOOSENED against the preset: {', '.join(contract.loosened)}")
    body = yaml.dump(
        dict(contract.expanded), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )
    return "\n".join(head) + "\n" + str(body)
