"""`export()`: policy, token, then the bundle, each step in the ledger before the next.

policy -> ``issued`` -> ``started`` -> write the partial folder, fsync, read the rows back and hold
them against the digest that was signed -> ``sealed`` with digests -> rename, fsync ->
``delivered``. On any failure the partial folder is removed and ``aborted`` is recorded; what a
crash leaves is settled by the next export. If the ledger cannot be written, nothing is exported.
"""

from __future__ import annotations

import shutil
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synth_contracts.contract.expand import canonical_json
from synth_contracts.delivery import token as tokens
from synth_contracts.delivery.bundle import (
    BAGIT,
    EXPANDED,
    STATEMENT,
    TAG_MANIFEST,
    TOKEN,
    Bundle,
    bag_info,
    data_package,
    finish,
    fsync_folder,
    sha256_file,
    write_file,
)
from synth_contracts.delivery.conditions import Question, refuse_existing, walk
from synth_contracts.delivery.datafile import Progress, silent, write_rows
from synth_contracts.delivery.journal import ABORTED, DELIVERED, ISSUED, REFUSED, SEALED, STARTED
from synth_contracts.delivery.journal import exports as journal
from synth_contracts.delivery.omitting import OmittedRows, SmallClass, omit
from synth_contracts.delivery.policy import check_bytes, check_rows
from synth_contracts.delivery.readme import readme
from synth_contracts.delivery.recovery import partial_path, recover, working_in
from synth_contracts.delivery.tracker import PATTERN_ONLY, Answer
from synth_contracts.errors import Refused, SynthContractsError
from synth_contracts.release.verify import check_rows_digest
from synth_contracts.signing import dump_canonical
from synth_contracts.warehouse import StoredRows

if TYPE_CHECKING:
    from synth_contracts.contract.model import ExportPolicy
    from synth_contracts.delivery.token import Token
    from synth_contracts.release import Registry, Release
    from synth_contracts.signing import KeyFolder, SigningKey


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class _Order:
    """Everything decided before the first byte is written."""

    release: Release
    rows: StoredRows | OmittedRows
    rows_digest: str
    policy: ExportPolicy
    token: Token
    key: SigningKey
    format: str
    issued: datetime
    target: Path
    statement: bytes
    ticket_check: str

    @property
    def weight(self) -> float | None:
        """What totals are multiplied with to stand for the pool's; None where it holds all."""
        return self.rows.weight if isinstance(self.rows, OmittedRows) else None

    @property
    def partial(self) -> Path:
        return partial_path(self.target, self.token.jti)

    @property
    def data_file(self) -> str:
        return f"{self.release.table}.{self.format}"


def export(
    registry: Registry,
    table: str,
    ticket: str,
    *,
    keys: KeyFolder,
    exports: Path,
    output: Path | None = None,
    format: str | None = None,  # noqa: A002 - the word that users of pandas and DuckDB expect
    subject: str | None = None,
    answer: Answer | None = None,
    now: Callable[[], datetime] = _utc_now,
    progress: Progress = silent,
) -> Bundle:
    """Write the released ``table`` as a bundle for ``ticket``, in local mode.

    Args:
        registry: the open registry; its ledger records every step.
        table: the released table.
        ticket: what the export is for.
        keys: signs the token and the bundle.
        exports: folder of default outputs, ``<table>-<ticket>-<first 8 of jti>``.
        output: the folder to make instead; it must not exist.
        format: ``parquet``, ``csv`` or ``arrow``; the contract's first when None.
        subject: who asks; the operating-system user when None. Never authenticated here.
        answer: what the ticket system said (`ask`); None when none is configured.
        now: the clock of token and quota.
        progress: told each step with the rows done and the rows in all.

    Raises:
        UsageError: unknown table or format, or the output exists (exit code 2).
        Refused: ticket, quota, size, not released, flagged, revoked, tampered with (exit code 5).
        WarehouseError: the ledger cannot be written; nothing was exported.
    """
    registry.note_expired()
    recover(registry)
    with ExitStack() as held:
        with registry.exclusive():  # nobody revokes or uses up the quota between check and issue
            asked = Question(
                registry,
                table,
                ticket,
                format,
                subject,
                output,
                keys,
                journal(registry),
                now(),
                held,
                answer,
                writes=True,
            )
            progress("checking", 0, 0)
            order = _order(asked, keys, exports)
            with _taken_back(registry, order):
                # in this order no crash leaves a folder that the ledger does not know; `recover`,
                # which takes the same lock, cannot come between the two
                registry.append(ISSUED, _issued(order))
                _make_partial(order)
                held.enter_context(working_in(order.partial))
        with _taken_back(registry, order):
            return _deliver(registry, order, progress)


