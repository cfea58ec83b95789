"""The vendor sections of a contract, typed: JSON schema with meaning and default of every key."""

from __future__ import annotations

from typing import Any

from synth_contracts.contract.generators import GENERATORS
from synth_contracts.contract.model import Calendar
from synth_contracts.contract.rules import DEFAULT_K, PRESETS

_MAX_INT64 = 2**63 - 1


def _object(meaning: str, **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "description": meaning,
        "properties": properties,
        "additionalProperties": False,
    }


def _bool(meaning: str, default: bool = True) -> dict[str, Any]:
    return {"type": "boolean", "default": default, "description": meaning}


def _count(meaning: str, default: int | None = None, **limits: Any) -> dict[str, Any]:
    found = {"type": "integer", "description": meaning, "minimum": 1, "maximum": 10**12, **limits}
    return found if default is None else {**found, "default": default}


def _names(meaning: str) -> dict[str, Any]:
    return {
        "type": "array",
        "items": {"type": "string", "minLength": 1},
        "uniqueItems": True,
        "default": [],
        "description": meaning,
    }


def _name(meaning: str) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "description": meaning}


def _day(meaning: str) -> dict[str, Any]:
    return {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "description": meaning}


def _dp_section() -> dict[str, Any]:
    bound = {"type": ["number", "string"]}
    column = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "low": {**bound, "description": "Smallest value; what lies below counts as it."},
            "high": {**bound, "description": "Largest value; what lies above counts as it."},
            "bins": _count("Bins between low and high.", 32, minimum=1, maximum=4096),
            "scale": {
                "type": "string",
                "enum": ["linear", "log"],
                "default": "linear",
                "description": "Bins of equal width, or of equal width in log(1 + x - low).",
            },
            "points": {
                "type": "array",
                "items": {"type": "number"},
                "maxItems": 64,
                "default": [],
                "description": "Single values with a bin of their own, such as 0.",
            },
            "decimals": {
                "type": "integer",
                "minimum": 0,
                "maximum": 12,
                "description": "Decimals to which drawn numbers are rounded.",
            },
            "values": {
                "type": "array",
                "items": {"type": ["string", "integer", "boolean"]},
                "minItems": 1,
                "maxItems": 10_000,
                "description": "The categories; defaults to the property's enum.",
            },
            "other": {
                "type": ["string", "integer", "null"],
                "description": "What an unlisted category becomes; missing, if absent.",
            },
        },
    }
    return {
        **_object(
            "dp_marginals: all that its mechanism may know, declared and not read.",
            lifetimeEpsilon={
                "type": "number",
                "exclusiveMinimum": 0,
                "maximum": 10**6,
                "description": "The sum of epsilon over all fits of this source.",
            },
            unit=_name("Whom the guarantee covers: the entity key, or `row` without one."),
            maxRowsPerEntity=_count(
                "Rows of one entity that are read; noise is scaled to it.", maximum=10**6
            ),
            columns={
                "type": "object",
                "additionalProperties": column,
                "default": {},
                "description": "By column: its bounds and bins, or its categories.",
            },
            pairs={
                "type": "array",
                "items": {
                    "type": "array",
                    "items": {"type": "string"},
                    "minItems": 2,
                    "maxItems": 2,
                },
                "default": [],
                "description": "Pairs of columns whose joint counts are released.",
            },
            publishResults=_bool(
                "Let what was measured on real rows leave the house with the release.", False
            ),
            days=_object(
                "The daily series of the time index, released by itself.",
                start={"type": "string", "description": "First day, as 2017-01-01."},
                end={"type": "string", "description": "Last day."},
                daysPerEntity=_count("Days of one entity that are read.", maximum=10**5),
                share={
                    "type": "number",
                    "exclusiveMinimum": 0,
                    "exclusiveMaximum": 1,
                    "default": 0.4,
                    "description": "Share of the budget that the series gets.",
                },
            ),
        ),
        "type": ["object", "null"],
    }


