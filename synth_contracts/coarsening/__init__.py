"""Grouping rare categories and small classes, counted in entities (docs/adr/0004).

Pure functions of canonical frames. Generators make candidates k-anonymous with them, and metrics
look at real tables through the same glasses.
"""

from synth_contracts.coarsening.rare import entities_per_value, group_rare
from synth_contracts.coarsening.recode import Quasi, recode
from synth_contracts.coarsening.tokens import OTHER, other_token
from synth_contracts.coarsening.view import Coarsening

__all__ = [
    "OTHER",
    "Coarsening",
    "Quasi",
    "entities_per_value",
    "group_rare",
    "other_token",
    "recode",
]
