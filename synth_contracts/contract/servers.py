"""ODCS servers: where the real table stands. Environment variables are filled in here alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from synth_contracts.contract.columns import plain_name
from synth_contracts.contract.document import Map, Problems, locate
from synth_contracts.contract.model import SourceRef
from synth_contracts.errors import SourceError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")
#: types of servers that a source can be read from
READABLE = ("duckdb",)


def read_source_ref(root: Map, table: Map, name: str, problems: Problems) -> SourceRef | None:
    """The first server that can be read, with the table's physicalName; None without servers."""
    servers = root.get("servers") or ()
    seen: dict[str, int] = {}
    chosen: SourceRef | None = None
    for server in servers:
        label = server.get("server")
        if label is None:
            continue  # the schema has said so
        if label in seen:
            at = server.values_at["server"]
            problems.add(at, f"the server `{label[:80]}` is named twice", f"see line {seen[label]}")
        seen[label] = server.at[0]
        _check_variables(server, problems)
        if server.get("type") in READABLE and chosen is None:
            chosen = _source_ref(server, table, name, problems)
    if servers and chosen is None and not problems:
        problems.add(
            locate(root, ["servers"]),
            "no server is of a type that can be read",
            f"available: {', '.join(READABLE)}",
        )
    return chosen


def _source_ref(server: Map, table: Map, name: str, problems: Problems) -> SourceRef:
    schema = server.get("schema", "main")
    physical = table.get("physicalName", name)
    for key, holder, value in (("schema", server, schema), ("physicalName", table, physical)):
        if not plain_name(value):
            problems.add(
                holder.values_at.get(key, holder.at),
                f"`{key}` is empty or holds control characters",
            )
    return SourceRef(
        server=server["server"],
        type=server["type"],
        database=server.get("database", ""),
        schema=schema,
        table=physical,
    )


def _check_variables(server: Map, problems: Problems) -> None:
    for key, value in server.items():
        if isinstance(value, str) and "${" in _VARIABLE.sub("", value):
            problems.add(
                server.values_at[key],
                f"`{key}` holds a ${{ that is no variable",
                "write ${NAME} or ${NAME:-default}",
            )


def interpolate(ref: SourceRef, environ: Mapping[str, str]) -> SourceRef:
    """``ref`` with ``${NAME}`` and ``${NAME:-default}`` of its database and schema filled in.

    Raises:
        SourceError: a variable is not set (or is empty) and has no default.
    """

    def fill(match: re.Match[str]) -> str:
        value = environ.get(match[1]) or match[2]
        if not value:
            raise SourceError(
                f"the environment variable {match[1]} is not set",
                where=f"servers.{ref.server}",
                mend=f"set {match[1]}, or give the server `{ref.server}` a database in "
                "synth-contracts.yml",
            )
        return value

    return replace(
        ref, database=_VARIABLE.sub(fill, ref.database), schema=_VARIABLE.sub(fill, ref.schema)
    )
