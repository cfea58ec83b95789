"""No other door (issue, Show 7): what was not evaluated is refused and the file is untouched."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from synth_contracts.errors import Refused, WarehouseError
from synth_contracts.gate import Outcome, Verdict, judge
from synth_contracts.metrics.measurement import NotMeasured
from synth_contracts.release import Registry, promote, revoke
from synth_contracts.signing.dsse import open_envelope
from synth_contracts.signing.keys import KeyFolder
from synth_contracts.tables import rows_digest
from synth_contracts.warehouse import stage


def test_a_passed_candidate_is_released_whole(world: Any) -> None:
    release = world.release("run-1")
    assert (release.id, release.status, release.rows) == ("run-1", "live", 1000)
    with duckdb.connect(str(world.published), read_only=True) as connection:
        seen = connection.sql("SELECT * FROM release.transactions").to_arrow_table()
    assert rows_digest(seen) == rows_digest(world.rows) == release.rows_digest
    assert not world.published.with_suffix(".duckdb.wal").exists()
    assert world.published.stat().st_mode & 0o777 == 0o600
    assert world.published.parent.stat().st_mode & 0o777 == 0o700
    with world.registry(read_only=True) as registry:
        assert [entry.kind for entry in registry.entries()] == ["promoted"]
        verified, rows = registry.verified_rows("transactions")
    assert verified == release
    assert rows_digest(rows) == release.rows_digest


def test_the_view_reads_under_any_alias(world: Any) -> None:
    world.release()
    with duckdb.connect() as connection:
        connection.execute(f"ATTACH '{world.published}' AS elsewhere (READ_ONLY)")
        counted = connection.sql("SELECT count(*) FROM elsewhere.release.transactions").fetchall()
    assert counted == [(1000,)]


def test_the_statement_binds_and_gives_nothing_away(world: Any) -> None:
    release = world.release()
    statement = open_envelope(dict(release.statement), world.keys.public_keys())
    assert statement["subject"] == [
        {"name": "transactions", "digest": {"sha256": release.rows_digest}}
    ]
    predicate = statement["predicate"]
    assert predicate["contract"]["digest"] == world.contract.digest
    assert predicate["verdict"]["outcome"] == "PASSED"
    assert [r["id"] for r in predicate["verdict"]["rules"]] == ["membership_inference", "ks_mean"]
    text = str(statement)
    assert "5" * 64 not in text, "the source digest stays in the house"
    assert "424242" not in text, "the seed stays in the house"


def test_promoting_a_run_twice_is_promoting_it_once(world: Any) -> None:
    arguments = world.arguments("run-1")
    with world.registry() as registry:
        first = promote(registry, **arguments)
    before = world.bytes()
    with world.registry() as registry:
        assert promote(registry, **arguments) == first
    assert world.bytes() == before


def test_a_newer_release_supersedes_the_older(world: Any) -> None:
    world.release("run-1")
    world.rows = world.rows.slice(0, 800)
    world.release("run-2")
    with world.registry(read_only=True) as registry:
        assert [(r.id, r.status, r.stored_status) for r in registry.releases()] == [
            ("run-1", "superseded", "superseded"),
            ("run-2", "live", "live"),
        ]
        assert registry.verify_release("transactions").rows == 800
        assert registry.read_rows(registry.releases()[0]).num_rows == 1000


def _handmade(world: Any) -> dict[str, Any]:
    arguments = world.arguments("run-2")
    failing = world.evaluate(arguments["evaluation"].rows_digest, value=0.4)
    passed = arguments["verdict"]
    return {**arguments, "evaluation": failing, "verdict": passed}


def _failed(world: Any) -> dict[str, Any]:
    """Measured, sealed and judged as it should be, and blocked."""
    failing = world.evaluate(world.digest(), value=0.4)
    assert judge(world.contract, failing).outcome is Outcome.FAILED
    return world.arguments("run-2", evaluation=failing)


def _not_evaluated(world: Any) -> dict[str, Any]:
    arguments = _not_measured(world)
    verdict = judge(world.contract, arguments["evaluation"])
    assert verdict.outcome is Outcome.NOT_EVALUATED
    return {**arguments, "verdict": verdict}


def _handmade_seal(world: Any) -> dict[str, Any]:
    arguments = world.arguments("run-2")
    return {**arguments, "evaluation": replace(arguments["evaluation"], seal="0" * 64)}


def _unsealed(world: Any) -> dict[str, Any]:
    arguments = world.arguments("run-2")
    return {**arguments, "evaluation": replace(arguments["evaluation"], seal=None)}


def _edited_after_sealing(world: Any) -> dict[str, Any]:
    arguments = world.arguments("run-2")
    failing = world.evaluate(arguments["evaluation"].rows_digest, value=0.4)
    better = replace(failing, results=arguments["evaluation"].results)
    return {**arguments, "evaluation": better, "verdict": judge(world.contract, better)}


def _other_rows(world: Any) -> dict[str, Any]:
    other = world.evaluate(rows_digest(world.rows.slice(1)))
    return world.arguments("run-2", evaluation=other)


def _other_candidate(world: Any) -> dict[str, Any]:
    arguments = world.arguments("run-2")
    stage(world.work, "transactions", "run-2", world.rows.slice(0, 999))
    return arguments


def _edited_candidate(world: Any) -> dict[str, Any]:
    arguments = world.arguments("run-2")
    with duckdb.connect(str(world.work)) as connection:
        connection.execute('UPDATE staging."transactions__run-2" SET amount = 1 WHERE rowid = 7')
    return arguments


def _empty_suite(world: Any) -> dict[str, Any]:
    digest = rows_digest(world.rows)
    empty = world.evaluate(digest, results={})
    passed = Verdict(Outcome.PASSED, (), (), world.contract.digest, digest)
    return world.arguments("run-2", evaluation=empty, verdict=passed)


def _empty_suite_and_contract(world: Any) -> dict[str, Any]:
    from synth_contracts.contract.expand import with_digest

    nothing = with_digest(replace(world.contract, rules=()))
    empty = world.evaluate(rows_digest(world.rows), results={}, contract_digest=nothing.digest)
    return world.arguments(
        "run-2",
        contract=nothing,
        evaluation=empty,
        verdict=Verdict(Outcome.PASSED, (), (), nothing.digest, empty.rows_digest),
    )


def _no_privacy_rule(world: Any) -> dict[str, Any]:
    from synth_contracts.contract.expand import with_digest

    contract = with_digest(replace(world.contract, rules=world.contract.rules[1:]))
    base = world.evaluate(rows_digest(world.rows))
    evaluation = world.evaluate(
        rows_digest(world.rows),
        results={"ks_mean": base.results["ks_mean"]},
        contract_digest=contract.digest,
    )
    passed = Verdict(Outcome.PASSED, (), (), contract.digest, evaluation.rows_digest)
    return world.arguments("run-2", contract=contract, evaluation=evaluation, verdict=passed)


def _loosened_in_memory(world: Any) -> dict[str, Any]:
    """The limit is raised on the loaded contract, the digest left as it was."""
    loose = tuple(replace(r, threshold=0.9) for r in world.contract.rules)
    contract = replace(world.contract, rules=loose)
    evaluation = world.evaluate(rows_digest(world.rows), value=0.4)
    return world.arguments("run-2", contract=contract, evaluation=evaluation)


def _loosened_after_the_run(world: Any) -> dict[str, Any]:
    from synth_contracts.contract.expand import with_digest

    loose = tuple(replace(r, threshold=0.9) for r in world.contract.rules)
    contract = with_digest(replace(world.contract, rules=loose))
    evaluation = world.evaluate(rows_digest(world.rows), value=0.4)
    passing = world.evaluate(rows_digest(world.rows))
    verdict = replace(judge(world.contract, passing), contract_digest=contract.digest)
    return world.arguments("run-2", contract=contract, evaluation=evaluation, verdict=verdict)


def _not_measured(world: Any) -> dict[str, Any]:
    arguments = world.arguments("run-2")
    results = {
        **arguments["evaluation"].results,
        "ks_mean": NotMeasured("ks_mean", "no numeric column"),
    }
    evaluation = world.evaluate(arguments["evaluation"].rows_digest, results=results)
    return {**arguments, "evaluation": evaluation}


def _nan(world: Any) -> dict[str, Any]:
    arguments = world.arguments("run-2")
    spoilt = replace(arguments["evaluation"].results["ks_mean"], value=math.nan)
    results = {**arguments["evaluation"].results, "ks_mean": spoilt}
    return {**arguments, "evaluation": replace(arguments["evaluation"], results=results)}


def _without_checkpoint(world: Any) -> dict[str, Any]:
    return world.arguments(
        "run-2", evaluation=world.evaluate(rows_digest(world.rows), validation=None)
    )


def _sealed_elsewhere(world: Any) -> dict[str, Any]:
    from synth_contracts.evaluation.seal import seal
    from synth_contracts.signing.secrets import derive

    arguments = world.arguments("run-2")
    other = KeyFolder.open(world.root / "other keys")
    foreign = seal(arguments["evaluation"], derive(other.secret(), "evaluation-seal"))
    return {**arguments, "evaluation": replace(arguments["evaluation"], seal=foreign)}


def _no_card(world: Any) -> dict[str, Any]:
    return world.arguments("run-2", cards={"owner": {"html": "x", "json": {"x": 1}}})


def _no_commitment(world: Any) -> dict[str, Any]:
    return world.arguments("run-2", provenance={"versions": {"a": "1"}})


DOORS: list[Callable[[Any], dict[str, Any]]] = [
    _failed,
    _not_evaluated,
    _handmade,
    _handmade_seal,
    _unsealed,
    _edited_after_sealing,
    _other_rows,
    _other_candidate,
    _edited_candidate,
    _empty_suite,
    _empty_suite_and_contract,
    _no_privacy_rule,
    _loosened_in_memory,
    _loosened_after_the_run,
    _not_measured,
    _nan,
    _without_checkpoint,
    _sealed_elsewhere,
    _no_card,
    _no_commitment,
]


@pytest.mark.parametrize("door", DOORS, ids=lambda door: door.__name__.strip("_"))
def test_no_other_door(released: Any, door: Callable[[Any], dict[str, Any]]) -> None:
    world = released
    arguments = door(world)
    before = world.bytes()
    with world.registry() as registry, pytest.raises(Refused) as refused:
        promote(registry, **arguments)
    assert "as stored" not in refused.value.message, "it was written before it was checked"
    assert world.bytes() == before
    with world.registry(read_only=True) as registry:
        assert registry.verify_release("transactions").id == "run-1"


def test_a_contract_that_was_loosened_after_the_run_is_told_as_such(released: Any) -> None:
    with released.registry() as registry, pytest.raises(Refused, match="made for another contract"):
        promote(registry, **_loosened_after_the_run(released))


def test_a_dropped_candidate_cannot_be_promoted(world: Any) -> None:
    world.release("run-1")
    arguments = world.arguments("run-2")
    for later in ("run-3", "run-4"):
        stage(world.work, "transactions", later, world.rows)
    before = world.bytes()
    with world.registry() as registry, pytest.raises(WarehouseError, match="no candidate"):
        promote(registry, **arguments)
    assert world.bytes() == before


def test_revoked_rows_are_not_released_again(world: Any) -> None:
    world.release("run-1")
    with world.registry() as registry:
        revoke(registry, "transactions", "a household recognised herself", "ana")
    arguments = world.arguments("run-2")
    before = world.bytes()
    with world.registry() as registry, pytest.raises(Refused, match="revoked"):
        promote(registry, **arguments)
    assert world.bytes() == before


def test_one_run_cannot_release_twice_with_other_rows(world: Any) -> None:
    world.release("run-1")
    world.rows = world.rows.slice(0, 500)
    arguments = world.arguments("run-1")
    before = world.bytes()
    with world.registry() as registry, pytest.raises(Refused, match="other rows"):
        promote(registry, **arguments)
    assert world.bytes() == before


def test_a_candidate_of_no_rows_is_refused(world: Any) -> None:
    world.rows = pa.table({"basket_id": pa.array([], pa.int64())})
    arguments = world.arguments("run-2")
    with Registry.open(world.published, world.keys) as registry, pytest.raises(Refused):
        promote(registry, **arguments)
