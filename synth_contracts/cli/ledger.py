"""`ledger`: verify it, read it, take a copy of it, approve further attempts."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from synth_contracts.cli.project import contracts_of, settings_of
from synth_contracts.cli.registry import by_user, marks_of, open_registry
from synth_contracts.cli.wording import facts, hanging, plain
from synth_contracts.errors import NotEvaluatedError, UsageError

if TYPE_CHECKING:
    from synth_contracts.release import LedgerEntry
    from synth_contracts.release.auditing import LedgerAudit
    from synth_contracts.signing import PublicKey

_KINDS = (
    "approved", "attempt", "budget_spent", "export_aborted", "export_delivered", "export_issued",
    "expired", "export_sealed", "export_started", "fingerprint_refused", "flag_cleared", "flagged",
    "promoted", "revoked",
)  # fmt: skip
_HASH = re.compile(r"[0-9a-f]{64}")


class _Moment(click.ParamType[datetime]):
    """A day or a time of ISO 8601; without a zone it is UTC."""

    name = "TIME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(
                f"{value!r} is no day or time like 2026-03-01 or 2026-03-01T12:00", param, ctx
            )
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


@click.group()
def ledger() -> None:
    """Verify, read and export the hash-chained ledger, or approve further attempts.

    Every command but `verify --file` opens the project's ledger, and a ledger that was edited,
    cut, rewritten or put back does not open: exit code 5, with the first broken entry.
    """


@ledger.command(short_help="Verify the ledger or an exported copy.")
@click.option(
    "--file", "copy", type=click.Path(path_type=Path), help="Verify this exported copy instead."
)
@click.option(
    "--jwks",
    type=click.Path(path_type=Path),
    help="With --file: the project's public keys (`keys list --jwks`); default: the project here.",
)
@click.option(
    "--chain-only",
    is_flag=True,
    help="With --file: check no signature. A copy that was rewritten whole is not noticed then.",
)
@click.option(
    "--head",
    "heads",
    multiple=True,
    metavar="HASH",
    help="A head noted earlier (from a bundle, a copy) that must stand in the ledger; repeatable.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def verify(
    context: click.Context,
    copy: Path | None,
    jwks: Path | None,
    chain_only: bool,
    heads: tuple[str, ...],
    as_json: bool,
) -> None:
    """Verify the whole ledger: chain, head beside the keys, signed statement of each release.

    With --file an exported copy is verified, without the project: its chain, and with the
    project's public keys its signed head and statements.

    \b
    Exit codes: 0 all of it holds; 2 usage; 3 no public keys to check a copy with;
    5 something does not hold: the first broken entry is named.
    """
    from synth_contracts.release.auditing import audit, check_heads

    for head in heads:
        if not _HASH.fullmatch(head):
            raise UsageError(f"{head[:80]!r} is no head", mend="64 digits of 0-9 and a-f")
    if copy is None:
        if jwks is not None or chain_only:
            raise UsageError("--jwks and --chain-only go with --file", mend="name a copy")
        with open_registry(settings_of(context), read_only=True) as registry:
            found = audit(registry)
            check_heads(registry.entries(), registry.id, heads)
        _tell(found, "ledger", as_json, anchor=True)
        return
    from synth_contracts.release.ledger_copy import verify_copy

    keys = None if chain_only else _public_keys(context, jwks)
    found, entries = verify_copy(copy, keys)
    check_heads(entries, found.registry, heads)
    if keys is None and not chain_only:
        raise NotEvaluatedError(
            f"the chain of {found.entries} entries holds, but nothing that is signed was checked: "
            "no public keys are known here",
            where=str(copy),
            mend="--jwks FILE with the output of `synth-contracts keys list --jwks`, or "
            "--chain-only",
        )
    _tell(found, str(copy), as_json, anchor=False)


def _public_keys(context: click.Context, jwks: Path | None) -> Mapping[str, PublicKey] | None:
    """The public keys in ``jwks``, else those of the project here; None when there are none."""
    from synth_contracts.signing import KeyFolder, read_jwks

    if jwks is not None:
        if not jwks.is_file():
            raise UsageError("there is no such file", where=str(jwks))
        return read_jwks(jwks.read_bytes(), str(jwks))
    try:
        folder = settings_of(context).keys
    except UsageError:
        if (context.find_root().obj or {}).get("project") is not None:
            raise  # a project that was named must be there
        return None
    if not folder.exists():
        return None
    return KeyFolder.open(folder, create=False).public_keys() or None


def _tell(found: LedgerAudit, what: str, as_json: bool, *, anchor: bool) -> None:
    if as_json:
        told = {"verified": found.signed is not None, **found.to_json(), "anchor": anchor}
        click.echo(json.dumps(told, indent=2))
        return
    held = "chain holds" if found.signed is None else "verified"
    click.echo(f"{plain(what)}: {held}, {_count(found.entries, 'entry', 'entries')}")
    said: dict[str, object] = {"head": found.head, "chain": "every entry follows the one before it"}
    if anchor:
        said["anchor"] = "the head kept beside the keys is the same"
    if found.signed is None:
        said["signed"] = "NOT CHECKED: a copy that was rewritten whole would look like this one"
    else:
        said["signed"] = (
            f"the statements of {_count(found.signed, 'release', 'releases')}, by this project's "
            "keys"
        )
    if found.kid is not None:
        said["copy"] = f"its head was signed at {found.signed_at} by the key {found.kid}"
    facts(said)


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


_FILTERS = (
    click.option("--table", help="Entries about this table, exports and approvals included."),
    click.option(
        "--kind",
        "kinds",
        multiple=True,
        type=click.Choice(_KINDS),
        metavar="KIND",
        help=f"Entries of this kind; repeatable: {', '.join(_KINDS)}.",
    ),
    click.option(
        "--since",
        type=_Moment(),
        help="Entries from then on: 2026-03-01 or 2026-03-01T12:00 (UTC).",
    ),
    click.option("--json", "as_json", is_flag=True, help="Print as JSON, with bodies and hashes."),
)


def _filters(command: Any) -> Any:
    for option in reversed(_FILTERS):
        command = option(command)
    return command


@ledger.command(short_help="Show one entry, or those that match.")
@click.argument("entry", required=False)
@_filters
@click.pass_context
def show(
    context: click.Context,
    entry: str | None,
    table: str | None,
    kinds: tuple[str, ...],
    since: datetime | None,
    as_json: bool,
) -> None:
    """Show ENTRY (its number, or 8 and more digits of its hash), or all entries, oldest first.

    Times are UTC. The ledger is verified before anything is shown.

    \b
    Exit codes: 0 shown, also when nothing matches; 2 no such entry or table;
    5 the ledger does not verify.
    """
    from synth_contracts.release.selecting import find

    if entry is None:
        _list(context, table, kinds, since, as_json)
        return
    if table is not None or kinds or since is not None:
        raise UsageError(
            "one entry is named: it cannot be filtered", mend="leave out ENTRY, or the filters"
        )
    with open_registry(settings_of(context), read_only=True) as registry:
        entries = registry.entries()
    one = find(entries, entry)
    if as_json:
        click.echo(json.dumps(_json(one), indent=2))
        return
    _one(one, entries)


@ledger.command("list")
@_filters
@click.pass_context
def list_entries(
    context: click.Context,
    table: str | None,
    kinds: tuple[str, ...],
    since: datetime | None,
    as_json: bool,
) -> None:
    """List entries, oldest first: `show` without an ENTRY."""
    _list(context, table, kinds, since, as_json)


def _list(
    context: click.Context,
    table: str | None,
    kinds: Sequence[str],
    since: datetime | None,
    as_json: bool,
) -> None:
    from synth_contracts.release.selecting import select

    with open_registry(settings_of(context), read_only=True) as registry:
        entries, head = registry.entries(), registry.head()
        statuses = {release.id: release.status for release in registry.releases()}
    chosen = select(entries, table=table, kinds=kinds, since=since)
    if as_json:
        click.echo(json.dumps([_json(one) for one in chosen], indent=2))
        return
    tokens = {str(one.body["jti"]): one.body for one in entries if one.kind == "export_issued"}
    digits = max(2, len(str(len(entries))))
    if chosen:
        click.echo(f"{'#':>{digits}}  {'when (UTC)':<16}  {'kind':<16}  what")
    for one in chosen:
        when = one.at[:16].replace("T", " ")
        lead = f"{one.seq:>{digits}}  {when}  {one.kind:<16}  "
        click.echo(hanging(lead, _what(one, tokens, statuses)))
    of = "" if len(chosen) == len(entries) else f"{len(chosen):,} of "
    click.echo(f"{of}{_count(len(entries), 'entry', 'entries')}, verified; head {head[:16]}")


def _what(
    entry: LedgerEntry, tokens: Mapping[str, Mapping[str, Any]], statuses: Mapping[str, str]
) -> str:
    """What an entry says, in a line."""
    body = entry.body
    table, release = body.get("table", ""), body.get("release_id", "")
    if entry.kind == "attempt":
        number = f" attempt {body['attempt']}" if body.get("attempt") else ""
        return f"{table} {body.get('outcome')}{number}: {', '.join(body.get('broken', []))}"
    if entry.kind == "promoted":
        status = statuses.get(str(release), "gone")
        return f"{table} {body.get('rows', 0):,} rows, release {release}, now {status}"
    if entry.kind == "expired":
        ended = str(body.get("expires_at"))[:16].replace("T", " ")
        return f"{table} at the end of its retention, {ended} (release {release})"
    if entry.kind in {"flagged", "flag_cleared", "revoked"}:
        return f"{table} by {body.get('by')}: {body.get('reason')} (release {release})"
    if entry.kind == "approved":
        return f"further attempts, by {body.get('by')}: {body.get('reason')}"
    if entry.kind == "budget_spent":
        return f"{table} epsilon {body.get('epsilon'):g} of {body.get('lifetime'):g}"
    issued = tokens.get(str(body.get("jti")), {})
    words = f"{issued.get('table')} {issued.get('ticket')} {issued.get('subject')}"
    if entry.kind == "export_issued":
        words += f", {issued.get('rows', 0):,} rows, token {str(body['jti'])[:8]}"
    return f"{words}: {body['reason']}" if body.get("reason") else words


def _one(entry: LedgerEntry, entries: Sequence[LedgerEntry]) -> None:
    from synth_contracts.release.selecting import tables_of

    click.echo(f"entry {entry.seq} of {len(entries)}, verified")
    told: dict[str, object] = {"at": entry.at, "kind": entry.kind}
    told["table"] = ", ".join(sorted(tables_of(entries)[entry.seq])) or "none"
    for name, value in entry.body.items():
        if name == "table" or value is None:
            continue
        told[name] = value if isinstance(value, str | int | float) else json.dumps(value)
    facts({**told, "prev": entry.prev, "hash": entry.hash})


def _json(entry: LedgerEntry) -> dict[str, Any]:
    return {**vars(entry), "body": dict(entry.body)}


@ledger.command("export", short_help="Write a signed copy to FILE.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_context
def export_copy(context: click.Context, file: Path, as_json: bool) -> None:
    """Write the whole ledger to FILE, which must not exist: JSON lines with a signed head.

    Whoever has the project's public keys (`keys list --jwks`) can verify the copy without this
    project: `ledger verify --file FILE --jwks KEYS`. It names analysts: keep it as such.

    \b
    Exit codes: 0 written; 2 FILE exists or its folder does not; 3 it cannot be
    written; 5 the ledger does not verify. Unless 0, nothing is written.
    """
    from synth_contracts.release.ledger_copy import write_copy
    from synth_contracts.signing import KeyFolder

    settings = settings_of(context)
    with open_registry(settings, read_only=True) as registry:
        written = write_copy(registry, file, KeyFolder.open(settings.keys).signing_key())
    if as_json:
        click.echo(json.dumps({"file": str(file), **written.to_json()}, indent=2))
        return
    click.echo(f"wrote {_count(written.entries, 'entry', 'entries')} to {plain(file)}")
    facts({"head": written.head, "signed": f"by the key {written.kid}"})


@ledger.command(short_help="Approve further attempts for TABLE.")
@click.argument("table")
@click.option("--reason", required=True, help="Why further attempts are justified.")
@click.pass_context
def approve(context: click.Context, table: str, reason: str) -> None:
    """Approve further attempts for TABLE after maxAttempts blocked builds."""
    from synth_contracts.release import approve as allow

    settings = settings_of(context)
    (contract,) = contracts_of(settings, (table,))
    with open_registry(settings) as registry:
        allow(registry, marks_of(settings, contract), by_user(), reason)
    click.echo(f"{table}: attempts are counted afresh from here")
