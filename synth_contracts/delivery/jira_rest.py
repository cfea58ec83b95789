"""Jira's REST v3 through the `jira` library, on a session that gives nothing away.

No redirect is followed, nothing is tried again, no proxy, ``.netrc`` or certificate bundle of the
environment is used, and an answer is read up to a size and a moment. What a server sends is never
part of an error: it may hold whatever was sent to it. Importing this needs the extra ``[jira]``.
"""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jira import JIRA, Issue, JIRAError, Watchers
from jira.client import TokenAuth
from jira.resilientsession import ResilientSession
from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from requests.exceptions import ConnectionError as Broken
from requests.exceptions import RequestException, SSLError, Timeout
from urllib3.exceptions import HTTPError, ReadTimeoutError

from synth_contracts.errors import Refused, UsageError

if TYPE_CHECKING:
    from synth_contracts.settings import Jira

#: Bytes of one answer. An issue of three fields has some thousand.
MOST_BYTES = 1_000_000
_CHUNK = 16_384
_ODD = "look whether tickets.jira.url is the address of a Jira that serves REST v3"


class _OneAnswer(HTTPAdapter):
    """Reads one JSON object per request, before anybody else sees it."""

    def __init__(self, host: str, deadline: float) -> None:
        self.host = host
        self.deadline = deadline
        super().__init__(max_retries=0)

    def send(
        self,
        request: PreparedRequest,
        stream: bool = False,  # noqa: ARG002 - as the base class has it
        timeout: Any = None,
        verify: bool | str = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> Response:
        response = super().send(request, True, timeout, verify, cert, proxies)
        try:
            if 300 <= response.status_code < 400:
                raise Refused(
                    f"Jira at {self.host} sent the request elsewhere (HTTP {response.status_code})",
                    mend="give the address that it leads to as tickets.jira.url, if it is yours",
                )
            body = self._read(response) if response.status_code == 200 else b""
        finally:
            response.close()
        if response.status_code == 200:
            self._check(body)
        response.raw = io.BytesIO(body)
        return response

    def _read(self, response: Response) -> bytes:
        if response.headers.get("Content-Encoding", "identity") != "identity":
            raise Refused(f"Jira at {self.host} answered in an encoding nobody asked", mend=_ODD)
        body = b""
        try:
            while chunk := response.raw.read1(_CHUNK):
                body += chunk
                if len(body) > MOST_BYTES:
                    raise Refused(
                        f"Jira at {self.host} answered with more than {MOST_BYTES:,} bytes",
                        mend=_ODD,
                    )
                if time.monotonic() > self.deadline:
                    raise Timeout
        except ReadTimeoutError as error:
            raise Timeout from error
        except HTTPError as error:
            raise Broken from error  # it broke off
        return body

    def _check(self, body: bytes) -> None:
        try:
            found = json.loads(body)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Refused(
                f"Jira at {self.host} answered with something else than JSON of a ticket "
                "(a login page?)",
                mend=_ODD,
            )


class Reader:
    """Reads tickets of one Jira until ``deadline`` (of `time.monotonic`)."""

    def __init__(self, jira: Jira, deadline: float) -> None:
        if jira.ca is not None and not jira.ca.is_file():
            raise UsageError("tickets.jira.ca names no file", where=str(jira.ca), mend="give a PEM")
        self._host = urlsplit(jira.url).netloc
        session = ResilientSession(timeout=jira.timeout, max_retries=0)
        session.trust_env = False  # no proxy, .netrc or certificates of the environment
        session.verify = True if jira.ca is None else str(jira.ca)
        # TokenAuth is a bearer token; with a user it is a token of Jira's cloud, sent as basic
        session.auth = TokenAuth(jira.token) if jira.user is None else (jira.user, jira.token)
        session.headers["Accept-Encoding"] = "identity"
        session.adapters.clear()
        session.mount(jira.url.rstrip("/") + "/", _OneAnswer(self._host, deadline))
        self._session = session
        self._options: dict[str, Any] = {
            **JIRA.DEFAULT_OPTIONS, "server": jira.url.rstrip("/"), "rest_api_version": "3",
        }  # fmt: skip

    def issue(self, key: str) -> Mapping[str, Any]:
        """Status and assignee of the ticket ``key``, as Jira's JSON. Raises Refused."""
        issue = Issue(self._options, self._session)
        self._ask(lambda: issue.find(key, params={"fields": "status,assignee"}), key)
        return self._raw(issue.raw)

    def watchers(self, key: str) -> Mapping[str, Any]:
        """Who watches the ticket ``key``, as Jira's JSON. Raises Refused."""
        watchers = Watchers(self._options, self._session)
        self._ask(lambda: watchers.find(key), f"the watchers of {key}")
        return self._raw(watchers.raw)

    def _raw(self, raw: object) -> Mapping[str, Any]:
        if not isinstance(raw, dict):
            raise Refused(f"Jira at {self._host} answered with nothing", mend=_ODD)
        return raw

    def _ask(self, find: Callable[[], None], what: str) -> None:
        try:
            find()
        except JIRAError as error:
            raise self._refused(error.status_code, what) from None
        except SSLError:
            raise Refused(
                f"the certificate of Jira at {self._host} is not trusted, or it speaks no TLS",
                mend="a certificate of your own house: name its file in tickets.jira.ca",
            ) from None
        except Timeout:
            raise Refused(
                f"Jira at {self._host} did not answer in time",
                mend="try again once it answers, or raise tickets.jira.timeout",
            ) from None
        except RequestException as error:
            raise Refused(
                f"Jira at {self._host} cannot be reached ({type(error).__name__})",
                mend="try again once it answers; proxies of the environment are not used",
            ) from None

    def _refused(self, status: int | None, what: str) -> Refused:
        if status in {401, 403}:
            return Refused(
                f"Jira at {self._host} does not let us read {what} (HTTP {status})",
                mend="look at the user and the token that tickets.jira names, and at their rights",
            )
        if status == 404:
            return Refused(
                f"Jira at {self._host} knows nothing of {what}, or does not show it (HTTP 404)",
                mend="give the key of a ticket that the account of tickets.jira may see",
            )
        return Refused(
            f"Jira at {self._host} could not answer about {what} (HTTP {status})",
            mend="try again once it answers",
        )
