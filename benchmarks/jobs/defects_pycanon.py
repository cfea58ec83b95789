"""pycanon's t-closeness on the tables of tools/defects.py."""

from __future__ import annotations

import time

from pycanon import anonymity
from tables import arguments, say

tables, roles, work, answer = arguments()
started = time.process_time()
found = anonymity.t_closeness(tables["synthetic"], roles["quasi_identifiers"], roles["sensitive"])
say(answer, figures={"t-closeness": found, "CPU seconds": time.process_time() - started})
