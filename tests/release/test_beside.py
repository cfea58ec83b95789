"""Which releases of the same source stand beside a candidate, and that none is forgotten."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from synth_contracts.contract.expand import with_digest
from synth_contracts.contract.model import Roles, SourceRef
from synth_contracts.errors import Refused
from synth_contracts.release import flag, revoke, source_marks, stand_beside


def contract_of(world: Any, **changes: Any) -> Any:
    return with_digest(replace(world.contract, **changes))


def held(world: Any, contract: Any, **marks: Any) -> list[str]:
    with world.registry() as registry:
        return [
            r.id for r in stand_beside(registry, contract, source_marks(contract, **marks)).releases
        ]


def export(world: Any, release_id: str) -> None:
    """The ledger's entry of the moment from which rows are written outside."""
    with world.registry() as registry:
        registry.append("export_started", {"jti": "j", "release_id": release_id, "use_no": 1})


def release(world: Any, table: str, run_id: str, beside: tuple[str, ...] = (), **changes: Any):
    world.contract = contract_of(world, table=table, **changes)
    evaluation = world.evaluate(world.digest(), beside={"releases": list(beside)})
    return world.release(run_id, evaluation=evaluation)


def test_live_and_flagged_releases_of_other_tables_stand_beside(released: Any) -> None:
    other = contract_of(released, table="other")
    assert held(released, other) == ["run-1"]
    with released.registry() as registry:
        flag(registry, "transactions", "looked at", "me")
    assert held(released, other) == ["run-1"], "the review may end well"


def test_a_tables_own_release_counts_once_somebody_exported_it(released: Any) -> None:
    assert held(released, released.contract) == [], "it would be superseded, and nobody holds it"
    export(released, "run-1")
    assert held(released, released.contract) == ["run-1"]


def test_superseded_releases_count_where_they_were_exported(released: Any) -> None:
    release(released, "transactions", "run-2")
    release(released, "transactions", "run-3")
    other = contract_of(released, table="other")
    assert held(released, other) == ["run-3"]
    export(released, "run-2")
    assert held(released, other) == ["run-2", "run-3"]


def test_revoked_ones_are_left_out_and_counted_where_they_were_exported(released: Any) -> None:
    release(released, "other", "run-2", ("run-1",))
    export(released, "run-2")
    with released.registry() as registry:
        revoke(registry, "transactions", "unexported", "me")
        revoke(registry, "other", "exported", "me")
        third = contract_of(released, table="third")
        found = stand_beside(registry, third, source_marks(third))
    assert found.releases == ()
    assert found.revoked == 1


def test_the_source_is_known_by_any_mark_and_whatever_the_unit(released: Any) -> None:
    elsewhere = contract_of(
        released,
        table="other",
        source=SourceRef("renamed", "duckdb", "source.duckdb", "raw", "transactions"),
    )
    assert held(released, elsewhere) == [], "another server and table: another source"
    rows = contract_of(released, table="other", roles=Roles(entity_key=None))
    assert not set(source_marks(rows).values()) & set(source_marks(released.contract).values())
    assert held(released, rows) == ["run-1"], "the same people under no entity key"

    released.contract = contract_of(released, table="moved")
    marks = {"digest": "7" * 64}
    evaluation = released.evaluate(
        released.digest(),
        sources=source_marks(released.contract, **marks),
        beside={"releases": ["run-1"]},
    )
    released.release("run-2", evaluation=evaluation)
    assert held(released, elsewhere, **marks) == ["run-1", "run-2"], "by the rows, and through them"


def test_promotion_refuses_what_was_not_measured_with_a_release_that_came_out_since(
    released: Any,
) -> None:
    with pytest.raises(Refused, match="was not measured together with run-1"):
        release(released, "other", "run-2")
    assert held(released, contract_of(released, table="third")) == ["run-1"]
    release(released, "other", "run-2", ("run-1",))
    export(released, "run-2")
    with pytest.raises(Refused, match="was not measured together with run-2"):
        release(released, "other", "run-3", ("run-1",))
