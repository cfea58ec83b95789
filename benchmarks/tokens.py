"""Signing and strictly verifying export tokens, beside PyJWT's own encode and decode.

    python benchmarks/tokens.py [--rounds 7] [--tokens 500]

In each round every way is timed over the same tokens, one after the other, so that a busy moment
meets all of them; the figures are medians and 99th percentiles over all tokens of all rounds. "With
keys of the folder" also reads and checks the key files, as a command does once. Ends with 1 where a
median of ours is a millisecond or more.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jwt as pyjwt
import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from synth_contracts.delivery import token as tokens
from synth_contracts.signing import KeyFolder, SigningKey

#: Milliseconds that a median of ours must stay under.
LIMIT = 1.0


def issued(key: SigningKey) -> tokens.Token:
    """A token with everything that an export of a fingerprinted release binds."""
    return tokens.issue(
        key, subject="analyst", ticket="DATA-123", release="transactions-1", table="transactions",
        digests=dict.fromkeys((*tokens.DIGESTS, tokens.EXPORTED), "ab" * 32),
        ledger_head="cd" * 32, ttl=900, now=datetime.now(UTC), jti=tokens.fresh_id(), rows=1_000,
    )  # fmt: skip


def ways(folder: Path) -> dict[str, Callable[[tokens.Token], Any]]:
    """What is timed, by name; each takes a token that was made before."""
    keys = KeyFolder.open(folder)
    key, public = keys.signing_key(), keys.public_keys()
    theirs = Ed25519PrivateKey.generate()
    text = {}

    def encode(token: tokens.Token) -> None:
        text[token.jti] = pyjwt.encode(token.claims, theirs, algorithm="EdDSA")

    def decode(token: tokens.Token) -> None:
        pyjwt.decode(
            text[token.jti], theirs.public_key(), algorithms=["EdDSA"], audience=tokens.AUDIENCE
        )

    return {
        "sign": lambda _: issued(key),
        "sign, key read from the folder": lambda _: issued(keys.signing_key()),
        "strict verify": lambda token: tokens.read(token.text, public),
        "strict verify, keys read from the folder": (
            lambda token: tokens.read(token.text, keys.public_keys())
        ),
        "PyJWT encode": encode,
        "PyJWT decode": decode,
    }


def measured(rounds: int, count: int, folder: Path) -> dict[str, np.ndarray]:
    """Milliseconds of each call by way, shape (rounds x count,)."""
    timed = ways(folder)
    key = KeyFolder.open(folder).signing_key()
    found: dict[str, list[float]] = {name: [] for name in timed}
    for _ in range(rounds):
        made = [issued(key) for _ in range(count)]
        for name, way in timed.items():
            for token in made:
                started = time.perf_counter()
                way(token)
                found[name].append(1e3 * (time.perf_counter() - started))
    return {name: np.array(times) for name, times in found.items()}


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--tokens", type=int, default=500)
    asked = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        found = measured(asked.rounds, asked.tokens, Path(folder) / "keys")
    print("| | median ms | 99 % of calls under ms |")
    print("|---|---|---|")
    for name, times in found.items():
        print(f"| {name} | {np.median(times):.3f} | {np.quantile(times, 0.99):.3f} |")
    slow = [
        name for name, times in found.items() if "PyJWT" not in name and np.median(times) >= LIMIT
    ]
    return int(bool(slow))


if __name__ == "__main__":
    raise SystemExit(main())
