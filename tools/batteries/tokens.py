"""Bent tokens in an exported bundle, against ``verify BUNDLE``.

Each token is tried twice. Sealed: manifests and signature of the bundle are put right under the
project's own key, so that the token alone is wrong, and what refuses is looked at. Bare: the token
is put in and nothing else, as somebody without a key can.
"""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from batteries.ground import Ground, ground, remanifest
from batteries.outcome import Outcome
from batteries.vectors import Forge, mutations
from synth_contracts.delivery import token as tokens
from synth_contracts.signing import SigningKey

#: Signed by the issuer's own key and whole as of their own issue, which is when `verify` judges a
#: token: a bundle of last year still verifies. The ledger knows that they were never issued.
AS_OF_ISSUE = ("expired", "iat in the future")
_NOTE = (
    "`verify` judges a token as of its own issue, so that an old bundle still verifies. Two of the "
    "47, `expired` and `iat in the future`, signed by the project's own key, hold as of theirs; "
    "they are tried against `trace`, which holds the ledger and must refuse them with exit code 5, "
    "and bare against `verify`."
)


def attack(seed: int, *, mutated: int = 10_000) -> Outcome:
    """The vectors and ``mutated`` different mutations, each sealed and bare."""
    outcome = Outcome("an exit code other than 5, or any word on standard output", notes=[_NOTE])
    with outcome.running(), ground() as place:
        _attack(outcome, place, random.Random(seed), mutated)
    return outcome


def _attack(outcome: Outcome, place: Ground, rng: random.Random, mutated: int) -> None:
    bundle = place.bundle()
    bare = Path(shutil.copytree(bundle, place.root / "bare"))
    key = place.house.keys.signing_key()
    good = (bundle / "data" / "token.jwt").read_text()
    claims = tokens.read(good, place.house.keys.public_keys(), at="iat").claims
    forge = Forge(key, SigningKey.generate(), claims, tokens.TYP)
    bent = {**forge.vectors(), **forge.more()}
    pair = Pair(bundle, bare, key)
    _controls(outcome, place, pair, good, forge)
    for name in AS_OF_ISSUE:
        outcome.attack(f"trace {name}", place.command("trace", bent[name]).fault(5))
        outcome.count("tokens against trace")
    for name, text in bent.items():
        for sealed in (True, False):
            if sealed and name in AS_OF_ISSUE:
                continue
            _try(outcome, place, pair, name, text, sealed=sealed)
    seen: dict[str, str] = {}
    for how, text in islice(mutations(good, rng), 20 * mutated):
        seen.setdefault(text, how)
        if len(seen) == mutated:
            break
    for text, how in seen.items():
        outcome.count(f"mutations by {how}")
        for sealed in (True, False):
            _try(outcome, place, pair, f"{how} {text!r}", text, sealed=sealed)
    outcome.count("vectors", len(forge.vectors()))
    outcome.count("further vectors", len(forge.more()))
    outcome.count("mutations", len(seen))
    _controls(outcome, place, pair, good, forge)


def _controls(outcome: Outcome, place: Ground, pair: Pair, good: str, forge: Forge) -> None:
    """The untouched bundle, and an honest token of other spelling, sealed, verify."""
    for sealed, text in ((True, forge.good), (True, good), (False, good)):
        answer = place.verify(pair.put(text, sealed=sealed))
        outcome.control(answer.code == 0 and "verified" in answer.out, answer.err)


@dataclass(frozen=True)
class Pair:
    """Two copies of one bundle, for the same token: sealed anew, and left as it was exported."""

    sealed: Path
    bare: Path
    key: SigningKey

    def put(self, text: str, *, sealed: bool) -> Path:
        """The bundle with this token in it."""
        bundle = self.sealed if sealed else self.bare
        (bundle / "data" / "token.jwt").write_bytes(text.encode())
        if sealed:
            remanifest(bundle, self.key)
        return bundle


def _try(
    outcome: Outcome, place: Ground, pair: Pair, name: str, text: str, *, sealed: bool
) -> None:
    answer = place.verify(pair.put(text, sealed=sealed))
    how = "sealed" if sealed else "bare"
    outcome.attack(f"{name} ({how})", answer.fault(5))
    if sealed and "is not what was exported" in answer.err:
        raise RuntimeError(f"{name} was not sealed rightly, the token was never read")
    outcome.count(f"{how} tokens")