def _order(asked: Question, keys: KeyFolder, folder: Path) -> _Order:
    for condition in walk(asked):
        if condition.error is not None:
            raise condition.error
    release, rows, policy = asked.release, asked.rows, asked.policy
    if release is None or rows is None or policy is None:  # no condition left it open
        raise Refused("nobody knows what the contract of the release allows")
    key = keys.signing_key()
    statement = dump_canonical(dict(release.statement))
    jti = tokens.fresh_id()
    digests = {
        "rows": release.rows_digest,
        "contract": release.contract_digest,
        "statement": sha256(statement).hexdigest(),
    }
    held: StoredRows | OmittedRows = rows
    if policy.fingerprint:
        held = _omitting(asked.registry, release, rows, keys, jti)
        check_rows(held.num_rows, policy, release.table)
        digests[tokens.EXPORTED] = held.digest()
    token = tokens.issue(
        key,
        subject=asked.subject,
        ticket=asked.ticket,
        release=release.id,
        table=release.table,
        digests=digests,
        ledger_head=asked.registry.head(),
        ttl=policy.token_ttl,
        now=asked.now,
        jti=jti,
        rows=held.num_rows if policy.fingerprint else None,
    )
    name = f"{release.table}-{asked.ticket}-{token.jti[:8]}"
    target = (asked.output if asked.output is not None else folder / name).absolute()
    refuse_existing(target)
    refuse_existing(partial_path(target, token.jti))  # from here on it is ours to remove
    check = PATTERN_ONLY if asked.answer is None else asked.answer.record
    digest = digests.get(tokens.EXPORTED, release.rows_digest)
    return _Order(
        release, held, digest, policy, token, key, asked.format, asked.now, target, statement, check
    )


def _omitting(
    registry: Registry, release: Release, rows: StoredRows, keys: KeyFolder, jti: str
) -> OmittedRows:
    """What the export holds; a refusal for it is recorded.

    The bound of an accusation counts every set that was drawn.
    """
    try:
        return omit(release, rows, keys, jti)
    except SmallClass:
        registry.append(REFUSED, {"jti": jti, "table": release.table, "release_id": release.id})
        raise


def _make_partial(order: _Order) -> None:
    try:
        order.partial.parent.mkdir(parents=True, exist_ok=True)
        order.partial.mkdir(mode=0o700)
    except OSError as error:
        raise _cannot_write(order, error) from error


