"""The rules that exist, as data: ids, limits of the presets, what is judged, what they need.

contract/ may import no registry of metrics, expectations or generators, so their names stand here
and a test holds them equal. A preset never expands to a rule that is not in this table.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from synth_contracts.contract.model import Family, Judged

#: Counts up whenever a limit or a preset changes, and is part of every contract's digest.
PRESETS_VERSION = 3
PRESETS = ("strict", "standard", "exploratory")
DEFAULT_K = 10

Need = Literal[
    "entityKey", "quasiIdentifiers", "sensitive", "timeIndex", "hours", "numeric", "categories"
]
#: "k" stands for the contract's k; "report" is measured and printed, not judged.
Limit = float | Literal["k", "report"]

#: Why a rule is not asked, in the words of the report card.
NEED_IN_WORDS: Mapping[Need, str] = {
    "entityKey": "no entity key",
    "quasiIdentifiers": "no quasi-identifiers",
    "sensitive": "no sensitive column",
    "timeIndex": "no time index",
    "hours": "the time index has no hours",
    "numeric": "no numeric column",
    "categories": "no column of categories",
}


@dataclass(frozen=True)
class OptionSpec:
    """A keyword argument of an expectation besides its limit.

    ``default`` is what an absent option means; None for an option that may stay away. A "count" is
    a whole number in ``[least, most]``, "columns" a list of names of columns.
    """

    kind: Literal["choice", "column", "columns", "lags", "count"]
    default: Any = None
    choices: tuple[str, ...] = ()
    least: int = 1
    most: int = 1


@dataclass(frozen=True)
class RuleSpec:
    """One metric's rule. A limit lies in ``[lowest, below)``: outside it none can break it.

    ``judged`` is the number that is judged, ``strict_judged`` under the preset ``strict``; a
    contract cannot change either. A rule of scope "either" is asked of the table (its worst column)
    or of one column; ``about`` is what a column must hold.
    """

    id: str
    family: Family
    operator: Literal["<=", ">="]
    limits: Mapping[str, Limit]
    judged: Judged = "value"
    strict_judged: Judged | None = None
    scope: Literal["table", "column", "either"] = "table"
    about: Literal["numbers", "categories"] = "numbers"
    needs: tuple[Need, ...] = ()
    options: Mapping[str, OptionSpec] = field(default_factory=dict)
    lowest: float = 0.0
    below: float = 1.0

    @property
    def expectation(self) -> str:
        """The Great Expectations type that presets ask, ``expect_table_<id>_to_be_at_most``."""
        return self.expectations[0]

    @property
    def expectations(self) -> tuple[str, ...]:
        """All its Great Expectations types: of the table, of a column, or of both."""
        end = "most" if self.operator == "<=" else "least"
        scopes = ("table", "column") if self.scope == "either" else (self.scope,)
        return tuple(f"expect_{scope}_{self.id}_to_be_at_{end}" for scope in scopes)

    @property
    def limit_kwarg(self) -> str:
        """``max_value`` or ``min_value``."""
        return "max_value" if self.operator == "<=" else "min_value"

    def judged_under(self, preset: str | None) -> Judged:
        """The number that is judged under ``preset``."""
        return self.strict_judged if preset == "strict" and self.strict_judged else self.judged

    @property
    def default_options(self) -> dict[str, Any]:
        """The options that a rule has when the contract says nothing."""
        return {k: spec.default for k, spec in self.options.items() if spec.default is not None}


def _presets(strict: Limit, standard: Limit, exploratory: Limit | None) -> dict[str, Limit]:
    found: dict[str, Limit] = {"strict": strict, "standard": standard}
    return found if exploratory is None else {**found, "exploratory": exploratory}


_SERIES_OPTIONS = {
    "aggregate": OptionSpec("choice", "count", ("count", "sum")),
    "column": OptionSpec("column"),
    "frequency": OptionSpec("choice", "day", ("day", "hour")),
}
_LAGS = {"lags": OptionSpec("lags", list(range(1, 29)))}
_HORIZON = {"horizon": OptionSpec("count", 28, least=1, most=366)}
#: An attacker's guesses and what he knows; without ``aux_columns`` he knows the quasi-identifiers.
_ATTACK_OPTIONS = {
    "attacks": OptionSpec("count", 2000, least=100, most=100_000),
    "aux_columns": OptionSpec("columns"),
}
_CANARIES = {"canaries": OptionSpec("count", 2000, least=100, most=1_000_000)}

RULES: Mapping[str, RuleSpec] = {
    spec.id: spec
    for spec in (
        RuleSpec("membership_inference", "privacy", "<=", _presets(0.30, 0.25, 0.30),
                 strict_judged="bound"),
        RuleSpec("recognized_entities", "privacy", "<=", _presets(0.0, 5.0, 20.0),
                 judged="lower", below=200.0),
        RuleSpec("entity_membership_inference", "privacy", "<=", _presets(0.35, 0.40, 0.50),
                 needs=("entityKey",)),
        RuleSpec("outlier_membership_inference", "privacy", "<=", _presets(0.25, 0.25, "report")),
        RuleSpec("identical_match", "privacy", "<=", _presets(0.005, 0.005, 0.005),
                 judged="lower"),
        RuleSpec("nearest_neighbor_distance", "privacy", "<=", _presets(0.58, 0.60, 0.65)),
        RuleSpec("k_anonymity", "privacy", ">=", _presets("k", "k", "k"),
                 needs=("quasiIdentifiers",), lowest=2.0, below=1e9),
        RuleSpec("replicated_uniques", "privacy", "<=", _presets(0.02, 0.05, "report"),
                 needs=("quasiIdentifiers",)),
        RuleSpec("attribute_disclosure", "privacy", "<=", _presets(0.03, 0.05, 0.10),
                 needs=("quasiIdentifiers", "sensitive")),
        RuleSpec("singling_out", "privacy", "<=", _presets(0.09, "report", "report"),
                 judged="bound", needs=("quasiIdentifiers",), options=_ATTACK_OPTIONS),
        RuleSpec("linkability", "privacy", "<=", _presets(0.09, "report", "report"),
                 judged="bound", needs=("quasiIdentifiers",), options=_ATTACK_OPTIONS),
        RuleSpec("l_diversity", "privacy", ">=", _presets("report", "report", "report"),
                 needs=("quasiIdentifiers", "sensitive"), lowest=1.0, below=1e9),
        RuleSpec("t_closeness", "privacy", "<=", _presets("report", "report", "report"),
                 needs=("quasiIdentifiers", "sensitive")),
        RuleSpec("empirical_epsilon", "privacy", "<=", {}, judged="lower", options=_CANARIES,
                 below=20.0),
        RuleSpec("ks_mean", "fidelity", "<=", _presets(0.05, 0.09, 0.30), needs=("numeric",)),
        RuleSpec("ks_max", "fidelity", "<=", _presets(0.10, 0.15, None), needs=("numeric",)),
        RuleSpec("ks", "fidelity", "<=", {}, scope="column"),
        RuleSpec("total_variation", "fidelity", "<=", _presets(0.05, 0.10, "report"),
                 judged="over_floor", scope="either", about="categories", needs=("categories",)),
        RuleSpec("missingness", "fidelity", "<=", _presets(0.02, 0.05, 0.10),
                 judged="over_floor"),
        RuleSpec("pair_association", "fidelity", "<=", _presets(0.10, 0.13, 0.50)),
        RuleSpec("autocorrelation", "fidelity", "<=", _presets(0.05, 0.10, None),
                 judged="over_floor", needs=("timeIndex",), options={**_SERIES_OPTIONS, **_LAGS},
                 below=2.0),
        RuleSpec("calendar_correlation", "fidelity", ">=", _presets(0.60, 0.40, None),
                 judged="ceiling_share", needs=("timeIndex",), options=_SERIES_OPTIONS,
                 lowest=0.05, below=10.0),
        RuleSpec("hour_profile", "fidelity", "<=", _presets(0.08, 0.15, None),
                 needs=("timeIndex", "hours")),
        RuleSpec("weekday_profile", "fidelity", "<=", _presets(0.03, 0.04, None),
                 needs=("timeIndex",)),
        RuleSpec("entity_profile", "fidelity", "<=", _presets(0.06, 0.10, None),
                 needs=("entityKey",)),
        RuleSpec("forecast_utility", "fidelity", "<=", _presets(1.10, "report", None),
                 needs=("timeIndex",), options={**_SERIES_OPTIONS, **_HORIZON}, below=100.0),
        RuleSpec("detection", "fidelity", "<=", _presets(0.60, 0.70, None)),
        RuleSpec("constraint_violations", "validity", "<=", _presets(0.0, 0.0, 0.0), below=1e12),
    )
}  # fmt: skip

#: expectation type -> its rule
EXPECTATIONS: Mapping[str, RuleSpec] = {
    name: spec for spec in RULES.values() for name in spec.expectations
}


#: Rules that compare the same days of train and synthetic: a synthetic table of other days breaks
#: them, or they cannot be measured.
SAME_DAYS = ("autocorrelation", "calendar_correlation", "detection", "forecast_utility")


def preset_rules(preset: str | None) -> dict[str, Limit]:
    """Rule id -> limit of a preset, in the table's order; empty without a preset."""
    if preset is None:
        return {}
    return {spec.id: spec.limits[preset] for spec in RULES.values() if preset in spec.limits}
