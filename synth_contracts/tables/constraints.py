"""Conditions over several columns, evaluated on canonical frames with SQL's three values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from synth_contracts.contract.conditions import parse
from synth_contracts.contract.model import Constraint
from synth_contracts.errors import SourceError
from synth_contracts.tables.schema import NUMERIC, TEMPORAL, Field, Kind, TableSchema

Mask = npt.NDArray[np.bool_]
#: Numbers nearer than this, as a share of the larger, are equal: .1 + .2 is .3 in a contract.
_EQUAL = 1e-9


@dataclass(frozen=True)
class _Value:
    """A column of values: ``kind`` is number, time or text; ``null`` says where there is none."""

    kind: str
    values: Any
    null: Mask
    literal: Any = None


@dataclass(frozen=True)
class _Truth:
    """Where a condition is true and where it is false; elsewhere it is unknown."""

    true: Mask
    false: Mask


def broken(constraint: Constraint, frame: pd.DataFrame, schema: TableSchema) -> Mask:
    """Which rows of a canonical frame break ``constraint``: the condition is false there.

    Raises:
        SourceError: the condition compares what cannot be compared.
    """
    fields = {field.name.casefold(): field for field in schema.fields}
    try:
        return _Reading(frame, fields).truth(parse(constraint.check)).false
    except ValueError as fault:
        raise SourceError(
            f"the constraint {constraint.id} {fault}: {constraint.check}",
            where=schema.table,
            mend="correct it in the contract's synthetic.constraints",
        ) from fault


def solved(
    equation: Any, column: str, frame: pd.DataFrame, schema: TableSchema
) -> np.ndarray | None:
    """The values of ``column`` that make ``equation`` true, row by row; NaN where one is null.

    Args:
        equation: a parsed ``left = right`` over numbers.
        column: a numeric column of ``schema``; ``frame`` need not hold it.
        frame: canonical, with the equation's other columns.
        schema: the table's columns.

    Returns:
        float64 of shape (rows,); None where the equation is not linear in ``column`` with a
        constant factor, or calculates with what is no number.
    """
    factors = [_factor(side, column.casefold()) for side in (equation.left, equation.right)]
    if factors[0] is None or factors[1] is None or factors[0] == factors[1]:
        return None
    fields = {field.name.casefold(): field for field in schema.fields}
    reading = _Reading(frame.assign(**{column: np.zeros(len(frame))}), fields)
    try:
        left, right = (
            reading.number(reading.value(side)) for side in (equation.left, equation.right)
        )
    except ValueError:
        return None
    with np.errstate(all="ignore"):
        values = (right.values - left.values) / (factors[0] - factors[1])
    return np.where(left.null | right.null | ~np.isfinite(values), np.nan, values)


def _factor(node: Any, folded: str) -> float | None:
    """What ``node`` multiplies the column by; None where that is no constant."""
    from sqlglot import exp

    if isinstance(node, exp.Paren):
        return _factor(node.this, folded)
    if not any(found.name.casefold() == folded for found in node.find_all(exp.Column)):
        return 0.0
    if isinstance(node, exp.Column):
        return 1.0
    if isinstance(node, exp.Neg):
        inner = _factor(node.this, folded)
        return None if inner is None else -inner
    if isinstance(node, exp.Add | exp.Sub):
        left, right = _factor(node.left, folded), _factor(node.right, folded)
        if left is None or right is None:
            return None
        return left + right if isinstance(node, exp.Add) else left - right
    if isinstance(node, exp.Mul | exp.Div):
        inner, by = _factor(node.left, folded), node.right.unnest()
        if isinstance(by, exp.Literal) and not by.is_string and inner is not None:
            number = float(by.this)
            if isinstance(node, exp.Mul):
                return inner * number
            return inner / number if number else None
    return None


def check_kinds(schema: TableSchema) -> None:
    """Evaluate every constraint on no rows. Raises SourceError as :func:`broken`."""
    kinds = {**dict.fromkeys(NUMERIC, "float64"), **dict.fromkeys(TEMPORAL, "datetime64[ns]")}
    empty = pd.DataFrame(
        {f.name: np.empty(0, dtype=kinds.get(f.kind, "object")) for f in schema.fields}
    )
    for constraint in schema.constraints:
        broken(constraint, empty, schema)


class _Reading:
    def __init__(self, frame: pd.DataFrame, fields: dict[str, Field]) -> None:
        self._frame, self._fields = frame, fields

    def truth(self, node: Any) -> _Truth:
        from sqlglot import exp

        if isinstance(node, exp.Paren):
            return self.truth(node.this)
        if isinstance(node, exp.Not):
            inner = self.truth(node.this)
            return _Truth(inner.false, inner.true)
        if isinstance(node, exp.And | exp.Or):
            left, right = self.truth(node.left), self.truth(node.right)
            if isinstance(node, exp.And):
                return _Truth(left.true & right.true, left.false | right.false)
            return _Truth(left.true | right.true, left.false & right.false)
        if isinstance(node, exp.Is):
            null = self.value(node.this).null
            return _Truth(null, ~null)
        if isinstance(node, exp.Between):
            low = self._compared(">=", self.value(node.this), self.value(node.args["low"]))
            high = self._compared("<=", self.value(node.this), self.value(node.args["high"]))
            return _Truth(low.true & high.true, low.false | high.false)
        if isinstance(node, exp.In):
            found = [
                self._compared("=", self.value(node.this), self.value(item))
                for item in node.expressions
            ]
            return _Truth(
                np.logical_or.reduce([one.true for one in found]),
                np.logical_and.reduce([one.false for one in found]),
            )
        signs = {
            exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=",
        }  # fmt: skip
        sign = signs.get(type(node))
        if sign is None:
            raise ValueError("uses a value where a condition must stand")
        return self._compared(sign, self.value(node.left), self.value(node.right))

    def value(self, node: Any) -> _Value:
        from sqlglot import exp

        rows = len(self._frame)
        if isinstance(node, exp.Paren):
            return self.value(node.this)
        if isinstance(node, exp.Column):
            return self._column(node.name)
        if isinstance(node, exp.Boolean):
            text = np.full(rows, "true" if node.this else "false", dtype=object)
            return _Value("text", text, np.zeros(rows, dtype=bool))
        if isinstance(node, exp.Literal):
            kind = "text" if node.is_string else "number"
            value: Any = node.this if node.is_string else float(node.this)
            dtype = object if node.is_string else np.float64
            full = np.full(rows, value, dtype=dtype)
            return _Value(kind, full, np.zeros(rows, dtype=bool), literal=value)
        if isinstance(node, exp.Neg | exp.Abs):
            inner = self.number(self.value(node.this))
            turned = -inner.values if isinstance(node, exp.Neg) else np.abs(inner.values)
            return _Value("number", turned, inner.null)
        if isinstance(node, exp.Add | exp.Sub | exp.Mul | exp.Div):
            left, right = self.number(self.value(node.left)), self.number(self.value(node.right))
            does = {exp.Add: np.add, exp.Sub: np.subtract, exp.Mul: np.multiply, exp.Div: np.divide}
            with np.errstate(all="ignore"):
                found = does[type(node)](left.values, right.values)
            return _Value("number", found, left.null | right.null)
        raise ValueError("uses a condition where a value must stand")

    def _column(self, name: str) -> _Value:
        field = self._fields[name.casefold()]
        column = self._frame[field.name]
        null = column.isna().to_numpy()
        if field.kind in NUMERIC and not field.key:
            return _Value("number", column.to_numpy(dtype=np.float64), null)
        if field.kind in TEMPORAL and not field.key:
            return _Value("time", column.to_numpy(dtype="datetime64[ns]"), null)
        kind = "code" if field.kind is Kind.CODE else "text"
        return _Value(kind, column.to_numpy(dtype=object), null)

    @staticmethod
    def number(value: _Value) -> _Value:
        """Codes as numbers, numbers as they are. Raises ValueError for the rest."""
        if value.kind == "code":
            numbers = pd.to_numeric(pd.Series(value.values), errors="coerce").to_numpy(np.float64)
            return _Value("number", numbers, value.null | np.isnan(numbers))
        if value.kind != "number":
            raise ValueError("calculates with what is no number")
        return value

    def _compared(self, sign: str, left: _Value, right: _Value) -> _Truth:
        left, right = self._alike(left, right), self._alike(right, left)
        if left.kind != right.kind:
            raise ValueError(f"compares a {left.kind} with a {right.kind}")
        known = ~(left.null | right.null)
        equal, less = np.zeros(len(known), dtype=bool), np.zeros(len(known), dtype=bool)
        a, b = left.values[known], right.values[known]
        if left.kind == "number":
            with np.errstate(invalid="ignore"):
                gap, larger = np.abs(a - b), np.maximum(np.abs(a), np.abs(b))
            equal[known] = (a == b) | (np.isfinite(larger) & (gap <= _EQUAL * larger))
        else:
            equal[known] = a == b
        if sign not in {"=", "<>"} and left.kind == "text":
            raise ValueError("orders texts, and texts have no order here")
        if sign not in {"=", "<>"}:
            less[known] = a < b
        # a result that is no number (infinity less infinity) makes every comparison false
        sound = known.copy()
        if left.kind == "number":
            sound[known] = ~(np.isnan(a) | np.isnan(b))
        true = {
            "=": equal,
            "<>": ~equal,
            "<": less & ~equal,
            "<=": less | equal,
            ">": ~less & ~equal,
            ">=": ~less | equal,
        }[sign] & sound
        return _Truth(true, known & ~true)

    def _alike(self, value: _Value, other: _Value) -> _Value:
        """``value`` in the kind that ``other`` is compared in."""
        if value.kind == "code":
            return _Value("text", value.values, value.null) if other.kind in {
                "code", "text",
            } else self.number(value)  # fmt: skip
        if value.literal is not None and value.kind == "text" and other.kind == "time":
            try:
                moment = pd.Timestamp(value.literal)
            except ValueError as fault:
                raise ValueError("compares a time with a text that is none") from fault
            if moment.tzinfo is not None or pd.isna(moment):
                raise ValueError("compares a time with a text in another time zone")
            moments = np.full(len(value.values), moment.to_datetime64(), dtype="datetime64[ns]")
            return _Value("time", moments, value.null)
        return value