def synthetic_section() -> dict[str, Any]:
    """The schema of the ``synthetic`` section; property order is the order of the docs."""
    roles = _object(
        "What columns mean.",
        entityKey=_name("The column that names a person or unit: the unit of privacy."),
        timeIndex=_name("The date or timestamp column that calendars are read from."),
        timezone=_name("IANA time zone of the time index, for example America/New_York."),
        quasiIdentifiers=_names("Columns that could single out a person when combined."),
        sensitive=_names("Columns whose disclosure would harm."),
        exclude=_names("Columns that are neither generated nor released."),
    )
    calendar = {
        **_object(
            "The model of entities and calendar around the rows; false to fit rows bare.",
            holidays={
                "type": ["string", "null"],
                "pattern": "^[A-Z]{2}(-[A-Z0-9]{1,3})?$",
                "description": "Country, or country and subdivision, whose holidays are modelled.",
            },
            volume={
                "type": "string",
                "enum": ["model", "replay"],
                "default": "model",
                "description": "How daily volumes are made: simulated, or train's own up to noise.",
            },
            volumeNoise={
                "type": "number",
                "minimum": 0,
                "maximum": 10**9,
                "default": Calendar.volume_noise,
                "description": "replay: scale of the noise on each day's total, in rows.",
            },
        ),
        "type": ["boolean", "object"],
    }
    outliers = {
        **_object(
            "Protections fitted on the training part alone; false for none.",
            rareCategory=_bool("Group categories that fewer than k entities hold."),
            topCode=_bool("Code numeric tails to the k-th most extreme entity."),
            reject=_bool(
                "Draw rows again that come too near a real outlier: calendar_cart, and models of "
                "rows in the frame, where it is off unless written."
            ),
            otherValue={
                "type": "object",
                "additionalProperties": {
                    "type": "integer",
                    "minimum": -_MAX_INT64,
                    "maximum": _MAX_INT64,
                },
                "description": "The value that stands for grouped codes of a column; -1 if absent.",
            },
        ),
        "type": ["boolean", "object"],
        "default": True,
    }
    generator = _object(
        "How rows are made.",
        type={
            "type": "string",
            "default": "calendar_cart",
            "examples": list(GENERATORS),
            "description": "The generator.",
        },
        rows={
            "if": {"type": "string"},
            "then": {"enum": ["source", "noisy"]},
            "else": {"type": "integer", "minimum": 1, "maximum": 10**9},
            "default": "source",
            "description": "How many rows are made; `source` for as many as the source has; "
            "`noisy` for as many as dp_marginals released.",
        },
        period=_object(
            "The days that rows are made for; the source's own if absent.",
            start=_day(
                "The first day; if absent the source's first, with `days` the next after it."
            ),
            end=_day("The last day."),
            days=_count("How many days, instead of `end`.", maximum=36_600),
        ),
        fitRows=_count("Fit on so many random rows of the training part.", maximum=10**9),
        seed={
            "type": "integer",
            "minimum": 0,
            "maximum": _MAX_INT64,
            "default": 0,
            "description": "Names a stream of the secret key; never enough to repeat a run alone.",
        },
        saveModel={
            "type": "boolean",
            "default": False,
            "description": "Keep the fitted model, encrypted, so that more rows can be sampled.",
        },
        calendar=calendar,
        outliers=outliers,
        entity={
            "type": ["boolean", "null"],
            "description": "The entity model: on where there is an entityKey. false: not yet.",
        },
        parameters={"type": "object", "description": "Parameters of the generator."},
        epsilon={
            "type": ["number", "null"],
            "exclusiveMinimum": 0,
            "exclusiveMaximum": 20,
            "description": "dp_marginals: epsilon of one fit, per unit.",
        },
        delta={
            "type": ["number", "null"],
            "exclusiveMinimum": 0,
            "maximum": 1e-4,
            "description": "dp_marginals: delta of one fit; far below one over the entities.",
        },
        dp=_dp_section(),
    )
    return _object(
        "How a synthetic copy is made and by which preset it is judged.",
        preset={"type": "string", "enum": list(PRESETS), "description": "A named set of rules."},
        k=_count(
            "The smallest group, everywhere: recoding, k_anonymity, rare categories, figures.",
            DEFAULT_K, minimum=2, maximum=10**6,
        ),
        codes=_names("Integer columns that are categories."),
        disable=_names("Rules of the preset that are not asked; reads LOOSENED."),
        roles=roles,
        split=_object(
            "How the source is split.",
            holdout={
                "type": "number",
                "minimum": 0.1,
                "maximum": 0.9,
                "default": 0.3,
                "description": "Share of entities that no generator sees.",
            },
        ),
        generator=generator,
        blindAbove=_count(
            "The smallest planted leak, in entities, that the attacks may fail to see: above it "
            "the card says blind, and the preset strict comes to no verdict.",
            type=["integer", "null"],
        ),
        constraints={
            "type": ["array", "null"],
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id", "check"],
                "properties": {
                    "id": {
                        "type": "string",
                        "pattern": "^[A-Za-z0-9_-]{1,80}$",
                        "description": "Names the constraint in reports.",
                    },
                    "check": {
                        "type": "string",
                        "minLength": 3,
                        "maxLength": 500,
                        "description": "A condition in SQL over the columns of one row.",
                    },
                },
            },
            "description": "Conditions over several columns that no row may break.",
        },
        relationships={"type": ["array", "null"], "description": "Not available yet: empty only."},
    )  # fmt: skip


def export_section() -> dict[str, Any]:
    """The schema of the ``export`` section."""
    return _object(
        "Who may take a released table out, and how much of it.",
        formats={
            "type": "array",
            "items": {"type": "string", "enum": ["parquet", "csv", "arrow"]},
            "minItems": 1,
            "uniqueItems": True,
            "default": ["parquet", "csv"],
            "description": "File formats of a bundle.",
        },
        ticketPattern={
            "type": "string",
            "minLength": 3,
            "maxLength": 200,
            "default": "^[A-Z][A-Z0-9]+-[0-9]+$",
            "description": "Regular expression that a whole ticket must match.",
        },
        tokenTtl={
            "type": ["string", "integer"],
            "default": "15m",
            "description": "Life of an export token: 900, 900s, 15m or 1h; at most 24h.",
        },
        roles=_names("Roles that may export."),
        maxRows=_count("Rows of one export at most; null for no limit.", type=["integer", "null"]),
        maxBytes={
            "type": ["string", "integer", "null"],
            "description": "Bytes of one export's data at most: 500000000, 500MB, 2GiB.",
        },
        maxExportsPerTicketPerDay=_count("Exports of one ticket in a day at most.", 50),
        maxAttempts=_count("Blocked builds since the last promotion at most.", 5),
        fingerprint={
            "type": ["boolean", "null"],
            "default": False,
            "description": "Whether each export leaves out another tenth of the entities, so that "
            "a leak can be traced to it.",
        },
    )
