"""What stands for a grouped value: a value that the column's declared domain allows."""

from __future__ import annotations

import re
from collections.abc import Mapping

from synth_contracts.tables.schema import Field, Kind

OTHER = "other"


def other_token(field: Field, other_value: Mapping[str, int]) -> tuple[bool, str | None]:
    """What stands for a grouped value of ``field``: (True, value) or (False, None).

    Text takes ``other`` and codes their ``other_value`` (default -1) where the declared domain
    allows it; else missing, where the column may be missing; else there is no such value and the
    caller takes the commonest one.

    Args:
        field: a column.
        other_value: column name -> the code that stands for grouped ones.
    """
    token: str | None = None
    if field.kind is Kind.TEXT:
        token = OTHER
    elif field.kind is Kind.CODE:
        token = str(other_value.get(field.name, -1))
    if token is not None and _allowed(field, token):
        return True, token
    return (False, None) if field.required else (True, None)


def _allowed(field: Field, token: str) -> bool:
    physical = field.physical_type
    if physical == "UUID" or (physical.startswith("ENUM") and f"'{token.upper()}'" not in physical):
        return False
    if physical.startswith("U") and token.startswith("-"):  # UINTEGER and its kin
        return False
    declared = field.declared
    if declared is None:
        return True
    if declared.enum is not None and token not in {str(v) for v in declared.enum}:
        return False
    if field.kind is Kind.TEXT and declared.pattern is not None:
        return re.search(declared.pattern, token) is not None
    if field.kind is not Kind.CODE:
        return True
    value = int(token)
    return not (
        (declared.minimum is not None and value < declared.minimum)
        or (declared.maximum is not None and value > declared.maximum)
        or (declared.exclusive_minimum is not None and value <= declared.exclusive_minimum)
        or (declared.exclusive_maximum is not None and value >= declared.exclusive_maximum)
    )
