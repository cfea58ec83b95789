"""Of which planted leaks a run would have missed more than its contract allows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from synth_contracts.contract.model import Contract

#: Leaks that every run must be able to see. Noisy and interpolated rows do not count: on a table of
#: few columns they are like any fresh row, and no limit tells them apart.
BLIND_KINDS = ("exact", "whole_entities")
_LEAK_WORDS = {"exact": "exact rows", "whole_entities": "whole entities"}


def blind_to(contract: Contract, controls: Any) -> tuple[str, ...]:
    """Of which leaks more than ``blindAbove`` entities could have passed; empty without that key.

    Never raises: a control that is missing, or not as control() makes it, was not made.
    """
    most = contract.blind_above
    if most is None:
        return ()
    if not isinstance(controls, Mapping) or not isinstance(controls.get("kinds"), list):
        why = controls.get("reason") if isinstance(controls, Mapping) else None
        return (f"no leak was planted ({why or 'the positive control was not made'})",)
    planted = {
        (str(item.get("kind")), str(item.get("among"))): item
        for item in controls["kinds"]
        if isinstance(item, Mapping)
    }
    found = []
    for kind in BLIND_KINDS:
        if kind == "whole_entities" and contract.roles.entity_key is None:
            continue
        for among in ("random", "isolated"):
            text = _missed(planted.get((kind, among)), most)
            if text is not None:
                found.append(f"{_LEAK_WORDS[kind]} ({among}): {text}")
    return tuple(found)


def _missed(item: Mapping[str, Any] | None, most: int) -> str | None:
    """How more than ``most`` entities of one leak could have passed; None when not."""
    if item is None or item.get("reason"):
        return f"not planted ({(item or {}).get('reason') or 'no record of it'})"
    smallest = item.get("smallest")
    if smallest is None:
        return f"not even {item.get('largest_tried')} entities would have been blocked"
    if not isinstance(smallest, int) or isinstance(smallest, bool) or smallest < 0:
        return f"the smallest leak blocked is {smallest!r}, which is no number"
    if smallest > most:
        return f"blocked from {smallest} entities on, and the contract asks for {most}"
    return None
