"""The project file ``synth-contracts.yml`` and the environment variables that override it.

A contract says *what* server a table stands on; the target here says *where* that server's database
is. ``${VAR}`` and ``${VAR:-default}`` are filled from the environment. Relative paths are relative
to the project file.
"""

from __future__ import annotations

import ipaddress
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from synth_contracts.errors import ContractError, Problem, UsageError

FILE = "synth-contracts.yml"
#: Environment variables; they win over the project file.
KEYS_VARIABLE = "SYNTH_CONTRACTS_KEYS"
TARGET_VARIABLE = "SYNTH_CONTRACTS_TARGET"

_TOP = {
    "name", "contracts", "target", "targets", "keys", "splitKey", "exports", "gx", "artifacts",
    "tickets",
}  # fmt: skip
_TARGET = {"servers", "work", "published"}
_JIRA = {"url", "user", "token", "timeout", "ca", "users"}
#: Seconds within which Jira must have answered everything, and the most that may be asked for.
_TIMEOUT, _LONGEST_TIMEOUT = 10, 60
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


@dataclass(frozen=True)
class Target:
    """One environment: where each server's source is and where results go."""

    name: str
    servers: Mapping[str, str]
    work: Path
    published: Path


@dataclass(frozen=True)
class Jira:
    """Where tickets are looked up, with ``${VAR}`` still in place: only an export needs them.

    ``timeout`` is in seconds, for everything that is asked. ``ca`` is a file of certificates to
    trust in place of the usual ones. ``users`` gives the Jira account of an operating-system user;
    where it is given it alone decides.
    """

    url: str
    user: str | None
    token: str = field(repr=False)
    timeout: float
    ca: Path | None
    users: Mapping[str, str] | None
    where: str

    def filled(self, environ: Mapping[str, str] | None = None) -> Jira:
        """The same with the variables filled from the environment.

        Raises:
            UsageError: one is not set, or what it holds cannot be used. Never tells what it holds.
        """

        def fill(text: str, key: str) -> str:
            place = f"the variable for tickets.jira.{key}"
            found = _fill(text, self.where, environ, mend="set it for this command")
            if not found.isascii() or not found.isprintable() or not found or " " in found:
                raise UsageError(
                    f"{place} is empty, or holds white space or what is not printable ASCII",
                    where=self.where,
                    mend="set it anew, without a line break at its end",
                )
            return found

        url, token = fill(self.url, "url"), fill(self.token, "token")
        wrong = _address_fault(url)
        if wrong:
            raise UsageError(f"tickets.jira.url {wrong[0]}", where=self.where, mend=wrong[1])
        user = None if self.user is None else fill(self.user, "user")
        return Jira(url, user, token, self.timeout, self.ca, self.users, self.where)


@dataclass(frozen=True)
class Settings:
    """A project's settings with every path made absolute.

    ``demo_split`` is True for ``splitKey: demo``, the documented public split key that a build
    refuses for any source but the shipped demo table.
    """

    root: Path
    name: str
    contracts: tuple[Path, ...]
    target: Target
    keys: Path
    demo_split: bool
    exports: Path
    gx: Path
    artifacts: Path
    #: None: no ticket system is asked
    jira: Jira | None = None

    def source_database(self, server: str, declared: str, where: str) -> str:
        """The database of ``server``: the target's, else the contract's own with variables filled.

        Raises:
            UsageError: neither names one, or a variable is not set.
        """
        named = self.target.servers.get(server)
        if named is None and declared:
            named = _fill(declared, where)
        if not named:
            raise UsageError(
                f"no database is known for server {server!r}",
                where=where,
                mend=f"name it under targets.{self.target.name}.servers.{server} in {FILE}",
            )
        return str((self.root / named).resolve())


def find_project(start: Path) -> Path | None:
    """The nearest folder at or above ``start`` that holds a project file."""
    for folder in (start, *start.parents):
        if (folder / FILE).is_file():
            return folder
    return None


