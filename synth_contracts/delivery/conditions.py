"""The conditions of an export: one list, which `export` and `explain` both walk.

`export` stops at the first that is refused; `explain` tells them all. No condition writes anything.
What only the writing can show (the size of the data file) is ``not known`` here and judged there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from synth_contracts.delivery import token as tokens
from synth_contracts.delivery.journal import ExportRecord
from synth_contracts.delivery.policy import (
    check_quota,
    check_rows,
    check_subject,
    choose_format,
    export_policy,
)
from synth_contracts.delivery.ticket import check_ticket
from synth_contracts.delivery.tracker import Answer, check_answer
from synth_contracts.errors import Refused, SynthContractsError, UsageError
from synth_contracts.omission import ONE_OF
from synth_contracts.release.verify import check_rows_digest

if TYPE_CHECKING:
    from synth_contracts.contract.model import ExportPolicy
    from synth_contracts.release import Registry, Release
    from synth_contracts.signing import KeyFolder
    from synth_contracts.warehouse import StoredRows

State = Literal["allowed", "refused", "not known"]


@dataclass(frozen=True)
class Condition:
    """One condition and how it stands; ``error`` is what `export` raises for it."""

    name: str
    state: State
    says: str
    mend: str = ""
    error: SynthContractsError | None = None

    def to_json(self) -> dict[str, Any]:
        """A JSON object for ``--json``."""
        return {"name": self.name, "state": self.state, "says": self.says, "mend": self.mend}


@dataclass
class Question:
    """An export that is asked for. Those after the blank line are found while walking.

    ``rows`` are the rows of the release until ``held`` is left: verified, or, where ``writes`` is
    true and the contract asks no fingerprint, yet to be held against what was signed by whoever
    writes them (`datafile.write_rows`).
    """

    registry: Registry
    table: str
    ticket: str
    asked_format: str | None
    asked_subject: str | None
    output: Path | None
    keys: KeyFolder
    records: Mapping[str, ExportRecord]
    now: datetime
    held: ExitStack
    #: what the ticket system said; None when none is configured
    answer: Answer | None = None
    #: whether the rows are written next, so that reading them here as well would be once too often
    writes: bool = False

    release: Release | None = None
    rows: StoredRows | None = None
    policy: ExportPolicy | None = None
    format: str = ""
    subject: str = ""


class _NotKnown(Exception):
    """A condition cannot be judged yet."""


def walk(question: Question) -> Iterator[Condition]:
    """Every condition in order, each judged when it is asked for.

    Raises:
        UsageError: there is no such table: nothing can be said about its export.
    """
    for name, judge in _CONDITIONS:
        try:
            yield Condition(name, "allowed", judge(question))
        except _NotKnown as unknown:
            yield Condition(name, "not known", str(unknown))
        except (Refused, UsageError) as error:
            if name == "release" and isinstance(error, UsageError):
                raise
            yield Condition(name, "refused", error.message, error.mend, error)


def _released(question: Question) -> str:
    question.release = question.registry.released(question.table)
    question.registry.check_live(question.release)
    return f"release {question.release.id} is live"


def _verified(question: Question) -> str:
    release = question.release
    if release is None:
        raise _NotKnown("nothing is released that could be verified")
    if release.status == "revoked":
        raise _NotKnown("a release that was revoked is not verified")
    question.rows = question.held.enter_context(question.registry.signed(release))
    # a contract counts once the signature over its release was found right
    policy = export_policy(release.contract_expanded)
    # which rows a fingerprint leaves out, and their digest in the token, come from verified ones
    if policy.fingerprint or not question.writes:
        check_rows_digest(release, question.rows.digest())
    question.policy = policy
    return "rows, contract, signed statement, view and ledger match"


def _policy(question: Question) -> tuple[Release, ExportPolicy]:
    if question.release is None or question.policy is None:
        raise _NotKnown("only the contract of a release that verifies says so")
    return question.release, question.policy


def _ticket(question: Question) -> str:
    policy = _policy(question)[1]
    check_ticket(question.ticket, policy.ticket_pattern)
    return f"{question.ticket} is of the form {policy.ticket_pattern}"


def _tracker(question: Question) -> str:
    return check_answer(question.answer, question.ticket, question.asked_subject)


def _format(question: Question) -> str:
    question.format = choose_format(question.asked_format, _policy(question)[1])
    return question.format


def _rows(question: Question) -> str:
    release, policy = _policy(question)
    most = "no limit" if policy.max_rows is None else f"at most {policy.max_rows:,}"
    if policy.fingerprint:
        about = release.rows - release.rows // ONE_OF
        told = f"about {about:,} of the pool's {release.rows:,} rows, {most}"
        if policy.max_rows is not None and release.rows > policy.max_rows:
            raise _NotKnown(f"{told}; which are held is known once there is a token")
        return told
    check_rows(release.rows, policy, release.table)
    return f"{release.rows:,} rows, {most}"


def _bytes(question: Question) -> str:
    policy = _policy(question)[1]
    if policy.max_bytes is None:
        return "no limit"
    raise _NotKnown(f"at most {policy.max_bytes:,}; the size is known once the file is written")


def _today(question: Question) -> str:
    release, policy = _policy(question)
    left = check_quota(release, policy, question.ticket, question.records, question.now)
    return f"{left} of {policy.max_exports_per_ticket_per_day} of this ticket left today (UTC)"


def _roles(question: Question) -> str:
    roles = _policy(question)[1].roles
    if not roles:
        return "the contract asks for none"
    raise _NotKnown(f"{', '.join(roles)}: cannot be enforced in local mode")


def _life(question: Question) -> str:
    release, policy = _policy(question)
    tokens.check_life(policy.token_ttl, release.table)
    return f"the token is valid for {policy.token_ttl:,} seconds"


def _who(question: Question) -> str:
    question.subject = check_subject(question.asked_subject)
    return f"{question.subject} (operating-system user, not authenticated)"


def _key(question: Question) -> str:
    kid = question.keys.signing_kid()
    return f"signed by {kid}" if kid else "a signing key is made"


def _output(question: Question) -> str:
    if question.output is None:
        return "a new folder"
    refuse_existing(question.output)
    return f"{question.output} does not exist yet"


_CONDITIONS: tuple[tuple[str, Callable[[Question], str]], ...] = (
    ("release", _released),
    ("verified", _verified),
    ("ticket", _ticket),
    ("tracker", _tracker),
    ("format", _format),
    ("rows", _rows),
    ("bytes", _bytes),
    ("exports", _today),
    ("roles", _roles),
    ("token", _life),
    ("who", _who),
    ("key", _key),
    ("output", _output),
)


def refuse_existing(path: Path) -> None:
    """Raise UsageError where something, even a broken link, stands at ``path``."""
    try:
        there = path.exists() or path.is_symlink()
    except OSError as error:
        raise UsageError(
            f"the output folder cannot be made: {error.strerror}",
            where=str(path),
            mend="name another --output",
        ) from error
    if there:
        raise UsageError(
            "the output folder exists already",
            where=str(path),
            mend="name one that does not exist, or remove it",
        )
