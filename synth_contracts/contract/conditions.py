"""Conditions over the columns of one row, as ``synthetic.constraints`` writes them.

The language is a part of SQL (columns, literals, + - * /, abs, comparisons, between, in, is null,
and, or, not), parsed by sqlglot in DuckDB's dialect. Everything else is refused: no function, no
query, no column of another table. tables/constraints.py evaluates what is parsed here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

#: Longer ones are no constraint that a person reads.
MAX_LENGTH = 500


@lru_cache(maxsize=1024)
def parse(text: str) -> Any:
    """The sqlglot expression of a condition. Do not change what is returned.

    Raises:
        ValueError: it is no condition, or says what cannot be checked; the message says which.
    """
    import sqlglot
    from sqlglot import exp
    from sqlglot.errors import SqlglotError

    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    try:
        tree: Any = sqlglot.parse_one(text, dialect="duckdb", into=exp.Condition)
    except (SqlglotError, RecursionError) as error:
        line = str(error).splitlines()[0] if str(error) else "not SQL"
        raise ValueError(f"cannot be read as a condition: {line[:120]}") from error
    conditions = (
        exp.EQ, exp.NEQ, exp.GT, exp.GTE, exp.LT, exp.LTE, exp.And, exp.Or, exp.Not, exp.Is,
        exp.Between, exp.In,
    )  # fmt: skip
    values = (exp.Literal, exp.Boolean, exp.Neg, exp.Add, exp.Sub, exp.Mul, exp.Div, exp.Abs)
    around = (exp.Paren, exp.Identifier, exp.Null, exp.Column)
    for node in tree.walk():
        fault = _fault(node, (*conditions, *values, *around))
        if fault:
            raise ValueError(fault)
    if type(tree.unnest()) not in conditions:
        raise ValueError("is a value and no condition: compare it with something")
    if not columns_of(text, tree):
        raise ValueError("names no column")
    return tree


def _fault(node: Any, known: tuple[Any, ...]) -> str:
    """Why one node cannot be checked; empty where it can."""
    from sqlglot import exp

    if type(node) not in known:
        return f"holds {node.sql(dialect='duckdb')[:60]!r}, which cannot be checked"
    if isinstance(node, exp.Column) and len(node.parts) != 1:
        return f"names {node.sql()[:60]!r}: a column stands without its table"
    if isinstance(node, exp.Null) and not isinstance(node.parent, exp.Is):
        return "compares with NULL, which is never true: write `is null`"
    if isinstance(node, exp.In) and (node.args.get("query") or not node.expressions):
        return "has an `in` without a list of values"
    if isinstance(node, exp.Is) and not isinstance(node.expression, exp.Null):
        return "has an `is` of something else than null"
    return ""


def columns_of(text: str, tree: Any = None) -> tuple[str, ...]:
    """Names of the columns of a condition, in order, each once, as they are spelled there."""
    from sqlglot import exp

    found = (tree if tree is not None else parse(text)).find_all(exp.Column, bfs=False)
    names: dict[str, str] = {}
    for column in found:
        names.setdefault(column.name.casefold(), column.name)
    return tuple(names.values())


def conjuncts(text: str) -> tuple[Any, ...]:
    """The parts of a condition that are joined by ``and``, outermost, without their brackets."""
    from sqlglot import exp

    found: list[Any] = []
    todo = [parse(text)]
    while todo:
        node = todo.pop().unnest()
        if isinstance(node, exp.And):
            todo += [node.right, node.left]
        else:
            found.append(node)
    return tuple(found)
