"""Results and evaluations as a reader meets them: terminal text, a notebook's table, a frame.

What was not measured stands with its reason where the number would stand: never as a blank, a NaN
or a 0. Nothing here knows a limit, so nothing here says that a table passed.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import pandas as pd

from synth_contracts.metrics.measurement import Evaluation, Measurement, NotMeasured
from synth_contracts.metrics.words import title, value_text

NOT_MEASURED = "not measured"
_NUMBERS = ("value", "lower", "upper", "bound_lower", "bound_upper", "floor", "ceiling")
#: Columns of a frame and their dtypes: the same whatever the evaluation holds. With the nullable
#: ones a comparison of a missing value is missing too; a NaN would read as "not above the limit".
_DTYPES = {
    "rule": "string", "metric": "string", "column": "string", "kind": "string",
    **dict.fromkeys(_NUMBERS, "Float64"),
    "n": "Int64", "unit": "string", "direction": "string", "compared_with": "string",
    "reason": "string", "reported": "bool",
}  # fmt: skip
_MOST = 6


def why_not(result: Any) -> str | None:
    """Why ``result`` holds no number that can be shown; None when it does."""
    if isinstance(result, NotMeasured):
        return str(result.reason or "no reason given")
    if not isinstance(result, Measurement):
        return f"the result is no measurement but {type(result).__name__}"
    return None if _number(result.value) is not None else f"its value is {result.value!r}"


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if math.isfinite(value) else None


def _rows(evaluation: Evaluation) -> list[tuple[str, Any, bool]]:
    """(rule or metric id, result, whether no rule judges it), judged ones first."""
    judged = [(str(key), found, False) for key, found in evaluation.results.items()]
    return judged + [(str(key), found, True) for key, found in evaluation.reported.items()]


# Frames.


def evaluation_frame(evaluation: Evaluation) -> pd.DataFrame:
    """One row per result, in the contract's order, those that no rule judges last."""
    return _frame([_record(*row) for row in _rows(evaluation)], list(_DTYPES))


def result_frame(result: Measurement | NotMeasured) -> pd.DataFrame:
    """One row: the columns of :func:`evaluation_frame` but rule and reported."""
    columns = [name for name in _DTYPES if name not in ("rule", "reported")]
    return _frame([_record("", result, False)], columns)


