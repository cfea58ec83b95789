"""Linting: every problem of every file, and warnings about contracts that are valid but weak."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synth_contracts.contract.loading import load_files
from synth_contracts.contract.model import Contract
from synth_contracts.contract.rules import DEFAULT_K
from synth_contracts.errors import Problem

#: Limits below what fresh real entities read on real tables: not even real data would pass.
#: From benchmarks over seven tables split in thirds by entity.
_NULLS = {"membership_inference": 0.13, "nearest_neighbor_distance": 0.52}
_SEES_COPIES = {"identical_match", "recognized_entities"}


@dataclass(frozen=True)
class LintReport:
    """Contracts that are valid, problems that make others invalid, and warnings."""

    contracts: tuple[Contract, ...]
    problems: tuple[Problem, ...]
    warnings: tuple[Problem, ...]


def lint(paths: Sequence[str | Path]) -> LintReport:
    """Check every file of ``paths``; nothing is raised for what a file holds."""
    loaded = load_files(paths)
    contracts = tuple(one.contract for one in loaded if one.contract is not None)
    warnings = [warning for one in loaded for warning in one.warnings]
    warnings += [warning for contract in contracts for warning in weaknesses(contract)]
    return LintReport(
        contracts=contracts,
        problems=tuple(problem for one in loaded for problem in one.problems),
        warnings=tuple(warnings),
    )


def weaknesses(contract: Contract) -> list[Problem]:
    """Warnings about a valid contract."""
    where = f"{contract.path}:1:1"
    found = [
        Problem(where, f"LOOSENED: {rule_id} is weaker than the preset {contract.preset} asks")
        for rule_id in contract.loosened
    ]
    if contract.k < DEFAULT_K:
        found.append(Problem(where, f"k is {contract.k}, below the customary {DEFAULT_K}"))
    gating = {r.metric for r in contract.rules if r.family == "privacy" and r.severity == "error"}
    if "nearest_neighbor_distance" in gating and not gating & _SEES_COPIES:
        found.append(
            Problem(
                where,
                "copies are gated by nearest_neighbor_distance, a similarity and no attack",
                "keep identical_match or recognized_entities beside it",
            )
        )
    for rule in contract.rules:
        null = _NULLS.get(rule.metric)
        if null is not None and rule.operator == "<=" and rule.threshold < null:
            found.append(
                Problem(
                    where,
                    f"{rule.id} <= {rule.threshold:g} is tighter than what fresh real rows read "
                    f"(up to {null:g})",
                    "expect honest generators to be blocked",
                )
            )
    if contract.source is None:
        found.append(
            Problem(where, "no `servers`: `build` cannot read a source", "name a duckdb server")
        )
    return found