@contextmanager
def _taken_back(registry: Registry, order: _Order) -> Iterator[None]:
    """On any failure leave no folder behind, and say so in the ledger."""
    try:
        yield
    except BaseException as error:
        with _uninterrupted():
            shutil.rmtree(order.partial, ignore_errors=True)
            reason = error.message if isinstance(error, Refused) else type(error).__name__
            # when even this entry cannot be written, the next export settles what is left
            with suppress(SynthContractsError):
                record = journal(registry).get(order.token.jti)
                if record is not None and not record.settled:
                    registry.append(ABORTED, {"jti": order.token.jti, "reason": reason})
        if isinstance(error, OSError):
            raise _cannot_write(order, error) from error
        raise


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """A second Ctrl-C does not end the tidying after the first (signals reach the main thread)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _issued(order: _Order) -> dict[str, Any]:
    claims = order.token.claims
    return {
        "jti": order.token.jti,
        "at": tokens.iso(claims["iat"]),
        "subject": claims["sub"],
        "ticket": claims["ticket"],
        "table": order.release.table,
        "release": order.release.id,
        "rows": order.rows.num_rows,
        "rows_digest": order.rows_digest,
        "format": order.format,
        "mode": claims["mode"],
        "expires_at": order.token.expires_at,
        "token_sha256": sha256(order.token.text.encode()).hexdigest(),
        "path": str(order.target),
        "ticket_check": order.ticket_check,
    }


def _deliver(registry: Registry, order: _Order, progress: Progress) -> Bundle:
    """The protocol after ``issued``, under the lock of the partial folder.

    Each entry is a redemption: it commits only while the release is live, and conflicts with a
    revoke at the same moment.
    """
    release, jti = order.release, order.token.jti
    registry.redeem(release.id, STARTED, {"jti": jti, "use_no": 1})
    data, digest = _write(order, progress)
    bundle = _bundle(order, data, digest)
    sealed = {
        "jti": jti,
        "data_sha256": bundle.data_sha256,
        "data_bytes": bundle.data_bytes,
        "tagmanifest_sha256": sha256_file(order.partial / TAG_MANIFEST),
    }
    registry.redeem(release.id, SEALED, sealed)
    refuse_existing(order.target)
    order.partial.rename(order.target)
    try:
        fsync_folder(order.target.parent)
        registry.redeem(release.id, DELIVERED, {"jti": jti})
    except BaseException:
        with _uninterrupted():
            if not registry.has_committed(DELIVERED, jti):
                order.target.rename(order.partial)  # without its last entry there was no export
        raise
    return bundle


def _bundle(order: _Order, data: Path, digest: str) -> Bundle:
    release, claims = order.release, order.token.claims
    return Bundle(
        path=order.target,
        table=release.table,
        release=release.id,
        ticket=claims["ticket"],
        subject=claims["sub"],
        jti=order.token.jti,
        format=order.format,
        rows=order.rows.num_rows,
        rows_digest=order.rows_digest,
        data_file=f"data/{data.name}",
        data_sha256=digest,
        data_bytes=data.stat().st_size,
        issued_at=tokens.iso(claims["iat"]),
        expires_at=order.token.expires_at,
    )


def _write(order: _Order, progress: Progress) -> tuple[Path, str]:
    """Write every file of the bundle into the partial folder; the data file and its SHA-256."""
    release, token, folder = order.release, order.token, order.partial
    payload = folder / "data"
    payload.mkdir()
    data = payload / order.data_file
    try:
        write_rows(data, order.rows, order.rows_digest, progress)
    except Refused:
        if isinstance(order.rows, StoredRows):  # of what is stored, or of the writing alone?
            check_rows_digest(release, order.rows.digest())
        raise
    check_bytes(data.stat().st_size, order.policy, release.table)
    digest = sha256_file(data)
    package = data_package(
        release.table,
        data,
        order.rows.schema,
        sha256=digest,
        version=release.version,
        weight=order.weight,
    )
    write_file(payload / "datapackage.json", package)
    write_file(payload / "report-card.html", release.analyst_card_html)
    write_file(payload / "report-card.json", release.analyst_card_json)
    write_file(payload / "contract.odcs.yaml", release.contract_text)
    write_file(payload / EXPANDED, canonical_json(release.contract_expanded))
    write_file(payload / STATEMENT, order.statement)
    write_file(payload / TOKEN, token.text)
    write_file(folder / "bagit.txt", BAGIT)
    write_file(folder / "bag-info.txt", bag_info(_labels(order), folder))
    write_file(
        folder / "README.txt",
        readme(release, token, order.data_file, order.key.kid, order.ticket_check, order.rows),
    )
    finish(folder, order.key)
    return data, digest


def _labels(order: _Order) -> dict[str, str]:
    """Fields of bag-info.txt."""
    release, token = order.release, order.token
    roles = ", ".join(order.policy.roles)
    return {
        "Bagging-Date": order.issued.astimezone(UTC).date().isoformat(),
        "Bag-Software-Agent": f"synth-contracts {version('synth-contracts')}",
        "External-Identifier": release.id,
        "External-Description": f"Synthetic rows of {release.table}",
        "Mode": "local",
        "Table": release.table,
        "Ticket": token.claims["ticket"],
        "Ticket-Check": order.ticket_check,
        "Subject": f"{token.claims['sub']} (operating-system user, not authenticated)",
        "Roles": f"{roles} (not checked in local mode)" if roles else "none asked",
        "Token-Id": token.jti,
        "Key-Id": order.key.kid,
        "Ledger-Head": token.claims["ledger_head"],
        **({"Expires": release.expires_at} if release.expires_at else {}),
    }


def _cannot_write(order: _Order, error: OSError) -> SynthContractsError:
    return SynthContractsError(
        f"the bundle cannot be written: {error.strerror or error}",
        where=str(order.target),
        mend="make room or name another --output; nothing was exported",
    )