def _frame(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame(
        {
            name: pd.Series([record[name] for record in records], dtype=_DTYPES[name])
            for name in columns
        }
    )


def _record(rule: str, result: Any, reported: bool) -> dict[str, Any]:
    reason = why_not(result)
    record: dict[str, Any] = dict.fromkeys(_DTYPES, pd.NA)
    record |= {
        "rule": rule,
        "metric": str(getattr(result, "metric", rule)),
        "column": _missing(_text(getattr(result, "column", None))),
        "kind": "measurement" if reason is None else NOT_MEASURED,
        "reason": _missing(reason),
        "reported": reported,
    }
    if reason is None:
        record |= {name: _missing(_number(getattr(result, name))) for name in _NUMBERS}
        record |= {
            name: str(getattr(result, name)) for name in ("unit", "direction", "compared_with")
        }
        record["n"] = result.n if isinstance(result.n, int) else pd.NA
    return record


def _text(value: Any) -> str | None:
    return None if value is None else str(value)


def _missing(value: Any) -> Any:
    return pd.NA if value is None else value


# Text.


def result_text(result: Measurement | NotMeasured) -> str:
    """One line."""
    name = title(str(result.metric), result.column)
    reason = why_not(result)
    if reason is not None or not isinstance(result, Measurement):
        return f"{name} {NOT_MEASURED}: {reason}"
    return f"{name} {_value(result)}{_interval_words(result)}, {_count(result)}"


def evaluation_text(evaluation: Evaluation) -> str:
    """A few lines: of which table, how much was measured, and what was not."""
    rows = _rows(evaluation)
    lines = [_headline(evaluation), f"  {_tally(evaluation)}"]
    unmeasured = [(rule, reason) for rule, found, _ in rows if (reason := why_not(found))]
    reasons: dict[str, list[str]] = {}
    for rule, reason in unmeasured:
        reasons.setdefault(reason, []).append(rule)
    for reason, rules in list(reasons.items())[:_MOST]:
        named = ", ".join(rules[:3]) + (f" and {len(rules) - 3} more" if len(rules) > 3 else "")
        lines.append(f"  {NOT_MEASURED}: {named} ({_short(reason)})")
    if len(reasons) > _MOST:
        lines.append(f"  and {len(reasons) - _MOST} more reasons")
    lines.append("  to_frame() has the numbers, judge(contract, evaluation) the verdict")
    return "\n".join(lines)


def _short(reason: str, most: int = 160) -> str:
    return reason if len(reason) <= most else reason[: most - 1] + "…"


def _headline(evaluation: Evaluation) -> str:
    return (
        f"Evaluation of {_whole(evaluation.n_synthetic)} synthetic rows against "
        f"{_whole(evaluation.n_train)} of train and {_whole(evaluation.n_holdout)} of holdout, "
        f"seed {evaluation.seed}"
    )


def _tally(evaluation: Evaluation) -> str:
    measured = sum(why_not(found) is None for found in evaluation.results.values())
    asked = len(evaluation.results)
    words = f"{measured} of {asked} rules measured"
    if measured < asked:
        words += f", {asked - measured} not"
    if evaluation.reported:
        shown = sum(why_not(found) is None for found in evaluation.reported.values())
        words += f"; {shown} of {len(evaluation.reported)} more reported without a rule"
    return words


def _whole(number: Any) -> str:
    return f"{number:,}" if isinstance(number, int) else str(number)


def _value(result: Measurement) -> str:
    return _shown(result.metric, result.value)


def _shown(metric: str, value: Any) -> str:
    number = _number(value)
    return "–" if number is None else value_text(metric, number).replace("-", "\u2212")


def _interval_words(result: Measurement) -> str:
    if _number(result.lower) is None or _number(result.upper) is None:
        return ""
    lower, upper = _shown(result.metric, result.lower), _shown(result.metric, result.upper)
    return f" (95 % interval {lower} to {upper})"


def _count(result: Measurement) -> str:
    return f"n {_whole(result.n)} {result.unit}"


# Tables of a notebook: no script, no sheet of styles; colours are the notebook's own.

_LINE = "border-bottom:1px solid rgba(128,128,128,.35)"
_CELL = f"padding:.25em .7em;vertical-align:top;{_LINE}"
_LEFT = f"{_CELL};text-align:left"
_RIGHT = f"{_CELL};text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"
_HEADS = (
    ("rule", _LEFT), ("measured", _LEFT), ("value", _RIGHT), ("95 % interval", _RIGHT),
    ("n", _RIGHT), ("floor", _RIGHT), ("ceiling", _RIGHT), ("compared with", _LEFT),
)  # fmt: skip


def evaluation_html(evaluation: Evaluation) -> str:
    """One table, everything from outside escaped."""
    rows = _rows(evaluation)
    told = f"{_headline(evaluation)}: {_tally(evaluation)}."
    body = "".join(_row(*row) for row in rows) or _whole_row("no rule was evaluated")
    return _table(told, _HEADS, body)


def result_html(result: Measurement | NotMeasured) -> str:
    """One table of one row."""
    return _table(None, _HEADS[1:], _row(None, result, reported=False))


def _table(caption: str | None, heads: Sequence[tuple[str, str]], body: str) -> str:
    style = "text-align:left;color:inherit;padding:.3em 0;caption-side:top"
    told = "" if caption is None else f'<caption style="{style}">{escape(caption)}</caption>'
    head = "".join(f'<th scope="col" style="{css}">{escape(name)}</th>' for name, css in heads)
    return (
        '<table style="border-collapse:collapse;color:inherit;background:transparent">'
        f"{told}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def _row(rule: str | None, result: Any, reported: bool) -> str:
    cells = []
    if rule is not None:
        note = "<br><small>reported, no rule</small>" if reported else ""
        cells.append(
            f'<th scope="row" style="{_LEFT};font-weight:normal"><code>{escape(rule)}</code>'
            f"{note}</th>"
        )
    cells.append(_cell(_words(result, rule), _LEFT))
    reason = why_not(result)
    if reason is not None:
        cells.append(
            f'<td colspan="6" style="{_LEFT}"><strong>{NOT_MEASURED}</strong>: '
            f"{escape(reason)}</td>"
        )
    else:
        cells += [
            _cell(_value(result), f"{_RIGHT};font-weight:bold"),
            _cell(_interval_cell(result), _RIGHT),
            _cell(f"{_whole(result.n)} {result.unit}", _RIGHT),
            _cell(_shown(result.metric, result.floor), _RIGHT),
            _cell(_shown(result.metric, result.ceiling), _RIGHT),
            _cell(str(result.compared_with), _LEFT),
        ]
    return f"<tr>{''.join(cells)}</tr>"


def _cell(text: str, css: str) -> str:
    return f'<td style="{css}">{escape(text)}</td>'


def _whole_row(text: str) -> str:
    return f'<tr><td colspan="{len(_HEADS)}" style="{_LEFT}">{escape(text)}</td></tr>'


def _interval_cell(result: Measurement) -> str:
    if _number(result.lower) is None or _number(result.upper) is None:
        return "–"
    return f"{_shown(result.metric, result.lower)} to {_shown(result.metric, result.upper)}"


def _words(result: Any, rule: str | None) -> str:
    """The metric's title in the registry's words, and its column."""
    from synth_contracts.metrics.registry import METRICS

    metric = str(getattr(result, "metric", rule))
    known = METRICS.get(metric)
    words = known.title if known else metric
    column = getattr(result, "column", None)
    if column is not None:
        words += f": {column}"
    if isinstance(result, Measurement) and why_not(result) is None:
        words += f" ({str(result.direction).replace('_', ' ')})"
    return words
