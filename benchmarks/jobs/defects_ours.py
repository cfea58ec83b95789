"""This package on the tables of tools/defects.py: the figures beside those of the peers."""

from __future__ import annotations

import sys
import time
from pathlib import Path

# behind the folder of the jobs: both have a module named tables
sys.path.append(str(Path(__file__).resolve().parents[2] / "tools"))

import defects
from synth_contracts.metrics import measure
from tables import say

ASKED = {
    "sdmetrics": ("nearest_neighbor_distance", "membership_inference", "recognized_entities"),
    "anonymeter": ("attribute_disclosure", "linkability"),
    "pycanon": ("t_closeness",),
    "nemo-safe-synthesizer": ("membership_inference", "recognized_entities"),
    "synthcity": ("k_anonymity",),
}

_, folder, answer = sys.argv[1:]
name = Path(folder).name.removeprefix("defects-")
comparison = defects.comparison(defects.made(name))
figures = {}
for peer, metrics in ASKED.items():
    if name not in defects.PEERS[peer]:
        continue
    for metric in metrics:
        if metric in figures:
            continue
        started = time.process_time()
        found = measure(metric, comparison)
        cpu = time.process_time() - started
        if metric == "recognized_entities":
            figures[f"{metric}, lower bound"] = found.bound_lower
        else:
            figures[metric] = found.value
        if metric == "attribute_disclosure":
            figures["the share before the holdout's is taken off"] = found.details["raw"]
        if peer == "pycanon":
            figures["CPU seconds"] = cpu
say(Path(answer), figures=figures)
