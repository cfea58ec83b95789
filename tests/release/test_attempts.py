"""What counts as an attempt, and what resets the count (METRICS, "Repeated tries")."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from synth_contracts.contract.model import Roles, SourceRef
from synth_contracts.errors import Refused, UsageError
from synth_contracts.release import (
    approve,
    check_attempts,
    promote,
    record_attempt,
    source_key,
)


def attempt(registry: Any, contract: Any, fingerprint: str, outcome: str = "FAILED") -> None:
    record_attempt(
        registry,
        contract=contract,
        fingerprint=fingerprint,
        run_id=f"run-{fingerprint}",
        outcome=outcome,
        exit_code=1 if outcome == "FAILED" else 3,
        message="Synthetic release blocked: ks_mean 0.3 is above 0.09",
        broken=["ks_mean"],
        card_digest="7" * 64,
        docs="docs.html",
    )


def test_other_builds_count_and_repeats_do_not(world: Any) -> None:
    key = source_key(world.contract)
    with world.registry() as registry:
        for fingerprint, counted in [("a", 1), ("a", 1), ("b", 2), ("a", 2), ("c", 3)]:
            attempt(registry, world.contract, fingerprint)
            assert registry.attempts(key) == counted
        attempt(registry, world.contract, "d", outcome="NOT_EVALUATED")
        assert registry.attempts(key) == 3, "what came to no verdict was not blocked"
        with pytest.raises(UsageError):
            attempt(registry, world.contract, "e", outcome="PASSED")


def test_the_attempt_after_the_last_is_refused(world: Any) -> None:
    with world.registry() as registry:
        for fingerprint in "abc":
            check_attempts(registry, world.contract, fingerprint)
            attempt(registry, world.contract, fingerprint)
        check_attempts(registry, world.contract, "b")  # this one again is not another try
        with pytest.raises(Refused, match=r"3 builds .* were blocked") as refused:
            check_attempts(registry, world.contract, "d")
        assert refused.value.exit_code == 5
        assert "ledger approve" in refused.value.mend
        approve(registry, source_key(world.contract), "ana", "the source was wrong")
        check_attempts(registry, world.contract, "d")
        with pytest.raises(UsageError):
            approve(registry, source_key(world.contract), "ana", "")


def test_the_count_outlives_renames_versions_seeds_and_work(world: Any) -> None:
    renamed = replace(
        world.contract,
        table="other",
        id="other",
        version="2.0.0",
        generator=replace(world.contract.generator, seed=7),
    )
    shouted = replace(
        world.contract,
        source=SourceRef("RAW", "duckdb", "elsewhere.duckdb", "Raw", "Transactions"),
    )
    assert source_key(renamed) == source_key(shouted) == source_key(world.contract)
    with world.registry() as registry:
        for contract, fingerprint in ((world.contract, "a"), (renamed, "b"), (shouted, "c")):
            attempt(registry, contract, fingerprint)
    world.work.unlink(missing_ok=True)
    with world.registry() as registry:
        assert registry.attempts(source_key(world.contract)) == 3
        with pytest.raises(Refused):
            check_attempts(registry, renamed, "d")


def test_other_sources_tables_and_units_count_apart(world: Any) -> None:
    others = [
        replace(world.contract, source=SourceRef("other", "duckdb", "x", "raw", "transactions")),
        replace(world.contract, source=SourceRef("raw", "duckdb", "x", "raw", "refunds")),
        replace(world.contract, source=SourceRef("raw", "duckdb", "x", "stage", "transactions")),
        replace(world.contract, roles=Roles(entity_key="store_id")),
    ]
    assert len({source_key(contract) for contract in [world.contract, *others]}) == 5


def test_a_promotion_resets_and_is_itself_held_to_the_limit(world: Any) -> None:
    key = source_key(world.contract)
    arguments = world.arguments("run-9")
    with world.registry() as registry:
        for fingerprint in "ab":
            attempt(registry, world.contract, fingerprint)
        promote(registry, **arguments)
        assert registry.attempts(key) == 0
        for fingerprint in "abc":
            attempt(registry, world.contract, fingerprint)
    world.rows = world.rows.slice(1)
    arguments = world.arguments("run-10")
    before = world.bytes()
    with world.registry() as registry, pytest.raises(Refused, match="maxAttempts"):
        promote(registry, **arguments)
    assert world.bytes() == before


def test_the_last_run_is_what_a_skipped_build_repeats(world: Any) -> None:
    with world.registry() as registry:
        assert registry.last_run("transactions") is None
        attempt(registry, world.contract, "a")
        last = registry.last_run("transactions")
        assert last is not None
        assert (last.fingerprint, last.outcome, last.exit_code) == ("a", "FAILED", 1)
        assert (last.run_id, last.docs) == ("run-a", "docs.html")
        assert "ks_mean" in last.message
        with pytest.raises(Refused, match="nothing of this table is released"):
            registry.verify_release("transactions")
    world.release("run-1")
    with world.registry(read_only=True) as registry:
        last = registry.last_run("transactions")
        assert last is not None
        assert (last.run_id, last.outcome, last.exit_code) == ("run-1", "PASSED", 0)
