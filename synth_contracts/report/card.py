"""The report card: one JSON of facts, and one HTML page drawn from nothing but these facts.

The owner's card has everything. The analyst's card leaves the house with the data, so it holds
rounded numbers, figures of the synthetic table alone, and commitments where the owner's card has
seeds and digests of the source: whoever holds a copy could test guesses about the source by them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from synth_contracts.contract.model import Contract
from synth_contracts.gate import Outcome, Verdict
from synth_contracts.metrics import Comparison
from synth_contracts.metrics.measurement import Evaluation, Measurement
from synth_contracts.report.attacks import attack_rows
from synth_contracts.report.beside import beside_rows
from synth_contracts.report.controls import controls, noun
from synth_contracts.report.figures import figures
from synth_contracts.report.guarantee import in_words, limits_of, withhold, withholds
from synth_contracts.report.limits import limits, not_measured
from synth_contracts.report.meanings import meaning_of
from synth_contracts.report.numbers import finite, plain, rounded, rounded_count
from synth_contracts.report.page import render
from synth_contracts.report.protections import protections
from synth_contracts.report.rules import Audience, rule_rows

SCHEMA = "urn:synth-contracts:report-card:1"
SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Card:
    """A report card. ``digest`` is the SHA-256 (hex) of ``html`` in UTF-8.

    The page prints the digest of ``json_text``, so the one digest binds both files as long as
    ``json_text`` is what is written.
    """

    json: dict[str, Any]
    html: str
    digest: str

    @property
    def json_text(self) -> str:
        """The JSON as it is to be written to a file, the same bytes for the same facts."""
        return json_text(self.json)


def json_text(body: Mapping[str, Any]) -> str:
    """JSON in the order of the facts, indented by two, ASCII, no NaN, no newline at the end."""
    return json.dumps(body, indent=2, allow_nan=False)


def build_card(
    contract: Contract,
    evaluation: Evaluation | None,
    verdict: Verdict,
    *,
    comparison: Comparison | None,
    provenance: Mapping[str, Any],
    attempts: Sequence[Mapping[str, Any]],
    docs_link: str | None,
    audience: Audience,
    protection: Mapping[str, Any] | None = None,
) -> Card:
    """The card of one attempt, whatever its outcome.

    Args:
        contract: the expanded contract.
        evaluation: what was measured; None when it did not come to that.
        verdict: of the gate.
        comparison: the three tables for the figures; None leaves them out and says so.
        provenance: of the run. Read are: ``run_id``, ``at`` (ISO 8601), ``mode``, ``release``
            (defaults to run_id), ``source_rows``, ``source_digest``, ``seed``, ``rows``,
            ``rows_digest``, ``split`` (holdout, entities_train, entities_holdout), ``generator``
            (type and settings), ``versions``, ``timings`` (seconds), ``attempt``,
            ``max_attempts``, ``tries`` (what trying again comes to, a sentence),
            ``source_commitment``, ``seed_commitment``, ``split_commitment``. Other keys are
            ignored, so that nothing reaches the analyst's card by accident.
        attempts: oldest first, this one last: ``run_id``, ``at``, ``outcome``, ``broken``.
        docs_link: address of the Data Docs page, relative to the card; owner only.
        audience: ``owner`` or ``analyst``.
        protection: what the protections touched, as ``Protection.to_json`` gives it, and ``notes``,
            sentences of the generator for the owner; None where
            the candidate was made elsewhere.

    Returns:
        JSON and HTML with the same facts, and the digest of the HTML.
    """
    columns = frozenset(field.name for field in comparison.schema.released) if comparison else ()
    rules = rule_rows(contract, evaluation, verdict, audience, frozenset(columns))
    control = controls(contract, evaluation, audience)
    body = {
        "$schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "audience": audience,
        "table": contract.table,
        "run_id": provenance.get("run_id"),
        "created_at": provenance.get("at"),
        "verdict": _verdict(verdict, rules, provenance, contract),
        "facts": _facts(contract, evaluation, comparison, provenance, audience),
        "rules": rules,
        "attacks": attack_rows(evaluation, audience),
        "beside": beside_rows(evaluation, audience, frozenset(columns)),
        "controls": control,
        "noun": list(noun(contract)),
        "protection": protections(contract, protection, audience),
        "reported": _reported(evaluation, audience),
        "figures": _figures(comparison, audience),
        "provenance": _provenance(contract, evaluation, verdict, provenance, audience),
        "attempts": _attempts(contract, attempts, provenance),
        "not_measured": not_measured(evaluation, audience),
        "limits": [*limits_of(contract), *limits(contract, evaluation, control, audience)],
        "verify": _verify(contract),
        "sign_off": _sign_off(verdict, provenance),
        "docs": docs_link if audience == "owner" else None,
    }
    if withholds(contract, audience):
        body = withhold(body)
    facts = plain(body)
    digest = hashlib.sha256(json_text(facts).encode("utf-8")).hexdigest()
    html = render(facts, digest)
    return Card(facts, html, hashlib.sha256(html.encode("utf-8")).hexdigest())


# The first screen


def _verdict(
    verdict: Verdict,
    rules: Sequence[Mapping[str, Any]],
    provenance: Mapping[str, Any],
    contract: Contract,
) -> dict[str, Any]:
    asked = [row for row in rules if row["state"] != "not asked"]
    named = {
        state: [row["rule"] for row in asked if row["state"] == state]
        for state in ("broken", "close", "warns", "not measured")
    }
    holds = sum(row["state"] in ("holds", "close") for row in asked)
    general = [reason.text for reason in verdict.reasons if reason.metric == "contract"]
    release = provenance.get("release") or provenance.get("run_id")
    return {
        "outcome": verdict.outcome.value,
        "sentence": _sentence(verdict.outcome, named, len(asked), holds, release),
        "general": general,
        "broken": named["broken"],
        "close": named["close"],
        "warns": named["warns"],
        "unmeasured": named["not measured"],
        "rules": len(asked),
        "holds": holds,
        "loosened": list(contract.loosened),
        "warnings": [row["warning"] for row in asked if row["warning"]],
    }


def _sentence(
    outcome: Outcome, named: Mapping[str, Sequence[str]], asked: int, holds: int, release: Any
) -> str:
    if outcome is Outcome.PASSED:
        ending = f"; released as {release}." if release else "."
        if holds == asked:
            return f"Passed these tests: {_all(asked)}{ending}"
        short = asked - holds
        return (
            f"Passed these tests: {holds} of {asked} rules hold, "
            f"{short} that only warn{'s' if short == 1 else ''} did not{ending}"
        )
    if outcome is Outcome.FAILED:
        number = len(named["broken"])
        return (
            f"Do not use. {number} of {asked} rules {_are(number)} broken, so nothing was released."
        )
    number = len(named["not measured"])
    if number:
        return (
            f"Not evaluated: {number} of {asked} rules could not be measured, "
            "so nothing was released."
        )
    return "Not evaluated: the measurements do not answer the contract, so nothing was released."


def _all(number: int) -> str:
    return "the one rule holds" if number == 1 else f"all {number} rules hold"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"


def _facts(
    contract: Contract,
    evaluation: Evaluation | None,
    comparison: Comparison | None,
    provenance: Mapping[str, Any],
    audience: Audience,
) -> dict[str, Any]:
    columns = len(comparison.schema.released) if comparison else len(contract.columns) or None
    train = evaluation.entities_train if evaluation else None
    holdout = evaluation.entities_holdout if evaluation else None
    about = audience == "analyst"
    if about:
        train = None if train is None else rounded_count(train)
        holdout = None if holdout is None else rounded_count(holdout)
    words = contract.description
    return {
        "rows": evaluation.n_synthetic if evaluation else provenance.get("rows"),
        "columns": columns,
        "unit": contract.roles.entity_key or "row",
        "unit_is_row": contract.roles.entity_key is None,
        "entities_train": train,
        "entities_holdout": holdout,
        "about": about,
        "purpose": words.get("purpose"),
        "use": words.get("usage"),
        "limitations": words.get("limitations"),
        "differential_privacy": in_words(contract.generator.guarantee),
        "replayed": _replayed(contract),
        "attempt": provenance.get("attempt"),
        "most_attempts": provenance.get("max_attempts") or contract.export.max_attempts,
    }


def _replayed(contract: Contract) -> bool:
    """Whether the contract lets the real daily totals, with noise, be those of the table."""
    calendar = contract.generator.calendar
    return calendar.enabled and calendar.volume == "replay" and bool(contract.roles.time_index)


def _reported(evaluation: Evaluation | None, audience: Audience) -> list[dict[str, Any]]:
    """Metrics that were measured and printed, with no limit set."""
    rows = []
    for result in (evaluation.reported if evaluation else {}).values():
        if not isinstance(result, Measurement):
            continue
        value, lower, upper = finite(result.value), finite(result.lower), finite(result.upper)
        if audience == "analyst":
            value, lower, upper = rounded(value), rounded(lower), rounded(upper)
        words = meaning_of(result.metric)
        rows.append(
            {
                "metric": result.metric,
                "column": result.column,
                "title": words.title,
                "meaning": words.meaning,
                "value": value,
                "interval": None if lower is None or upper is None else [lower, upper],
            }
        )
    return rows


def _figures(comparison: Comparison | None, audience: Audience) -> dict[str, Any]:
    if comparison is None:
        return {"missing": "no tables were compared in this attempt"}
    return figures(comparison, audience)


# Provenance


def _provenance(
    contract: Contract,
    evaluation: Evaluation | None,
    verdict: Verdict,
    provenance: Mapping[str, Any],
    audience: Audience,
) -> dict[str, Any]:
    given = provenance.get
    split = given("split") or {}
    out: dict[str, Any] = {
        "contract": {
            "id": contract.id,
            "version": contract.version,
            "digest": contract.digest,
            "preset": contract.preset,
            "k": contract.k,
            "loosened": list(contract.loosened),
        },
        "synthetic": {"rows_digest": given("rows_digest") or verdict.rows_digest},
        "holdout_share": split.get("holdout", contract.holdout),
        "generator": dict(given("generator") or {"type": contract.generator.type}),
        "versions": dict(given("versions") or {}),
        "mode": given("mode"),
        "commitments": {
            name: given(f"{name}_commitment")
            for name in ("source", "seed", "split")
            if given(f"{name}_commitment")
        },
    }
    if audience == "owner":
        out["source"] = {
            "name": _source_name(contract),
            "rows": given("source_rows"),
            "digest": given("source_digest"),
            "train_digest": evaluation.train_digest if evaluation else None,
            "holdout_digest": evaluation.holdout_digest if evaluation else None,
        }
        out["seed"] = given("seed", contract.generator.seed)
        out["evaluation_seed"] = str(evaluation.seed) if evaluation else None
        timings = given("timings") or (evaluation.timings if evaluation else {})
        out["timings"] = {
            str(step): round(seconds, 2)
            for step, seconds in ((step, finite(value)) for step, value in timings.items())
            if seconds is not None
        }
        validation = (evaluation.validation if evaluation else None) or {}
        out["validation"] = {
            key: validation[key] for key in ("suite", "run_id") if validation.get(key)
        }
    return out


def _source_name(contract: Contract) -> str | None:
    source = contract.source
    return f"{source.schema}.{source.table}" if source else None


def _attempts(
    contract: Contract, attempts: Sequence[Mapping[str, Any]], provenance: Mapping[str, Any]
) -> dict[str, Any]:
    rows = []
    for place, attempt in enumerate(attempts, start=1):
        broken = attempt.get("broken")
        rows.append(
            {
                "number": attempt.get("number") or attempt.get("attempt") or place,
                "run_id": attempt.get("run_id"),
                "at": attempt.get("at") or attempt.get("created_at"),
                "table": attempt.get("table"),
                "outcome": str(attempt.get("outcome") or ""),
                "broken": [str(item) for item in broken]
                if isinstance(broken, list | tuple)
                else [],
            }
        )
    return {
        "number": provenance.get("attempt") or len(rows) or None,
        "tries": provenance.get("tries"),
        "most": provenance.get("max_attempts") or contract.export.max_attempts,
        "rows": rows,
    }


def _verify(contract: Contract) -> list[dict[str, str]]:
    return [
        {
            "command": "sha256sum -c manifest-sha256.txt",
            "words": "inside an exported bundle: every file is as it was written. "
            "Needs no tool of ours.",
        },
        {
            "command": "synth-contracts verify BUNDLE",
            "words": "the signatures of the bundle, its token and the release it came from, "
            "against the project's public keys.",
        },
        {
            "command": f"synth-contracts verify {contract.table}",
            "words": "in the project: the released rows, recounted, are the rows that were tested.",
        },
    ]


def _sign_off(verdict: Verdict, provenance: Mapping[str, Any]) -> dict[str, Any]:
    decision = {
        Outcome.PASSED: "rules hold, released",
        Outcome.FAILED: "blocked",
        Outcome.NOT_EVALUATED: "not evaluated, blocked",
    }[verdict.outcome]
    return {
        "gate": {"decision": decision, "at": provenance.get("at")},
        "person": None,
    }