def load_settings(
    root: Path | None = None,
    *,
    target: str | None = None,
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """Read the project file of ``root`` (default: the nearest at or above the working folder).

    Raises:
        UsageError: there is no project file, the target is unknown, or the key folder lies inside
            the project.
        ContractError: the file is malformed; all problems at once.
    """
    env = os.environ if environ is None else environ
    folder = find_project(Path.cwd()) if root is None else root
    if folder is None or not (folder / FILE).is_file():
        raise UsageError(
            f"there is no {FILE} here or above",
            where=str(folder or Path.cwd()),
            mend="run `synth-contracts init .` to make a project, or use --project",
        )
    folder = folder.resolve()
    raw = _read(folder / FILE)
    targets = raw.get("targets") or {}
    name = target or env.get(TARGET_VARIABLE) or raw.get("target") or next(iter(targets), "dev")
    if targets and name not in targets:
        raise UsageError(
            f"target {name!r} is not defined",
            where=str(folder / FILE),
            mend=f"targets: {', '.join(targets)}",
        )
    chosen = targets.get(name) or {}
    here = str(folder / FILE)

    def place(value: str | None, default: str) -> Path:
        return (folder / Path(_fill(value or default, here, env)).expanduser()).resolve()

    project = str(raw.get("name") or folder.name)
    named = env.get(KEYS_VARIABLE) or raw.get("keys")
    keys = place(named, "") if named else _user_folder(env) / project
    if keys.resolve().is_relative_to(folder):
        raise UsageError(
            f"the key folder {keys} lies inside the project",
            where=KEYS_VARIABLE if env.get(KEYS_VARIABLE) else f"{here}: keys",
            mend="name one outside: whoever is given the project, or a copy of it, would have the "
            "signing key and the secret split with it",
        )
    return Settings(
        root=folder,
        name=project,
        contracts=tuple(place(item, item) for item in raw.get("contracts") or ["contracts"]),
        target=Target(
            name=name,
            servers={
                k: _fill(_database(v), here, env) for k, v in (chosen.get("servers") or {}).items()
            },
            work=place(chosen.get("work"), "warehouse/work.duckdb"),
            published=place(chosen.get("published"), "warehouse/published.duckdb"),
        ),
        keys=keys,
        demo_split=raw.get("splitKey") == "demo",
        exports=place(raw.get("exports"), "exports"),
        gx=place(raw.get("gx"), "gx"),
        artifacts=place(raw.get("artifacts"), "target"),
        jira=_jira(raw, folder, here),
    )


def _jira(raw: Mapping[str, Any], folder: Path, here: str) -> Jira | None:
    given = (raw.get("tickets") or {}).get("jira")
    if given is None:
        return None
    users, ca = given.get("users"), given.get("ca")
    return Jira(
        url=str(given["url"]),
        user=given.get("user"),
        token=str(given["token"]),
        timeout=float(given.get("timeout", _TIMEOUT)),
        ca=None if ca is None else (folder / Path(ca).expanduser()).resolve(),
        users=None if users is None else dict(users),
        where=here,
    )


def _user_folder(env: Mapping[str, str]) -> Path:
    base = env.get("XDG_CONFIG_HOME")
    if base:
        return Path(base) / "synth-contracts"
    home = Path(env["HOME"]) if env.get("HOME") else Path.home()
    return home / ".config" / "synth-contracts"


def _database(server: Any) -> str:
    return str(server["database"] if isinstance(server, Mapping) else server)


def _fill(
    text: str, where: str, environ: Mapping[str, str] | None = None, *, mend: str = ""
) -> str:
    env = os.environ if environ is None else environ

    def value(match: re.Match[str]) -> str:
        found = env.get(match[1], match[2])
        if found is None:
            raise UsageError(
                f"the environment variable {match[1]} is not set",
                where=where,
                mend=mend or f"export {match[1]}=..., or give the server a database in {FILE}",
            )
        return found

    return _VARIABLE.sub(value, text)


def _read(path: Path) -> dict[str, Any]:
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        raw = YAML(typ="rt").load(path.read_text(encoding="utf-8")) or {}
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else str(path)
        raise ContractError([Problem(where, str(error.problem or error))]) from error
    except (YAMLError, UnicodeDecodeError) as error:
        raise ContractError([Problem(str(path), f"cannot be read: {error}")]) from error
    problems = list(_problems(path, raw))
    if problems:
        raise ContractError(problems)
    return dict(raw)


def _problems(path: Path, raw: Any) -> list[Problem]:
    if not isinstance(raw, Mapping):
        return [Problem(f"{path}:1:1", "the project file must be a mapping")]
    found = []

    def at(node: Any, key: str) -> str:
        line, column = node.lc.key(key)
        return f"{path}:{line + 1}:{column + 1}"

    def unknown(node: Any, allowed: set[str]) -> None:
        import difflib

        for key in node:
            if key not in allowed:
                close = difflib.get_close_matches(str(key), sorted(allowed), n=1)
                mend = (
                    f"did you mean {close[0]!r}?"
                    if close
                    else f"known: {', '.join(sorted(allowed))}"
                )
                found.append(Problem(at(node, key), f"unknown key {key!r}", mend))

    unknown(raw, _TOP)
    contracts = raw.get("contracts", [])
    if not isinstance(contracts, list) or not all(isinstance(c, str) for c in contracts):
        found.append(Problem(at(raw, "contracts"), "contracts must be a list of paths"))
    for key in ("name", "target", "keys", "exports", "gx", "artifacts"):
        if key in raw and not isinstance(raw[key], str):
            found.append(Problem(at(raw, key), f"{key} must be text"))
    if raw.get("splitKey", "secret") not in {"secret", "demo"}:
        found.append(Problem(at(raw, "splitKey"), "splitKey must be `secret` or `demo`"))
    found.extend(_ticket_problems(raw, at, unknown))
    targets = raw.get("targets", {})
    if not isinstance(targets, Mapping):
        return [*found, Problem(at(raw, "targets"), "targets must be a mapping")]
    for name, target in targets.items():
        if not isinstance(target, Mapping):
            found.append(Problem(at(targets, name), f"target {name!r} must be a mapping"))
            continue
        unknown(target, _TARGET)
        servers = target.get("servers", {})
        if not isinstance(servers, Mapping):
            found.append(Problem(at(target, "servers"), "servers must be a mapping"))
            continue
        for server, value in servers.items():
            inner = value.get("database") if isinstance(value, Mapping) else value
            if not isinstance(inner, str):
                found.append(
                    Problem(at(servers, server), f"server {server!r} needs a database path")
                )
    return found


def _ticket_problems(
    raw: Any, at: Callable[[Any, str], str], unknown: Callable[[Any, set[str]], None]
) -> Iterator[Problem]:
    """Faults of ``tickets``. None of them tells what stands in ``token``."""
    if "tickets" not in raw:
        return
    tickets = raw["tickets"]
    if not isinstance(tickets, Mapping) or "jira" not in tickets:
        yield Problem(
            at(raw, "tickets"),
            "tickets must be a mapping with the key jira",
            "give tickets.jira.url and tickets.jira.token, or leave tickets out",
        )
        return
    unknown(tickets, {"jira"})
    jira = tickets["jira"]
    if not isinstance(jira, Mapping):
        yield Problem(at(tickets, "jira"), "jira must be a mapping with url and token")
        return
    unknown(jira, _JIRA)
    for key in ("url", "token"):
        if key not in jira:
            yield Problem(at(tickets, "jira"), f"jira needs {key}")
    for key in ("url", "user", "ca"):
        if key in jira and (not isinstance(jira[key], str) or not jira[key].strip()):
            yield Problem(at(jira, key), f"{key} must be text")
    # a default after :- would be a token in the file as well
    if "token" in jira and not re.fullmatch(r"\$\{[A-Za-z_][A-Za-z0-9_]*\}", str(jira["token"])):
        yield Problem(
            at(jira, "token"),
            "the token must not stand in this file",
            "write token: ${JIRA_TOKEN}, set that variable, and make a new token if one stood here",
        )
    url = jira.get("url")
    if isinstance(url, str) and url.strip() and not _VARIABLE.search(url):
        wrong = _address_fault(url)
        if wrong:
            yield Problem(at(jira, "url"), f"url {wrong[0]}", wrong[1])
    seconds = jira.get("timeout", _TIMEOUT)
    if (
        isinstance(seconds, bool)
        or not isinstance(seconds, int | float)
        or not (math.isfinite(seconds) and 0 < seconds <= _LONGEST_TIMEOUT)
    ):
        yield Problem(
            at(jira, "timeout"), f"timeout must be above 0 and at most {_LONGEST_TIMEOUT} seconds"
        )
    users = jira.get("users", {})
    if not isinstance(users, Mapping) or not all(
        isinstance(text, str) and text.strip() for pair in users.items() for text in pair
    ):
        yield Problem(
            at(jira, "users"),
            "users must map names of operating-system users to Jira accounts, both as text",
        )


def _address_fault(url: str) -> tuple[str, str] | None:
    """What is wrong with the address of a ticket system and its mend; never the address itself."""
    mend = "write it like https://jira.example.com"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return "is not an address", mend
    if parts.scheme not in {"http", "https"} or not host or port == 0:
        return "is not an address of http or https", mend
    if parts.username is not None or parts.password is not None:
        return "holds a user or password", "give them under user and token"
    if any(c in url for c in "?#\\{}") or not url.isascii() or not url.isprintable() or " " in url:
        return "holds more than a host and a path", mend
    if parts.scheme == "http" and not _loopback(host):
        return "would send the token in the clear", "use https (http is for this machine alone)"
    return None


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
