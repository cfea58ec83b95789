"""What counts as an attempt, and what resets the count (METRICS, "Repeated tries")."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
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
    source_marks,
)


def attempt(
    registry: Any,
    contract: Any,
    fingerprint: str,
    outcome: str = "FAILED",
    sources: dict[str, str] | None = None,
    undecided: bool = False,
) -> int:
    entry = record_attempt(
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
        sources=sources,
        undecided=undecided,
    )
    return int(entry.body["attempt"])


def test_other_builds_count_and_repeats_do_not(world: Any) -> None:
    key = source_marks(world.contract)
    with world.registry() as registry:
        for fingerprint, counted in [("a", 1), ("a", 1), ("b", 2), ("a", 2), ("c", 3)]:
            assert attempt(registry, world.contract, fingerprint) == counted
            assert registry.attempts(key) == counted
        assert attempt(registry, world.contract, "d", outcome="NOT_EVALUATED") == 4
        assert registry.attempts(key) == 3, "what came to no verdict was not blocked"
        assert registry.attempt_number(key, "e") == 4
        assert [item["fingerprint"] for item in registry.attempt_entries(key)] == ["a", "b", "c"]
        with pytest.raises(UsageError):
            attempt(registry, world.contract, "e", outcome="PASSED")


def test_a_bound_outside_its_limit_counts_since_another_seed_may_bring_it_inside(
    world: Any,
) -> None:
    key = source_marks(world.contract)
    with world.registry() as registry:
        attempt(registry, world.contract, "a", outcome="NOT_EVALUATED", undecided=True)
        assert registry.attempt_number(key, "b") == 2
        assert registry.attempt_number(key, "a") == 1


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
        approve(registry, source_marks(world.contract), "ana", "the source was wrong")
        check_attempts(registry, world.contract, "d")
        with pytest.raises(UsageError):
            approve(registry, source_marks(world.contract), "ana", "")


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
        assert registry.attempts(source_marks(world.contract)) == 3
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
    key = source_marks(world.contract)
    with world.registry() as registry:
        for fingerprint in "ab":
            attempt(registry, world.contract, fingerprint)
    arguments = world.arguments("run-9", evaluation=world.evaluate(world.digest(), attempt=3))
    with world.registry() as registry:
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


def test_promotion_refuses_bounds_of_an_earlier_attempt(world: Any) -> None:
    """Sealed or not: an evaluation made as attempt 1 releases nothing as attempt 3."""
    with world.registry() as registry:
        for fingerprint in "ab":
            attempt(registry, world.contract, fingerprint)
    before = world.bytes()
    for number in (1, 2):
        evaluation = world.evaluate(world.digest(), attempt=number)
        arguments = world.arguments("run-1", evaluation=evaluation)
        with world.registry() as registry, pytest.raises(Refused, match="the ledger counts 3"):
            promote(registry, **arguments)
        assert world.bytes() == before
    claimed = replace(world.evaluate(world.digest(), attempt=1), attempt=3)
    arguments = world.arguments("run-1", evaluation=claimed)
    with world.registry() as registry, pytest.raises(Refused, match="seal"):
        promote(registry, **arguments)
    assert world.bytes() == before
    good = world.arguments("run-1", evaluation=world.evaluate(world.digest(), attempt=3))
    with world.registry() as registry:
        assert promote(registry, **good).status == "live"


def test_another_server_name_over_the_same_file_counts_on(world: Any) -> None:
    renamed = replace(
        world.contract, source=SourceRef("other", "duckdb", "", "RAW", "Transactions")
    )
    assert source_key(renamed) != source_key(world.contract)
    with world.registry() as registry:
        for fingerprint, contract in (("a", world.contract), ("b", renamed)):
            attempt(registry, contract, fingerprint, sources=marks(contract, "x.duckdb"))
        assert registry.attempts(marks(renamed, "x.duckdb")) == 2
        assert registry.attempts(marks(world.contract, "x.duckdb")) == 2
        assert registry.attempts(marks(renamed, "y.duckdb")) == 2, "linked through x.duckdb"
        other = replace(renamed, source=SourceRef("third", "duckdb", "", "raw", "transactions"))
        assert registry.attempts(marks(other, "y.duckdb")) == 0
        assert registry.attempts(marks(other, "y.duckdb", "1")) == 0
        attempt(registry, renamed, "c", sources=marks(renamed, "x.duckdb", "1"))
        assert registry.attempts(marks(other, "y.duckdb", "1")) == 3, "the same rows elsewhere"
        with pytest.raises(Refused, match="attempt 4 of 3"):
            check_attempts(registry, other, "d", marks(other, "y.duckdb", "1"))


def test_renaming_and_moving_in_turn_counts_on(world: Any) -> None:
    """(A, x), (B, x), (B, y), (C, y), ...: never two marks at once, so all are one source."""
    steps = [("a", "x"), ("b", "x"), ("b", "y"), ("c", "y"), ("c", "z")]
    with world.registry() as registry:
        for number, (server, file) in enumerate(steps, start=1):
            contract = replace(
                world.contract, source=SourceRef(server, "duckdb", "", "raw", "transactions")
            )
            assert attempt(registry, contract, str(number), sources=marks(contract, file)) == number
            assert registry.attempts(marks(contract, file)) == number


def test_links_and_case_of_a_path_are_one_place(world: Any, tmp_path: Path) -> None:
    (tmp_path / "a.duckdb").touch()
    (tmp_path / "b.duckdb").symlink_to(tmp_path / "a.duckdb")
    places = {
        source_marks(world.contract, database=str(tmp_path / name))["place"]
        for name in ("a.duckdb", "b.duckdb", "./a.duckdb", "A.duckdb")
    }
    assert len(places) == 1
    unit = replace(world.contract, roles=Roles(entity_key="store_id"))
    assert not set(marks(unit, "x", "1").values()) & set(marks(world.contract, "x", "1").values())


def test_a_release_of_another_file_under_the_same_name_resets_nothing(world: Any) -> None:
    """A target may point the declared server at an easier table; an approval is another thing."""
    here, there = marks(world.contract, "x.duckdb"), marks(world.contract, "y.duckdb")
    with world.registry() as registry:
        for fingerprint in "ab":
            attempt(registry, world.contract, fingerprint, sources=here)
    for run, sources, left in (("run-1", there, 2), ("run-2", here, 0)):
        evaluation = world.evaluate(world.digest(), attempt=3, sources=sources)
        with world.registry() as registry:
            promote(registry, **world.arguments(run, evaluation=evaluation))
            assert registry.attempts(here) == left
    with world.registry() as registry:
        attempt(registry, world.contract, "c", sources=here)
        approve(registry, there, "ana", "looked at")
        assert registry.attempts(here) == 0


def marks(contract: Any, file: str, digest: str | None = None) -> dict[str, str]:
    return source_marks(contract, database=f"/nowhere/{file}", digest=digest)


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
    world.release("run-1", evaluation=world.evaluate(world.digest(), attempt=2))
    with world.registry(read_only=True) as registry:
        last = registry.last_run("transactions")
        assert last is not None
        assert (last.run_id, last.outcome, last.exit_code) == ("run-1", "PASSED", 0)
