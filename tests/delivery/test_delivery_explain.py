"""`explain` tells every condition of an export, agrees with it, and writes nothing."""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from pathlib import Path
from typing import Any

import duckdb
import pytest

from synth_contracts.cli.main import run
from synth_contracts.delivery import Explanation, explain
from synth_contracts.errors import Refused, SynthContractsError, UsageError, WarehouseError
from synth_contracts.release import Registry, flag, revoke

NAMES = [
    "release", "verified", "ticket", "tracker", "format", "rows", "bytes", "exports", "roles", "token", "who",
    "key", "output",
]  # fmt: skip


def told(
    house: Any, table: str = "transactions", ticket: str = "DATA-123", **o: Any
) -> Explanation:
    with house.registry(read_only=True, settle=False) as registry:
        return explain(registry, table, ticket, keys=house.keys, now=lambda: house.now, **o)


def states(explanation: Explanation) -> dict[str, str]:
    return {one.name: one.state for one in explanation.conditions}


def everything(root: Path) -> dict[str, str]:
    """Every path below ``root`` and the digest of its bytes."""
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else ""
        for path in sorted(root.rglob("*"))
    }


def test_an_export_that_would_be_written_is_allowed_in_every_condition(released: Any) -> None:
    before = everything(released.root)
    found = told(released)
    assert everything(released.root) == before
    assert found.allowed
    assert states(found) == dict.fromkeys(NAMES, "allowed")
    released.export()


def test_what_only_the_writing_shows_is_not_known(house: Any) -> None:
    house.release(policy="maxBytes: 1000, roles: [analyst]")
    found = told(house, ticket="DATA-1")
    assert {k for k, v in states(found).items() if v == "not known"} == {"bytes", "roles"}
    assert found.allowed
    says = {one.name: one.says for one in found.conditions}
    assert "1,000" in says["bytes"]
    assert "local mode" in says["roles"]
    with pytest.raises(Refused, match="1,000"):
        house.export(ticket="DATA-1")


def _flagged(house: Any) -> None:
    with house.registry() as registry:
        flag(registry, "transactions", "look again", "compliance")


def _revoked(house: Any) -> None:
    with house.registry() as registry:
        revoke(registry, "transactions", "a test", "compliance")


def _edited(house: Any) -> None:
    with duckdb.connect(str(house.published)) as connection:
        ((name,),) = connection.sql(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = 'release_data'"
        ).fetchall()
        connection.execute(f"UPDATE release_data.\"{name}\" SET label = 'x' WHERE household = 3")


def _loosened(house: Any) -> None:
    with duckdb.connect(str(house.published)) as connection:
        connection.execute(
            "UPDATE registry.releases SET contract_expanded = "
            "replace(contract_expanded, '^DATA-[0-9]+$', '^.*$')"
        )


def _used(house: Any) -> None:
    house.export(ticket="DATA-9")


def _there(house: Any) -> None:
    (house.root / "there").mkdir()


def _open_key(house: Any) -> None:
    (house.key_folder / "signing.pem").chmod(0o644)


@pytest.mark.parametrize(
    ("name", "policy", "before", "asked"),
    [
        ("release", "", _flagged, {}),
        ("release", "", _revoked, {}),
        ("verified", "", _edited, {}),
        ("verified", "", _loosened, {}),
        ("ticket", "", None, {"ticket": "nonsense"}),
        ("ticket", "", None, {"ticket": "DATA-123\n"}),
        ("ticket", "", None, {"ticket": "../../DATA-1"}),
        ("format", "formats: [csv]", None, {"format": "parquet"}),
        ("format", "", None, {"format": "xlsx"}),
        ("rows", "maxRows: 39", None, {}),
        ("exports", "maxExportsPerTicketPerDay: 1", _used, {}),
        ("who", "", None, {"subject": "a\nTicket: DATA-9"}),
        ("key", "", _open_key, {}),
        ("output", "", _there, {"output": "there"}),
    ],
)
def test_what_is_refused_is_what_export_refuses_and_neither_writes_anything(
    released: Any, name: str, policy: str, before: Any, asked: dict[str, Any]
) -> None:
    house = released
    if policy:
        house.release(policy=policy)
    if before is not None:
        before(house)
    asked = {"ticket": "DATA-9", **asked}
    if "output" in asked:
        asked["output"] = house.root / asked["output"]
    unchanged, kinds = everything(house.root), house.kinds()
    found = told(house, **asked)
    assert not found.allowed
    (refused,) = [one for one in found.conditions if one.state == "refused"]
    assert refused.name == name
    assert refused.mend or name == "who"
    assert [one.name for one in found.conditions] == NAMES
    assert everything(house.root) == unchanged
    with pytest.raises(SynthContractsError) as caught:
        house.export(**asked)
    assert caught.value.message == refused.says
    # rows are looked at while they are written, and an export that was begun ends in the ledger
    begun = ["issued", "started", "aborted"] if before is _edited else []
    assert house.kinds() == [*kinds, *begun]
    after = {**everything(house.root), **({"exports": ""} if begun else {})}
    before_it = {**unchanged, **({"exports": ""} if begun else {})}  # an empty folder may be made
    assert {k: v for k, v in after.items() if not k.startswith("published")} == {
        k: v for k, v in before_it.items() if not k.startswith("published")
    }


