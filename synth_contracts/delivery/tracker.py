"""The ticket as its system knows it: there, open, and the analyst's own.

`ask` is called before the registry is opened, so that nobody waits for published.duckdb while a
ticket system thinks. What it brought back is one of the conditions of the export. Whatever it is
that went wrong (no answer, an odd one, a library that is missing) is a refusal.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from synth_contracts.delivery.policy import check_subject
from synth_contracts.delivery.ticket import is_safe
from synth_contracts.errors import Refused, UsageError

if TYPE_CHECKING:
    from synth_contracts.delivery.jira_rest import Reader
    from synth_contracts.settings import Jira

PIP = 'pip install "synth-contracts[jira]"'
#: What stands in the ledger and in the bundle when no ticket system is configured.
PATTERN_ONLY = "pattern only"
#: Categories of a status (Jira's keys) in which work is still to be done.
_OPEN = ("new", "indeterminate")


@dataclass(frozen=True)
class Answer:
    """What a ticket system said of ``ticket`` for ``subject``, or why there is no yes.

    ``status`` is the key of the status's category; ``relation`` is assigned or watching; ``at`` the
    second at which the answer was complete (ISO 8601, UTC). They are empty when ``refusal`` is set.
    """

    ticket: str
    subject: str
    host: str = ""
    status: str = ""
    relation: str = ""
    at: str = ""
    refusal: Refused | UsageError | None = None

    @property
    def record(self) -> str:
        """One line for ledger and bundle, of fixed words and of what the project file says."""
        return f"jira host={self.host} status={self.status} relation={self.relation} at={self.at}"

    @property
    def says(self) -> str:
        """The same for people."""
        how = "assigned to" if self.relation == "assigned" else "watched by"
        return f"{self.ticket} on {self.host} is open ({self.status}) and {how} the analyst"


def _utc_now() -> datetime:
    return datetime.now(UTC)


def ask(
    jira: Jira | None,
    ticket: str,
    subject: str | None = None,
    *,
    now: Callable[[], datetime] = _utc_now,
) -> Answer | None:
    """Look ``ticket`` up for ``subject`` (default: the operating-system user).

    Returns:
        None when no ticket system is configured. A refusal is part of the answer, so that it is
        told in its place among the conditions.
    """
    if jira is None:
        return None
    who = ""
    try:
        who = check_subject(subject)
        status, relation, host = _within(jira, _key(ticket), _account(jira, who))
    except (Refused, UsageError) as error:
        return Answer(ticket, who, refusal=error)
    at = now().astimezone(UTC).isoformat(timespec="seconds")
    return Answer(ticket, who, host, status, relation, at)


def check_answer(answer: Answer | None, ticket: str, subject: str | None) -> str:
    """What the answer comes to, in words.

    Raises:
        Refused, UsageError: it is no yes, or it is about another ticket or another analyst.
    """
    if answer is None:
        return "no ticket system is configured: only the form of the ticket is checked"
    if answer.refusal is not None:
        raise answer.refusal
    if answer.ticket != ticket or answer.subject != check_subject(subject):
        raise Refused("the ticket system was asked about another ticket or another analyst")
    return answer.says


@dataclass(frozen=True)
class _Account:
    """A Jira account as the project knows it: an id, a name or an e-mail address.

    Display names never count: everybody chooses their own. Without a map the name of an
    operating-system user also stands for the part of an e-mail address before the ``@``.
    """

    name: str
    mapped: bool

    def owns(self, user: Any) -> bool:
        """Whether ``user``, as Jira's JSON, is this account."""
        if not isinstance(user, Mapping):
            return False
        mail = user.get("emailAddress")
        if not self.mapped and isinstance(mail, str):
            mail = mail.partition("@")[0]
        folded = [known for known in (user.get("name"), mail) if isinstance(known, str)]
        return user.get("accountId") == self.name or any(
            known.casefold() == self.name.casefold() for known in folded
        )


def _key(ticket: str) -> str:
    if not is_safe(ticket):  # it becomes part of an address
        raise Refused("a ticket of this form is not looked up", mend="give the key of one ticket")
    return ticket


def _account(jira: Jira, subject: str) -> _Account:
    if jira.users is None:
        return _Account(subject, mapped=False)
    if subject not in jira.users:
        raise Refused(
            f"no Jira account is known for {subject}",
            where=jira.where,
            mend="name it under tickets.jira.users",
        )
    return _Account(jira.users[subject], mapped=True)


def _within(jira: Jira, ticket: str, account: _Account) -> tuple[str, str, str]:
    """Status, relation and host, asked for in a thread that is waited for no longer than allowed.

    Time-outs of sockets begin anew with every byte, and looking up a host's name has none. A thread
    that is late has no reader any more and does not keep the process alive.
    """
    reader_of = _library(jira)  # before the clock starts: importing takes a while
    filled = jira.filled()
    host = urlsplit(filled.url).netloc
    deadline = time.monotonic() + filled.timeout
    come: queue.SimpleQueue[tuple[str, str] | Exception] = queue.SimpleQueue()

    def work() -> None:
        try:
            come.put(_look_up(reader_of(filled, deadline), ticket, account, host))
        except Exception as error:  # noqa: BLE001 - judged by who waits; none of them is a yes
            come.put(error)

    threading.Thread(target=work, name="ticket-system", daemon=True).start()
    try:
        found = come.get(timeout=filled.timeout)
    except queue.Empty:
        raise Refused(
            f"Jira at {host} did not answer within {filled.timeout:g} seconds",
            mend="try again once it answers, or raise tickets.jira.timeout",
        ) from None
    if isinstance(found, Refused | UsageError):
        raise found
    if isinstance(found, Exception):  # its text may hold what the server sent: not told
        raise _odd(host, type(found).__name__) from None
    return (*found, host)


def _library(jira: Jira) -> type[Reader]:
    try:
        from synth_contracts.delivery.jira_rest import Reader
    except ImportError as error:
        raise UsageError(
            f"tickets.jira needs the extra [jira], and {error.name} is not installed",
            where=jira.where,
            mend=PIP,
        ) from None
    return Reader


def _odd(host: str, what: str) -> Refused:
    return Refused(
        f"what Jira at {host} answered is not a ticket ({what})",
        mend="look whether tickets.jira.url is the address of a Jira that serves REST v3",
    )


def _look_up(reader: Reader, ticket: str, account: _Account, host: str) -> tuple[str, str]:
    """Status category and relation of an open ticket of the analyst's. Raises Refused."""
    issue = reader.issue(ticket)
    if issue.get("key") is None:
        raise _odd(host, "it has no key")
    if issue["key"] != ticket:
        raise Refused(
            f"Jira at {host} answered with another ticket than {ticket}",
            mend="it was moved, or is spelled otherwise: give its key as Jira shows it",
        )
    status = issue["fields"]["status"]["statusCategory"]["key"]
    if status == "done":
        raise Refused(
            f"the ticket {ticket} is closed",
            mend="reopen it in Jira, or give a ticket that is open",
        )
    if status not in _OPEN:
        raise Refused(
            f"the status of {ticket} is in no category of open tickets",
            mend=f"give its status one of Jira's categories: {', '.join(_OPEN)}",
        )
    if account.owns(issue["fields"].get("assignee")):
        return status, "assigned"
    if any(account.owns(user) for user in reader.watchers(ticket)["watchers"]):
        return status, "watching"
    raise Refused(
        f"the ticket {ticket} is neither assigned to nor watched by {account.name}",
        mend="have it assigned in Jira, watch it, or name your Jira account in tickets.jira.users",
    )
