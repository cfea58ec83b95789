"""A contract's columns, roles and constraints met with the physical columns of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from synth_contracts.contract.model import Column, Contract, Roles
from synth_contracts.errors import SourceError
from synth_contracts.tables.constraints import check_kinds
from synth_contracts.tables.schema import TEMPORAL, Field, Kind, TableSchema

_INTEGERS = {
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT",
    "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
}  # fmt: skip


def resolve(contract: Contract, types: Sequence[tuple[str, str]]) -> TableSchema:
    """Join the contract's columns and roles with the physical columns of a table.

    Args:
        contract: the loaded contract.
        types: (column name, DuckDB type name) in table order; any name without control characters.

    Raises:
        SourceError: a declared column or role names no column of the table, or two columns differ
            only by case, or a column has a type that cannot be released (nested, binary).
    """
    table = contract.table
    by_fold: dict[str, str] = {}
    for name, _ in types:
        if name.casefold() in by_fold:
            raise SourceError(
                f"columns {by_fold[name.casefold()]!r} and {name!r} differ only by case",
                where=f"{table}.{name}",
                mend="rename one of them in the source, or select it away in a view",
            )
        by_fold[name.casefold()] = name

    def real(name: str, role: str) -> str:
        found = by_fold.get(name.casefold())
        if found is None:
            raise SourceError(
                f"{role} names the column {name!r}, which the source does not hold",
                where=f"{table}.{name}",
                mend=f"the source holds: {', '.join(by_fold.values())}",
            )
        return found

    for column in contract.columns:
        real(column.name, "the schema")
    roles = Roles(
        entity_key=contract.roles.entity_key and real(contract.roles.entity_key, "roles.entityKey"),
        time_index=contract.roles.time_index and real(contract.roles.time_index, "roles.timeIndex"),
        timezone=contract.roles.timezone,
        quasi_identifiers=tuple(
            real(n, "roles.quasiIdentifiers") for n in contract.roles.quasi_identifiers
        ),
        sensitive=tuple(real(n, "roles.sensitive") for n in contract.roles.sensitive),
        exclude=tuple(real(n, "roles.exclude") for n in contract.roles.exclude),
    )
    codes = {real(n, "codes") for n in contract.codes}
    fields = []
    for name, physical in types:
        declared = contract.column(name)
        key = name == roles.entity_key or bool(declared and declared.primary_key)
        tagged = bool(declared and {"pii", "direct-identifier"} & set(declared.tags))
        fields.append(
            Field(
                name=name,
                kind=_kind(table, name, physical, declared, name in codes),
                physical_type=physical.upper(),
                required=bool(declared and (declared.required or declared.primary_key)),
                key=key,
                excluded=not key and (name in roles.exclude or tagged),
                declared=declared,
            )
        )
    schema = TableSchema(
        table=table,
        fields=tuple(fields),
        roles=roles,
        constraints=tuple(
            replace(item, columns=tuple(real(n, f"the constraint {item.id}") for n in item.columns))
            for item in contract.constraints
        ),
    )
    check_kinds(schema)
    if roles.time_index and schema.field(roles.time_index).kind not in TEMPORAL:
        raise SourceError(
            f"roles.timeIndex is a {schema.field(roles.time_index).physical_type}, not a date",
            where=f"{table}.{roles.time_index}",
            mend="cast it in the source, or name another column",
        )
    return schema


def _kind(table: str, name: str, physical: str, declared: Column | None, code: bool) -> Kind:
    upper = physical.upper()
    logical = declared.logical_type if declared else None
    if upper in _INTEGERS:
        return Kind.CODE if code else Kind.INTEGER
    if code:
        raise SourceError(
            f"`codes` names a column of type {physical}, and codes are integers",
            where=f"{table}.{name}",
            mend="take it out of `codes`; text columns are categories already",
        )
    if upper in {"FLOAT", "DOUBLE", "REAL"} or upper.startswith("DECIMAL"):
        return Kind.NUMBER
    if upper == "BOOLEAN":
        return Kind.BOOLEAN
    if upper == "DATE":
        return Kind.DATE
    if upper.startswith("TIMESTAMP"):
        return Kind.TIMESTAMP
    if upper in {"VARCHAR", "UUID"} or upper.startswith("ENUM"):
        return Kind.TEXT
    raise SourceError(
        f"type {physical} cannot be generated" + (f" (declared {logical})" if logical else ""),
        where=f"{table}.{name}",
        mend="name it in roles.exclude, or cast it in a view",
    )
