"""One root error, caught once in the command line.

Every error says what is wrong, where (``file:line:col`` or ``table.column``) and what mends it,
and carries the exit code of the command line (DESIGN: 0 ok, 1 gate failed, 2 usage or contract,
3 could not be evaluated, 4 warnings, 5 refused by policy or failed verification).
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass


class SynthContractsError(Exception):
    """Root of every error this package raises on purpose.

    Args:
        message: what is wrong, one sentence.
        where: ``file:line:col`` or ``table.column``; empty when there is no place to name.
        mend: what the reader can do about it; empty only when nothing can be done.
    """

    exit_code = 3

    def __init__(self, message: str, *, where: str = "", mend: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.where = where
        self.mend = mend

    def __str__(self) -> str:
        place = f"{self.where}: " if self.where else ""
        mend = f"\n  mend: {self.mend}" if self.mend else ""
        return f"{place}{self.message}{mend}"


@dataclass(frozen=True)
class Problem:
    """One fault of a contract or settings file; ``where`` is ``file:line:col``."""

    where: str
    message: str
    mend: str = ""

    def __str__(self) -> str:
        mend = f"\n  mend: {self.mend}" if self.mend else ""
        return f"{self.where}: {self.message}{mend}"


#: Faults of the machine, not of this package, and what mends them.
_MACHINE = {
    errno.ENOSPC: "make room on the disk and run this again",
    errno.EDQUOT: "make room in the quota and run this again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f) and run this again",
    errno.EROFS: "name folders that can be written to in synth-contracts.yml",
    errno.EACCES: "make it accessible to the user who runs this",
    errno.EPERM: "make it accessible to the user who runs this",
    errno.EIO: "look after the disk; what was there before stands as it did",
}


def of_the_machine(error: OSError) -> SynthContractsError | None:
    """A full disk and its like as an error with a mend; None for what may be a fault of ours."""
    if error.errno not in _MACHINE:
        return None
    return SynthContractsError(
        f"a file cannot be written or read: {error.strerror}",
        where=str(error.filename) if error.filename else "",
        mend=_MACHINE[error.errno],
    )


class UsageError(SynthContractsError):
    """A command was called with something that does not exist or must not be overwritten."""

    exit_code = 2


class ContractError(SynthContractsError):
    """A contract or settings file is invalid; carries all its problems at once."""

    exit_code = 2

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SourceError(SynthContractsError):
    """The source is missing, empty, locked, or does not hold what the contract declares."""


class WarehouseError(SynthContractsError):
    """A database file is locked, damaged or written by something else."""


class LockedError(WarehouseError):
    """A database file is held: by the process ``pid``, or by this one when that is None."""

    def __init__(self, message: str, *, where: str, mend: str, pid: int | None) -> None:
        super().__init__(message, where=where, mend=mend)
        self.pid = pid


class GenerationError(SynthContractsError):
    """A generator could not be fitted or did not return what was asked."""


class NotEvaluatedError(SynthContractsError):
    """The evaluation did not come to a verdict (NOT_EVALUATED)."""


class Refused(SynthContractsError):
    """Policy forbids it, or a verification failed: ticket, quota, revoked, tampering, token."""

    exit_code = 5


class ReleaseBlocked(SynthContractsError, RuntimeError):
    """The gate came to FAILED; the message names every broken rule in the contract's words."""

    exit_code = 1
