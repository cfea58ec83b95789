"""A pool is promoted only with subsets that were drawn as its exports will be."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from synth_contracts.contract.expand import with_digest
from synth_contracts.contract.model import ExportPolicy
from synth_contracts.errors import Refused
from synth_contracts.omission import ONE_OF, SUBSETS, identity
from synth_contracts.release import promote
from synth_contracts.release.verify import signed_fingerprint


@pytest.fixture
def marked(world: Any) -> Any:
    world.contract = with_digest(
        replace(world.contract, export=ExportPolicy(max_attempts=3, fingerprint=True))
    )
    return world


def arguments(world: Any, key: bytes, run_id: str = "run-1") -> dict[str, Any]:
    told = {"subsets": SUBSETS, "one_of": ONE_OF, "key": identity(key, run_id)}
    plain = world.evaluate(world.digest())
    ks = plain.results["ks_mean"]
    details = {"subsets": {"whole": ks.value, "values": [ks.value] * SUBSETS}}
    results = {**plain.results, "ks_mean": replace(ks, details=details)}
    evaluation = world.evaluate(world.digest(), results=results, thinned=told)
    return world.arguments("run-1", evaluation=evaluation)


def test_what_was_evaluated_stands_in_the_signed_statement(marked: Any) -> None:
    key = marked.keys.fingerprint_key(create=True)
    made = arguments(marked, key)
    with marked.registry() as registry:
        release = promote(registry, **made)
    told = signed_fingerprint(release, marked.keys.public_keys())
    assert told["key"] == identity(key, "run-1")
    assert release.contract_expanded["export"]["fingerprint"] is True


@pytest.mark.parametrize("spoiled", ["another key", "another run", "no key"])
def test_subsets_of_another_key_or_run_are_refused(marked: Any, spoiled: str) -> None:
    key = bytes(32)
    if spoiled != "no key":
        own = marked.keys.fingerprint_key(create=True)
        key = own if spoiled == "another run" else key
    made = arguments(marked, key, "run-2" if spoiled == "another run" else "run-1")
    with marked.registry() as registry:
        pass
    before = marked.bytes()
    with marked.registry() as registry, pytest.raises(Refused, match="key") as caught:
        promote(registry, **made)
    assert "subsets were not drawn under" in str(caught.value) or spoiled == "no key"
    assert marked.bytes() == before


def test_a_contract_without_a_fingerprint_says_nothing_of_one(world: Any) -> None:
    release = world.release()
    assert signed_fingerprint(release, world.keys.public_keys()) == {}
    assert "fingerprint" not in release.contract_expanded["export"]
