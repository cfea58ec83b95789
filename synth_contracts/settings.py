"""The project file ``synth-contracts.yml`` and the environment variables that override it.

A contract says *what* server a table stands on; the target here says *where* that server's database
is. ``${VAR}`` and ``${VAR:-default}`` are filled from the environment. Relative paths are relative
to the project file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synth_contracts.errors import ContractError, Problem, UsageError

FILE = "synth-contracts.yml"
#: Environment variables; they win over the project file.
KEYS_VARIABLE = "SYNTH_CONTRACTS_KEYS"
TARGET_VARIABLE = "SYNTH_CONTRACTS_TARGET"

_TOP = {"name", "contracts", "target", "targets", "keys", "splitKey", "exports", "gx", "artifacts"}
_TARGET = {"servers", "work", "published"}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


@dataclass(frozen=True)
class Target:
    """One environment: where each server's source is and where results go."""

    name: str
    servers: Mapping[str, str]
    work: Path
    published: Path


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
    )


def _user_folder(env: Mapping[str, str]) -> Path:
    base = env.get("XDG_CONFIG_HOME")
    if base:
        return Path(base) / "synth-contracts"
    home = Path(env["HOME"]) if env.get("HOME") else Path.home()
    return home / ".config" / "synth-contracts"


def _database(server: Any) -> str:
    return str(server["database"] if isinstance(server, Mapping) else server)


def _fill(text: str, where: str, environ: Mapping[str, str] | None = None) -> str:
    env = os.environ if environ is None else environ

    def value(match: re.Match[str]) -> str:
        found = env.get(match[1], match[2])
        if found is None:
            raise UsageError(
                f"the environment variable {match[1]} is not set",
                where=where,
                mend=f"export {match[1]}=..., or give the server a database in {FILE}",
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
