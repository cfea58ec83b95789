"""The expectation suite of a contract: one expectation per rule, nothing else."""

from __future__ import annotations

from typing import Any

from great_expectations import ExpectationSuite

from synth_contracts.contract.model import Contract, Rule
from synth_contracts.errors import NotEvaluatedError
from synth_contracts.expectations.catalog import EXPECTATIONS
from synth_contracts.metrics.words import limit_text, title

#: the name under which the runner binds the tables
REFERENCE = "comparison"


def build_suite(contract: Contract) -> ExpectationSuite:
    """The suite of ``contract``, named like its table.

    Raises:
        NotEvaluatedError: a rule asks for an expectation that does not exist or measures something
            else.
    """
    total = len(contract.rules)
    return ExpectationSuite(
        name=contract.table,
        expectations=[_expectation(rule, total) for rule in contract.rules],
        meta={"contract": {"id": contract.id, "version": contract.version, "rules": total}},
    )


def rule_meta(rule: Rule, total: int) -> dict[str, Any]:
    """What an expectation carries of its rule, so that its result can be read back and shown."""
    return {
        "rule": rule.id,
        "rules": total,
        "metric": rule.metric,
        "column": rule.column,
        "operator": rule.operator,
        "limit": rule.threshold,
        "judged": rule.judged,
        "severity": rule.severity,
        "family": rule.family,
    }


def rule_sentence(rule: Rule) -> str:
    """``ks of amount is at most 0.04``."""
    relation = "is at most" if rule.operator == "<=" else "is at least"
    return f"{title(rule.metric, rule.column)} {relation} {limit_text(rule.threshold)}"


def _expectation(rule: Rule, total: int) -> Any:
    kind = EXPECTATIONS.get(rule.expectation)
    if kind is None or (kind.metric, kind.operator) != (rule.metric, rule.operator):
        raise NotEvaluatedError(
            f"rule {rule.id} asks {rule.expectation}, which does not measure {rule.metric}",
            where=rule.id,
            mend=f"the expectations are: {', '.join(EXPECTATIONS)}",
        )
    unknown = sorted(set(rule.options) - set(kind.option_keys))
    if unknown:
        raise NotEvaluatedError(
            f"rule {rule.id} sets {', '.join(unknown)}, which {rule.expectation} does not take",
            where=rule.id,
            mend=f"it takes: {', '.join(kind.option_keys) or 'its limit alone'}",
        )
    fields: dict[str, Any] = {key: _plain(rule.options.get(key)) for key in kind.option_keys}
    fields["max_value" if rule.operator == "<=" else "min_value"] = rule.threshold
    if rule.column is not None:
        fields["column"] = rule.column
    return kind(
        judged=rule.judged,
        reference={"bound": REFERENCE},
        severity="critical" if rule.severity == "error" else "warning",
        description=rule_sentence(rule),
        meta=rule_meta(rule, total),
        **fields,
    )


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
