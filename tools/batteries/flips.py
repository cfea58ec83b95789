"""One flipped bit in a file of an exported bundle, against ``verify BUNDLE``."""

from __future__ import annotations

import random
from pathlib import Path

from batteries.ground import Ground, ground
from batteries.outcome import Outcome

FORMATS = ("parquet", "csv", "arrow")


def attack(seed: int, *, flips: int = 3_000) -> Outcome:
    """At least ``flips`` bits, spread evenly over every file of a bundle in each format."""
    outcome = Outcome("an exit code other than 5, or any word on standard output")
    with outcome.running(), ground() as place:
        bundles = {form: place.bundle(form, f"DATA-{i}") for i, form in enumerate(FORMATS, 1)}
        files = [
            (form, path)
            for form, bundle in bundles.items()
            for path in sorted(bundle.rglob("*"))
            if path.is_file()
        ]
        outcome.count("files", len(files))
        _controls(outcome, place, bundles)
        for number, (form, path) in enumerate(files):
            share = flips // len(files) + (number < flips % len(files))
            _flip(outcome, place, bundles[form], path, share, random.Random(f"{seed} {number}"))
        _controls(outcome, place, bundles)
    return outcome


def _controls(outcome: Outcome, place: Ground, bundles: dict[str, Path]) -> None:
    for bundle in bundles.values():
        answer = place.verify(bundle)
        outcome.control(answer.code == 0 and "verified" in answer.out, answer.err)


def _flip(
    outcome: Outcome, place: Ground, bundle: Path, path: Path, count: int, rng: random.Random
) -> None:
    """``count`` different bits of one file, one at a time; the file is whole again at the end."""
    whole = path.read_bytes()
    name = path.relative_to(bundle).as_posix()
    try:
        for bit in rng.sample(range(8 * len(whole)), min(count, 8 * len(whole))):
            bent = bytearray(whole)
            bent[bit // 8] ^= 1 << bit % 8
            path.write_bytes(bent)
            outcome.attack(f"bit {bit} of {name}", place.verify(bundle).fault(5))
    finally:
        path.write_bytes(whole)
