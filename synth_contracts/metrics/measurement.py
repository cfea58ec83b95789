"""What a metric returns, and the record of a whole evaluation. No thresholds here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from synth_contracts.contract.model import Judged

if TYPE_CHECKING:
    import pandas as pd


class _Shown:
    """How one result shows: a line in a terminal, a table in a notebook, a frame, JSON."""

    def __repr__(self) -> str:
        from synth_contracts.metrics.showing import result_text

        return f"{type(self).__name__}({result_text(self)})"  # type: ignore[arg-type]

    def _repr_html_(self) -> str:
        from synth_contracts.metrics.showing import result_html

        return result_html(self)  # type: ignore[arg-type]

    def to_frame(self) -> pd.DataFrame:
        """One row with the columns of ``Evaluation.to_frame`` but ``rule`` and ``reported``."""
        from synth_contracts.metrics.showing import result_frame

        return result_frame(self)  # type: ignore[arg-type]

    def to_json(self) -> dict[str, Any]:
        """A JSON object, ``#/$defs/result`` of ``synth_contracts.evaluation_schema()``.

        Raises:
            ValueError: it holds a number that is not finite, or what JSON has no type for.
        """
        from synth_contracts.metrics.record import published_result

        return published_result(self)  # type: ignore[arg-type]


@dataclass(frozen=True, repr=False)
class Measurement(_Shown):
    """A number with its uncertainty and what it was compared with.

    ``value`` is signed and never clamped. ``lower`` and ``upper`` are the two-sided 95 % interval,
    ``bound_lower`` and ``bound_upper`` the one-sided 95 % bounds, all clustered by entity; None
    where the metric has none (``method`` says why). ``n`` counts what was measured (``unit``).
    ``floor`` is what train reads against an equally large holdout; ``ceiling`` the best that could
    be read. ``details`` holds aggregates only, never a value of a real row.
    """

    metric: str
    value: float
    n: int
    unit: str
    direction: Literal["lower_is_better", "higher_is_better"]
    method: str
    compared_with: str
    column: str | None = None
    lower: float | None = None
    upper: float | None = None
    bound_lower: float | None = None
    bound_upper: float | None = None
    floor: float | None = None
    ceiling: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)

    def number(self, judged: Judged) -> float | None:
        """The number that a rule judges; None when this measurement does not have it."""
        if judged == "value":
            return self.value
        if judged == "lower":
            return self.bound_lower
        if judged == "bound":
            return self.bound_upper if self.direction == "lower_is_better" else self.bound_lower
        if judged == "over_floor":
            return None if self.floor is None else self.value - self.floor
        if self.ceiling is None or not self.ceiling > 0:
            return None
        return self.value / self.ceiling

    @property
    def finite(self) -> bool:
        """Whether the value is a real number."""
        return isinstance(self.value, (int, float)) and math.isfinite(self.value)


@dataclass(frozen=True, repr=False)
class NotMeasured(_Shown):
    """A metric that could not be measured: never NaN, never a pass. ``error`` marks a fault."""

    metric: str
    reason: str
    column: str | None = None
    error: bool = False


Result = Measurement | NotMeasured


@dataclass(frozen=True, repr=False)
class Evaluation:
    """Everything measured of one candidate, bound to the rows it was measured on.

    ``results`` maps rule id to result, in the contract's order; ``reported`` maps metric id to
    results that no rule judges. The digests of tables that could not be compared are empty, and
    then no rule was measured. ``validation`` records the Great Expectations run
    (``{"suite", "run_id", "evaluated", "docs"}``), None for an evaluation without a checkpoint.
    ``seal`` is a MAC under the project's secret over everything else, set by the checkpoint run
    alone: promotion refuses an evaluation without it.
    ``attempt`` (1 or more) is the build's number among the blocked ones, at which bounds were
    taken, and ``sources`` maps the marks that attempts are counted under to their hashes;
    promotion holds both against the ledger. ``kinds`` maps columns to their kinds, by which the
    contract was settled. ``controls`` is what the run would have seen of planted leaks and reads of
    real rows (metrics/controls/run.py); None where nobody asked for it.
    ``beside`` tells which earlier releases of the same source the attacks held together with the
    candidate: ``releases`` (their ids); of these ``other_columns`` (compared by fewer),
    ``not_compared`` (no column in common) and ``other_split`` (whose training rows may be in this
    holdout); and ``revoked``, how many that had been exported were left out. Empty where nobody
    looked for any.
    ``thinned`` tells of the subsets that stand for exports, which omit a part of the candidate
    (omission/subsets.py); fidelity and properties of the table were measured on each. Empty where
    exports hold all rows.
    """

    contract_digest: str
    rows_digest: str
    train_digest: str
    holdout_digest: str
    seed: int
    n_train: int
    n_holdout: int
    n_synthetic: int
    entities_train: int
    entities_holdout: int
    results: Mapping[str, Result]
    reported: Mapping[str, Result] = field(default_factory=dict)
    timings: Mapping[str, float] = field(default_factory=dict)
    validation: Mapping[str, Any] | None = None
    seal: str | None = None
    attempt: int = 1
    sources: Mapping[str, str] = field(default_factory=dict)
    kinds: Mapping[str, str] = field(default_factory=dict)
    controls: Mapping[str, Any] | None = None
    beside: Mapping[str, Any] = field(default_factory=dict)
    thinned: Mapping[str, Any] = field(default_factory=dict)

    @property
    def measurements(self) -> tuple[Result, ...]:
        """All results, judged ones first."""
        return (*self.results.values(), *self.reported.values())

    def __repr__(self) -> str:
        from synth_contracts.metrics.showing import evaluation_text

        return evaluation_text(self)

    def _repr_html_(self) -> str:
        from synth_contracts.metrics.showing import evaluation_html

        return evaluation_html(self)

    def to_frame(self) -> pd.DataFrame:
        """One row per result, judged ones first; the same dtypes whatever was measured.

        ``rule``, ``metric``, ``column``, ``kind`` ("measurement" or "not measured"), ``value``,
        ``lower``, ``upper``, ``bound_lower``, ``bound_upper``, ``floor``, ``ceiling``, ``n``,
        ``unit``, ``direction``, ``compared_with``, ``reason`` (why not measured) and ``reported``
        (whether no rule judges it). What is not there is ``pd.NA``, never NaN or 0.
        """
        from synth_contracts.metrics.showing import evaluation_frame

        return evaluation_frame(self)

    def to_json(self) -> dict[str, Any]:
        """A JSON object that ``synth_contracts.evaluation_schema()`` describes.

        Raises:
            ValueError: it holds a number that is not finite, or what JSON has no type for.
        """
        from synth_contracts.metrics.record import published

        return published(self)

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> Evaluation:
        """The inverse of :meth:`to_json`.

        Raises:
            ValueError: another format, or a field is missing, unknown, or no result.
        """
        from synth_contracts.metrics.record import from_published

        return from_published(record)
