"""May this export happen? Decided by the contract that is bound into the release.

The contract file on disk does not count: loosening it after the run loosens nothing that was
released before.
"""

from __future__ import annotations

import os
import pwd
import re
from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import TYPE_CHECKING, Any

from synth_contracts.contract.model import ExportPolicy
from synth_contracts.delivery.datafile import FORMATS
from synth_contracts.delivery.journal import ExportRecord, count_today
from synth_contracts.errors import Refused, UsageError

if TYPE_CHECKING:
    from synth_contracts.release import Release

_CAMEL = re.compile(r"_([a-z])")
_TYPES: Mapping[str, tuple[type, ...]] = {
    "formats": (list,),
    "ticket_pattern": (str,),
    "token_ttl": (int,),
    "roles": (list,),
    "max_rows": (int, type(None)),
    "max_bytes": (int, type(None)),
    "max_exports_per_ticket_per_day": (int,),
    "max_attempts": (int,),
    "fingerprint": (bool,),
}


def export_policy(expanded: Any) -> ExportPolicy:
    """The export policy of a release, read from the expanded contract that it binds.

    Raises:
        Refused: it is not there, or not of this form: then nobody knows what is allowed.
    """
    section = expanded.get("export") if isinstance(expanded, dict) else None
    names = {_CAMEL.sub(lambda m: m[1].upper(), f.name): f.name for f in fields(ExportPolicy)}
    if isinstance(section, dict) and "fingerprint" not in section:
        section = {**section, "fingerprint": False}  # an expanded contract tells of none
    if not isinstance(section, dict) or set(section) != set(names):
        raise Refused(
            "the released contract holds no export policy of this version",
            mend="build a new release with this version",
        )
    values: dict[str, Any] = {name: section[camel] for camel, name in names.items()}
    for name, value in values.items():
        if type(value) not in _TYPES[name]:
            raise Refused(f"export.{name} of the released contract is malformed")
        if type(value) is list and any(type(item) is not str for item in value):
            raise Refused(f"export.{name} of the released contract is malformed")
    typed: dict[str, Any] = {k: tuple(v) if type(v) is list else v for k, v in values.items()}
    return ExportPolicy(**typed)


def choose_format(asked: str | None, policy: ExportPolicy) -> str:
    """The format to write: what was asked, else the contract's first.

    Raises:
        UsageError: no format is called that.
        Refused: the contract does not allow it.
    """
    if asked is not None and asked not in FORMATS:
        raise UsageError(f"no format is called {asked!r}", mend=f"one of {', '.join(FORMATS)}")
    allowed = [name for name in policy.formats if name in FORMATS]
    if not allowed or (asked is not None and asked not in allowed):
        raise Refused(
            f"the contract does not allow the format {asked or 'asked'}",
            mend=f"it allows: {', '.join(policy.formats) or 'none'}",
        )
    return asked or allowed[0]


def check_subject(subject: str | None) -> str:
    """Who exports: the given name, else the operating-system user (by user id, not by variable).

    Raises:
        UsageError: a name that is empty, longer than 128 characters or not printable.
    """
    if subject is None:
        try:
            subject = pwd.getpwuid(os.getuid()).pw_name
        except KeyError:
            subject = f"uid {os.getuid()}"
    if not subject.strip() or len(subject) > 128 or not subject.isprintable():
        raise UsageError("a subject is 1 to 128 printable characters")
    return subject


def check_rows(rows: int, policy: ExportPolicy, table: str) -> None:
    """Refuse an export of more rows than the contract allows. Raises Refused."""
    if policy.max_rows is not None and rows > policy.max_rows:
        raise Refused(
            f"the release holds {rows:,} rows, the contract allows {policy.max_rows:,}",
            where=table,
            mend="release fewer rows (generator.rows)",
        )


def check_quota(
    release: Release,
    policy: ExportPolicy,
    ticket: str,
    records: Mapping[str, ExportRecord],
    now: datetime,
) -> int:
    """How many exports of this ticket are left today, 1 or more.

    Raises:
        Refused: none is.
    """
    used = count_today(records, table=release.table, ticket=ticket, now=now)
    if used >= policy.max_exports_per_ticket_per_day:
        raise Refused(
            f"{ticket} has used its {policy.max_exports_per_ticket_per_day} exports of "
            f"{release.table} for today",
            mend="use the bundle that was exported, or wait for the next day (UTC)",
        )
    return policy.max_exports_per_ticket_per_day - used


def check_bytes(size: int, policy: ExportPolicy, table: str) -> None:
    """Refuse a data file of more bytes than the contract allows. Raises Refused."""
    if policy.max_bytes is not None and size > policy.max_bytes:
        raise Refused(
            f"the data file has {size:,} bytes, the contract allows {policy.max_bytes:,}",
            where=table,
            mend="ask for another format",
        )
