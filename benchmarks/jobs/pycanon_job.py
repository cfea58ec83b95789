"""pycanon on the released table: ``k``, ``l`` or ``t``."""

from __future__ import annotations

from pycanon import anonymity
from tables import arguments, say

tables, roles, work, answer = arguments()
frame = tables["synthetic"]
known, sensitive = roles["quasi_identifiers"], roles["sensitive"]
if work == "k":
    say(answer, k=anonymity.k_anonymity(frame, known))
elif work == "l":
    say(answer, l=anonymity.l_diversity(frame, known, sensitive))
else:
    say(answer, t=anonymity.t_closeness(frame, known, sensitive))