def test_several_faults_are_told_at_once(house: Any) -> None:
    house.release(policy="maxRows: 39, formats: [csv]")
    found = told(house, ticket="nonsense", format="parquet")
    assert [k for k, v in states(found).items() if v == "refused"] == ["ticket", "format", "rows"]


def test_a_contract_that_nobody_signed_is_not_told_as_the_rules(released: Any) -> None:
    _loosened(released)
    assert states(told(released, ticket="anything"))["ticket"] == "not known"


def test_a_table_that_was_blocked_is_refused_and_one_that_nobody_built_is_unknown(
    released: Any,
) -> None:
    released.block("transactions_gan")
    found = told(released, "transactions_gan")
    assert not found.allowed
    assert states(found)["release"] == "refused"
    with pytest.raises(UsageError, match="no table"):
        told(released, "no_such_table")


def test_an_export_that_a_crash_left_counts_as_the_next_export_settles_it(
    house: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.release(policy="maxExportsPerTicketPerDay: 1")
    write = Registry.write

    def broken(self: Registry, kind: str, *rest: Any) -> Any:
        if kind in {"export_sealed", "export_aborted"}:
            raise WarehouseError("no space left on device")
        return write(self, kind, *rest)

    monkeypatch.setattr(Registry, "write", broken)
    with pytest.raises(WarehouseError):
        house.export(ticket="DATA-1")
    monkeypatch.undo()
    before = everything(house.root)
    assert told(house, ticket="DATA-1").allowed
    assert everything(house.root) == before
    house.export(ticket="DATA-1")
    assert states(told(house, ticket="DATA-1"))["exports"] == "refused"
    house.now += dt.timedelta(days=1)
    assert told(house, ticket="DATA-1").allowed


def test_a_head_that_a_crash_left_unsettled_is_not_settled_by_reading(released: Any) -> None:
    """A kill after COMMIT leaves the noted head one entry behind."""
    keys = released.key_folder
    with released.registry() as registry:
        flag(registry, "transactions", "look again", "compliance")
        flag(registry, "transactions", "looked", "compliance", clear=True)
        head, before = registry.head(), registry.entries()[-1].prev
        identifier = registry.id
    released.keys.write_head(identifier, before)
    released.keys.write_head(f"{identifier}-intended", head)
    noted = everything(keys)
    assert told(released).allowed
    assert everything(keys) == noted


def test_the_command_says_it_in_lines_and_in_json(
    project: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = project.root

    def said(*arguments: str) -> tuple[int, str]:
        code = run(["--project", str(folder), "export", "transactions", "--explain", *arguments])
        return code, capsys.readouterr().out

    before = everything(folder)
    code, out = said("--ticket", "DATA-123")
    assert code == 0
    assert len(out.splitlines()) == len(NAMES) + 2
    assert out.endswith("it would be exported\n")
    code, out = said("--ticket", "no\x1b[31mnsense")
    assert code == 5
    assert "\x1b" not in out
    assert "refused    ticket" in out
    assert "mend: give a ticket of the form" in out
    assert out.endswith("it would be refused (exit code 5)\n")
    code, out = said("--ticket", "nonsense", "--json")
    assert code == 5
    found = json.loads(out)
    assert found["allowed"] is False
    assert [one["name"] for one in found["conditions"]] == NAMES
    assert everything(folder) == before
