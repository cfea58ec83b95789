"""The ticket is looked up over HTTP: in a real server on loopback that serves Jira's REST paths."""

from __future__ import annotations

import base64
import datetime as dt
import gc
import gzip
import hashlib
import json
import logging
import os
import pwd
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import synth_contracts as sc
from synth_contracts.cli.main import run
from synth_contracts.delivery import Answer, ask, exporting
from synth_contracts.delivery.journal import exports
from synth_contracts.errors import ContractError, Refused
from synth_contracts.release import revoke
from synth_contracts.settings import Jira, load_settings

TOKEN = "canary-4f1c9be07d"
USER = "reader@example.com"
BASIC = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
ME = pwd.getpwuid(os.getuid()).pw_name
KEY = "DATA-123"


def issue(key: str = KEY, status: str = "indeterminate", assignee: Any = None) -> dict[str, Any]:
    return {
        "id": "10007",
        "key": key,
        "self": f"http://127.0.0.1/rest/api/3/issue/{key}",
        "fields": {
            "status": {"name": TOKEN, "statusCategory": {"id": 4, "key": status}},
            "assignee": assignee,
        },
    }


class Server:
    """A Jira of one ticket; ``odd`` takes over what it answers."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.issue: dict[str, Any] = issue(assignee={"name": ME})
        self.watchers: list[Any] = []
        self.odd: Callable[[Any], None] | None = None
        self.asked: list[tuple[str, str | None]] = []
        self.over = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                owner.asked.append((self.path, self.headers.get("Authorization")))
                if owner.odd is not None:
                    owner.odd(self)
                else:
                    owner.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: Any) -> None:
                pass  # clients hang up on purpose

        self.http = Quiet(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.http.socket = tls.wrap_socket(self.http.socket, server_side=True)
        self.scheme = "http" if tls is None else "https"
        threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.http.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.scheme}://{self.host}/jira"

    def answer(self, handler: Any) -> None:
        path = handler.path.partition("?")[0]
        if handler.headers.get("Authorization") not in {f"Basic {BASIC}", f"Bearer {TOKEN}"}:
            return send(handler, 401, {"errorMessages": ["who are you?"]})
        if path == f"/jira/rest/api/3/issue/{KEY}":
            return send(handler, 200, self.issue)
        if path == f"/jira/rest/api/3/issue/{KEY}/watchers":
            return send(handler, 200, {"watchCount": 1, "watchers": self.watchers})
        return send(handler, 404, {"errorMessages": ["Issue does not exist"]})

    def close(self) -> None:
        self.over.set()
        self.http.shutdown()
        self.http.server_close()


def send(handler: Any, status: int, body: Any, **headers: str) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    headers = {"Content-Type": "application/json", "Content-Length": str(len(raw)), **headers}
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(raw)


@pytest.fixture
def server() -> Iterator[Server]:
    found = Server()
    yield found
    found.close()


def configure(house: Any, url: str, *more: str, user: bool = True) -> Any:
    lines = [f"    url: {url}", "    token: ${JIRA_TOKEN}", *[f"    {line}" for line in more]]
    if user:
        lines.append("    user: ${JIRA_USER}")
    (house.root / "synth-contracts.yml").write_text(
        "name: house\nkeys: ../house-keys\ntargets:\n  dev:\n    servers: {source: source.duckdb}\n"
        "    work: work.duckdb\n    published: published.duckdb\n"
        "tickets:\n  jira:\n" + "".join(f"  {line}\n" for line in lines)
    )
    return house


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JIRA_TOKEN", TOKEN)
    monkeypatch.setenv("JIRA_USER", USER)


@pytest.fixture(scope="module")
def standing(
    released_once: Path, house_class: type[Any], tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """A released house for exports that write nothing."""
    return house_class(tmp_path_factory.mktemp("standing") / "house").like(released_once)


def export(house: Any, *arguments: str, ticket: str = KEY) -> int:
    return run(
        ["--project", str(house.root), "export", "transactions", "--ticket", ticket, *arguments]
    )


def everything(house: Any) -> dict[str, str]:
    """Every path of project and keys but published.duckdb, and its digest."""
    return {
        str(path): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in (house.root, house.key_folder)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith("published")
    }


def holds_secret(*texts: bytes | str) -> bool:
    raw = [text.encode() if isinstance(text, str) else text for text in texts]
    return any(secret.encode() in text for text in raw for secret in (TOKEN, BASIC))


# --- what is allowed ---


@pytest.mark.parametrize("relation", ["assigned", "watching"])
def test_an_open_ticket_of_the_analyst_is_exported_and_the_check_is_recorded(
    project: Any, server: Server, relation: str, capsys: Any, caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    if relation == "watching":
        server.issue = issue(assignee={"name": "somebody"})
        server.watchers = [{"name": "else"}, {"accountId": "5b", "emailAddress": f"{ME}@x.org"}]
    configure(project, server.url)
    assert export(project) == 0
    told = capsys.readouterr()
    paths = [path for path, _ in server.asked]
    assert paths[0] == f"/jira/rest/api/3/issue/{KEY}?fields=status%2Cassignee"
    assert paths[1:] == [f"/jira/rest/api/3/issue/{KEY}/watchers"] * (relation == "watching")
    assert {auth for _, auth in server.asked} == {f"Basic {BASIC}"}

    with project.registry(read_only=True) as registry:
        (record,) = exports(registry).values()
    head, _, at = record.ticket_check.rpartition(" at=")
    assert head == f"jira host={server.host} status=indeterminate relation={relation}"
    assert dt.datetime.fromisoformat(at).utcoffset() == dt.timedelta(0)
    bundle = Path(record.path)
    assert f"\nTicket-Check: {record.ticket_check}\n" in (bundle / "bag-info.txt").read_text()
    assert f"\nticket check: {record.ticket_check}\n" in (bundle / "README.txt").read_text()
    assert run(["--project", str(project.root), "verify", str(bundle)]) == 0

    folders = (project.root, project.key_folder)
    files = [p.read_bytes() for folder in folders for p in folder.rglob("*") if p.is_file()]
    assert any(b"JIRA_TOKEN" in text for text in files)
    assert not holds_secret(*files, told.out, told.err, caplog.text)


def test_a_ticket_that_nobody_looked_up_is_seen_as_such(
    project: Any, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    assert export(project, "--explain") == 0
    assert "no ticket system is configured" in capsys.readouterr().out
    bundle = project.export()
    assert "\nTicket-Check: pattern only\n" in (bundle.path / "bag-info.txt").read_text()
    # entries of before the check was recorded are read as before
    issued = exporting._issued
    monkeypatch.setattr(
        exporting,
        "_issued",
        lambda order: {k: v for k, v in issued(order).items() if k != "ticket_check"},
    )
    project.export()
    with project.registry(read_only=True) as registry:
        checks = [record.ticket_check for record in exports(registry).values()]
    assert checks == ["pattern only", None]


def test_a_bearer_token_is_sent_where_no_user_is_named(standing: Any, server: Server) -> None:
    configure(standing, server.url, user=False)
    assert export(standing, "--explain") == 0
    assert server.asked[0][1] == f"Bearer {TOKEN}"


def test_the_python_interface_asks_as_well(project: Any, server: Server) -> None:
    configure(project, server.url)
    server.issue = issue(status="done")
    with pytest.raises(Refused, match="closed"):
        sc.export("transactions", KEY, project=project.root)
    server.issue = issue(assignee={"name": ME})
    sc.export("transactions", KEY, project=project.root)


@pytest.mark.parametrize(
    ("account", "mapped", "yes"),
    [
        ({"accountId": "5b10:77"}, "5b10:77", True),
        ({"accountId": "5b10:77"}, "5B10:77", False),
        ({"emailAddress": "Ana@example.com"}, "ana@example.com", True),
        ({"emailAddress": "ana@example.org"}, "ana@example.com", False),
        ({"emailAddress": f"{ME}@example.org"}, "ana", False),  # the map alone decides
        ({"emailAddress": "ana@example.org"}, "ana", False),  # no half of an address in a map
        ({"name": ME}, None, False),  # nobody who is not in the map
        ({"displayName": "ana"}, "ana", False),
        ("ana", "ana", False),
    ],
)
def test_a_map_of_accounts_alone_decides_where_there_is_one(
    standing: Any, server: Server, account: Any, mapped: str | None, yes: bool, capsys: Any
) -> None:
    server.issue = issue(assignee=account)
    users = {ME: mapped} if mapped else {"another": "ana"}
    configure(standing, server.url, f"users: {json.dumps(users)}")
    assert export(standing, "--explain") == (0 if yes else 5)
    if mapped is None:
        assert "no Jira account is known" in capsys.readouterr().out
        assert server.asked == []


# --- what is refused ---


def redirect(handler: Any) -> None:
    """To the right ticket of the same server: following it would find all in order."""
    if "again" in handler.path:
        send(handler, 200, issue(assignee={"name": ME}))
    else:
        send(handler, 302, b"", Location=f"/jira/rest/api/3/issue/{KEY}?again")


def page(handler: Any) -> None:
    send(handler, 200, b"<html>Log in</html>", Content_Type="text/html")


def with_body(status: int, body: Any, **headers: str) -> Callable[[Any], None]:
    return lambda handler: send(handler, status, body, **headers)


def echo(status: int, **headers: str) -> Callable[[Any], None]:
    """A server that says again whatever it was sent."""
    return lambda handler: send(
        handler,
        status,
        {"errorMessages": [handler.headers["Authorization"], TOKEN]},
        X_Echo=TOKEN,
        **headers,
    )


#: Seconds after which a slow server gives up, so that a test without a bound fails and ends.
SLOW = 12


def hang(handler: Any) -> None:
    handler.server.over.wait(SLOW)


def drip_body(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    drip(handler, b" ")


def drip_headers(handler: Any) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    drip(handler, b"x")


def drip(handler: Any, byte: bytes) -> None:
    ends = time.monotonic() + SLOW
    while time.monotonic() < ends and not handler.server.over.wait(0.05):
        handler.wfile.write(byte)
        handler.wfile.flush()


def cut_off(handler: Any) -> None:
    whole = json.dumps(issue(assignee={"name": ME})).encode()
    send(handler, 200, whole, Content_Length=str(len(whole) + 10))


def hidden_watchers(handler: Any) -> None:
    if handler.path.endswith("/watchers"):
        send(handler, 403, {"errorMessages": [TOKEN]})
    else:
        send(handler, 200, issue())


MINE = {"name": ME}
GOOD = json.dumps(issue(assignee=MINE)).encode()
BAD: dict[str, tuple[Any, str]] = {
    "closed": (issue(status="done", assignee=MINE), "is closed"),
    "no category": (issue(status="undefined", assignee=MINE), "no category of open"),
    "a category that is no text": (issue(status=["new"], assignee=MINE), "no category of open"),
    "of nobody": (issue(), "neither assigned to nor watched by"),
    "of another": (issue(assignee={"name": "another"}), "neither assigned to nor watched by"),
    "only called so": (issue(assignee={"displayName": ME}), "neither assigned to nor watched by"),
    "moved": (issue("OTHER-7", assignee=MINE), "another ticket"),
    "spelled otherwise": (issue("data-123", assignee=MINE), "another ticket"),
    "no key": ({"fields": issue(assignee=MINE)["fields"]}, "not a ticket"),
    "no fields": ({"key": KEY}, "not a ticket"),
    "no status": ({"key": KEY, "fields": {"assignee": MINE}}, "not a ticket"),
    "unknown": (with_body(404, {"errorMessages": ["none"]}), "knows nothing of DATA-123"),
    "not let in": (echo(401), "does not let us read"),
    "forbidden": (echo(403), "does not let us read"),
    "forbidden with a reason": (
        echo(403, **{"x-authentication-denied-reason": TOKEN}),
        "does not let us read",
    ),
    "redirect": (redirect, "sent the request elsewhere"),
    "login page": (page, "login page"),
    "list": (with_body(200, b"[]"), "login page"),
    "null": (with_body(200, b"null"), "login page"),
    "empty": (with_body(200, b""), "login page"),
    "empty object": (with_body(200, b"{}"), "not a ticket"),
    "no content": (with_body(204, b""), "not a ticket"),
    "accepted with the ticket": (with_body(202, GOOD), "not a ticket"),
    "an end of JSON": (with_body(200, GOOD[:-1]), "login page"),
    "too deep": (with_body(200, b'{"a":' * 100_000), "login page"),
    "too large": (with_body(200, b" " * 1_100_000 + GOOD), "more than 1,000,000 bytes"),
    "compressed": (with_body(200, gzip.compress(GOOD), Content_Encoding="gzip"), "encoding"),
    "error": (echo(500), "HTTP 500"),
    "null error": (with_body(500, b"null"), "HTTP 500"),
    "busy": (echo(503, Retry_After="30"), "HTTP 503"),
    "too many": (echo(429, Retry_After="30"), "HTTP 429"),
    "cut off": (cut_off, "cannot be reached"),
    "hangs": (hang, "did not answer"),
    "drips a body": (drip_body, "did not answer"),
    "drips headers": (drip_headers, "did not answer"),
    "hides its watchers": (hidden_watchers, "does not let us read the watchers"),
}


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage of other tests is collected: at the end of the stack its finalizers would fail."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


@pytest.mark.parametrize("name", BAD)
def test_anything_but_a_clear_yes_is_refused_and_nothing_is_written(
    standing: Any, server: Server, name: str, capsys: Any, caplog: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    what, words = BAD[name]
    slow = "did not answer" in words
    if callable(what):
        server.odd = what
    else:
        server.issue = what
    server.http.over = server.over
    configure(standing, server.url, *(["timeout: 0.3"] if slow else []))
    before, published = everything(standing), standing.bytes()
    with uncollected():
        started = time.monotonic()
        assert export(standing) == 5
    assert time.monotonic() - started < 10, "neither tried again nor held up"
    told = capsys.readouterr()
    assert words in told.err
    assert "mend: " in told.err
    assert "<html>" not in told.err + caplog.text, "what a server sends is not told"
    assert len(server.asked) <= 2
    assert standing.bytes() == published
    assert standing.left_behind() == []
    assert everything(standing) == before
    assert not holds_secret(told.out, told.err, caplog.text)


def test_explain_asks_and_writes_nothing(standing: Any, server: Server, capsys: Any) -> None:
    configure(standing, server.url)
    before = everything(standing), standing.bytes()
    assert export(standing, "--explain") == 0
    told = capsys.readouterr().out
    assert f"{KEY} on {server.host} is open (indeterminate) and assigned to the analyst" in told
    server.issue = issue(status="done")
    assert export(standing, "--explain", "--json") == 5
    conditions = json.loads(capsys.readouterr().out)["conditions"]
    assert [one["name"] for one in conditions if one["state"] == "refused"] == ["tracker"]
    assert len(server.asked) == 2
    assert (everything(standing), standing.bytes()) == before


def test_a_ticket_that_is_no_part_of_an_address_is_not_asked_about(
    standing: Any, server: Server, capsys: Any
) -> None:
    configure(standing, server.url)
    for ticket in ("../../user", "DATA-1?x=1", "DATA-1\n", "DATA-1/watchers"):
        assert export(standing, "--explain", ticket=ticket) == 5
    assert export(standing, ticket="DATA-1/watchers") == 5
    assert server.asked == []


def test_nobody_there_and_no_trusted_certificate(
    standing: Any,
    server: Server,
    capsys: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    configure(standing, f"http://127.0.0.1:{port}")
    assert export(standing) == 5
    assert "cannot be reached" in capsys.readouterr().err
    configure(standing, server.url.replace("http:", "https:"))
    assert export(standing) == 5
    assert "it speaks no TLS" in capsys.readouterr().err
    assert server.asked == []
    pem = tmp_path / "own.pem"
    secure = Server(certificate(pem))
    try:
        configure(standing, secure.url)
        assert export(standing) == 5
        assert "is not trusted" in capsys.readouterr().err
        for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):  # nor whom the environment trusts
            monkeypatch.setenv(name, str(pem))
        assert export(standing, "--explain") == 5
        assert "is not trusted" in capsys.readouterr().out
        assert secure.asked == []
        configure(standing, secure.url, "ca: nowhere.pem")
        assert export(standing, "--explain") == 5
        assert "names no file" in capsys.readouterr().out
        configure(standing, secure.url, f"ca: {pem}")
        assert export(standing, "--explain") == 0
    finally:
        secure.close()


def certificate(pem: Path) -> ssl.SSLContext:
    """A server with a certificate of its own house; the certificate goes to ``pem``."""
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.now(dt.UTC)
    own = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .sign(key, hashes.SHA256())
    )
    pem.write_bytes(own.public_bytes(serialization.Encoding.PEM))
    private = pem.with_suffix(".key")
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, private)
    return context


def test_proxies_and_netrc_of_the_environment_get_nothing(
    standing: Any, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Server()
    try:
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login wrong password wrong\n")
        monkeypatch.setenv("NETRC", str(netrc))
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://{other.host}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        configure(standing, server.url, user=False)
        assert export(standing, "--explain") == 0
        assert server.asked[0][1] == f"Bearer {TOKEN}"
        assert other.asked == []
        # nor does another host that a redirect names
        server.odd = with_body(302, b"", Location=f"{other.url}/rest/api/3/issue/{KEY}")
        assert export(standing, "--explain") == 5
        assert other.asked == []
    finally:
        other.close()


def test_nobody_waits_for_the_registry_while_the_ticket_is_looked_up(
    project: Any, server: Server, capsys: Any
) -> None:
    """Another writer gets in, and what it wrote counts."""

    def revoked_meanwhile(handler: Any) -> None:
        with project.registry() as registry:
            revoke(registry, "transactions", "while they asked", "compliance")
        server.answer(handler)

    server.odd = revoked_meanwhile
    configure(project, server.url)
    assert export(project) == 5
    assert "revoked" in capsys.readouterr().err
    assert project.left_behind() == []


def test_an_answer_is_good_for_its_ticket_and_its_analyst_alone(released: Any) -> None:
    yes = {"host": "jira", "status": "new", "relation": "assigned", "at": "2026-03-01T12:00:00"}
    for answer in (Answer("DATA-1", ME, **yes), Answer(KEY, "another", **yes)):
        with pytest.raises(Refused, match="another ticket or another analyst"):
            released.export(answer=answer)
    assert released.kinds() == []
    released.export(answer=Answer(KEY, ME, **yes))


def test_a_server_that_never_ends_does_not_hold_the_process(server: Server) -> None:
    server.odd = drip_headers
    server.http.over = server.over
    code = (
        "from synth_contracts.settings import Jira; from synth_contracts.delivery import ask; "
        f"j = Jira({server.url!r}, None, '${{JIRA_TOKEN}}', 0.3, None, None, 'x'); "
        "import time; t = time.monotonic(); a = ask(j, 'DATA-1'); "
        "print(a.refusal.message, time.monotonic() - t < 5)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert "did not answer within 0.3 seconds True" in done.stdout


# --- what it needs ---


def test_the_variables_are_needed_by_an_export_alone(
    standing: Any, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    configure(standing, server.url)
    monkeypatch.delenv("JIRA_TOKEN")
    assert run(["--project", str(standing.root), "verify", "transactions"]) == 0
    assert export(standing) == 2
    assert "the environment variable JIRA_TOKEN is not set" in capsys.readouterr().err
    for bad in ("", f"{TOKEN}\n", f"{TOKEN} x", f"{TOKEN}ü"):
        monkeypatch.setenv("JIRA_TOKEN", bad)
        assert export(standing) == 2
        told = capsys.readouterr()
        assert "tickets.jira.token" in told.err
        assert not holds_secret(told.out, told.err)
    assert server.asked == []


def test_without_the_library_it_says_what_to_install(
    standing: Any, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    configure(standing, server.url)
    monkeypatch.delitem(sys.modules, "synth_contracts.delivery.jira_rest", raising=False)
    monkeypatch.setitem(sys.modules, "jira", None)
    assert export(standing) == 2
    assert 'mend: pip install "synth-contracts[jira]"' in capsys.readouterr().err
    assert server.asked == []


@pytest.mark.parametrize(
    ("lines", "line", "words"),
    [
        ([f"token: {TOKEN}"], 4, "must not stand in this file"),
        (["token: ${JIRA_TOKEN:-" + TOKEN + "}"], 4, "must not stand in this file"),
        (["token: x${JIRA_TOKEN}"], 4, "must not stand in this file"),
        (["url: http://jira.example.com"], 4, "in the clear"),
        (["url: http://127.0.0.1.example.com"], 4, "in the clear"),
        (["url: ftp://localhost"], 4, "not an address"),
        ([f"url: https://me:{TOKEN}@jira.example.com"], 4, "user or password"),
        (["url: https://jira.example.com/?a=1"], 4, "more than a host"),
        (["url: 'https://jira.example.com:x'"], 4, "not an address"),
        (["timeout: 0"], 5, "timeout must be"),
        (["timeout: 61"], 5, "timeout must be"),
        (["timeout: .nan"], 5, "timeout must be"),
        (["timeout: yes"], 5, "timeout must be"),
        (["timeout: true"], 5, "timeout must be"),
        (["users: [a]"], 5, "users must map"),
        (["users: {1000: a}"], 5, "users must map"),
        (["user: 7"], 5, "user must be text"),
        (["pasword: x"], 5, "unknown key 'pasword'"),
    ],
)
def test_a_malformed_section_is_a_problem_with_its_line(
    tmp_path: Path, lines: list[str], line: int, words: str
) -> None:
    given = {"url": "url: https://jira.example.com", "token": "token: ${JIRA_TOKEN}"}
    named = lines[0].partition(":")[0]
    rest = [text for key, text in given.items() if key != named]
    order = [*lines, *rest] if line == 4 else [*rest, *lines]
    text = "name: x\ntickets:\n  jira:\n" + "".join(f"    {one}\n" for one in order)
    (tmp_path / "synth-contracts.yml").write_text(text)
    with pytest.raises(ContractError) as caught:
        load_settings(tmp_path)
    (problem,) = caught.value.problems
    at = 4 if line == 4 else 6
    assert problem.where == f"{tmp_path / 'synth-contracts.yml'}:{at}:5"
    assert words in problem.message
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("section", "words"),
    [("tickets: x", "mapping"), ("tickets: {}", "key jira"), ("tickets: {jira: x}", "mapping"),
     ("tickets: {jira: {url: https://x.org}}", "needs token"),
     ("tickets: {jira: {token: '${T}'}}", "needs url")],
)  # fmt: skip
def test_half_a_section_is_not_no_section(tmp_path: Path, section: str, words: str) -> None:
    (tmp_path / "synth-contracts.yml").write_text(f"name: x\n{section}\n")
    with pytest.raises(ContractError, match=words):
        load_settings(tmp_path)


def test_an_address_from_a_variable_is_held_to_the_same_rules() -> None:
    jira = Jira("${JIRA_URL}", None, "${JIRA_TOKEN}", 5, None, None, "synth-contracts.yml")
    for url in ("http://jira.example.com", "https://a:b@x.org", "nonsense"):
        answer = ask(
            Jira(url, None, "${JIRA_TOKEN}", 5, None, None, "synth-contracts.yml"), "DATA-1"
        )
        assert answer is not None
        assert "tickets.jira.url" in str(answer.refusal)
        with pytest.raises(sc.SynthContractsError, match=r"tickets\.jira\.url"):
            jira.filled({"JIRA_URL": url, "JIRA_TOKEN": TOKEN})
    assert TOKEN not in repr(jira.filled({"JIRA_URL": "https://x.org", "JIRA_TOKEN": TOKEN}))
