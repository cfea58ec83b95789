"""Data Docs that open without a network and name the verdict first.

Great Expectations' own pages fetch fonts, styles and scripts from the net on every view. These have
one inline stylesheet, no script and no external link. The words on a page are those of the
validation result: the verdict that counts is the gate's, on the report card, which each page links.

``great_expectations.yml`` names ``OfflineSiteBuilder`` by module and class.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any
from urllib.parse import quote

from great_expectations.core import ExpectationSuite
from great_expectations.data_context.store.html_site_store import HtmlSiteStore
from great_expectations.data_context.types.resource_identifiers import SiteSectionIdentifier
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from synth_contracts.evaluation import plots
from synth_contracts.expectations.measured import result_from_json
from synth_contracts.metrics.measurement import Measurement
from synth_contracts.metrics.words import against, limit_text, number_text, title, value_text

#: under which the meta of a validation result holds what its page needs: card, columns
PAGE_NOTE = "synth_contracts_page"

BLOCKED, PASSED, NOT_EVALUATED = "RELEASE BLOCKED", "PASSED THESE TESTS", "NOT EVALUATED"

#: from a result's page to the site, and from the site to the project of Great Expectations
_UP, _SITE_TO_PROJECT = "../../../../", "../../../"

#: which number of the measurement stands against the limit
_JUDGED = {
    "value": "the value",
    "bound": "the one-sided 95 % bound",
    "lower": "the lower 95 % bound",
    "over_floor": "the value over its floor",
    "ceiling_share": "the share of its ceiling",
}


@dataclass(frozen=True)
class Row:
    """One rule on a validation page, in words."""

    state: str
    rule: str
    severity: str
    limit: str
    broken: str
    judged: str
    number: str
    value: str
    interval: str
    count: str
    note: str
    method: str = ""
    floor: str = ""
    plots: tuple[Markup, ...] = ()


def row(result: Any, place: int = 0, columns: Collection[str] = ()) -> Row:
    """The row of one expectation's result; whatever is missing in it reads "not measured".

    Args:
        result: of one expectation.
        place: of the row in the page; makes the ids of its plots.
        columns: names of columns that plots may print.
    """
    meta = result.expectation_config.meta or {}
    details = (result.result or {}).get("details") or {}
    state = str(details.get("state", "not measured"))
    if state == "holds" and not result.success:
        state = "broken"
    note, value, interval, count, number, method, floor = "", "", "", "", "", "", ""
    drawn: list[Markup] = []
    limit = meta.get("limit")
    words = ("at least", "below") if meta.get("operator") == ">=" else ("at most", "above")
    try:
        measured = result_from_json(details.get("result") or {})
    except ValueError:
        state, note = "not measured", "the expectation raised; the log has the trace"
    else:
        if isinstance(measured, Measurement):
            value, count = (
                value_text(measured.metric, measured.value),
                f"{measured.n:,} {measured.unit}",
            )
            if measured.lower is not None and measured.upper is not None:
                interval = f"{number_text(measured.lower)} to {number_text(measured.upper)}"
            method = f"{measured.method}; compared with {measured.compared_with}"
            if measured.floor is not None:
                floor = f"unseen real rows read {number_text(measured.floor)}"
            elif measured.ceiling is not None and measured.direction == "lower_is_better":
                floor = f"this test cannot show more than {number_text(measured.ceiling)}"
            elif measured.ceiling is not None:
                floor = f"unseen real rows reach {number_text(measured.ceiling)}"
            drawn = [
                plots.rule_plot(f"r{place}", measured, meta),
                plots.list_plot(f"l{place}", measured, columns),
            ]
            judged = measured.number(meta.get("judged", "value"))
            if judged is not None and limit is not None:
                number = against(judged, limit)
            if state == "not measured":
                note = "too few entities: the value is within the limit, its bound is not"
        else:
            # the text of an error may quote a value of a row
            note = "an error while measuring; the log has it" if measured.error else measured.reason
    return Row(
        state=state,
        rule=title(meta.get("metric", result.expectation_config.type), meta.get("column")),
        severity=str(meta.get("severity", "error")),
        limit="" if limit is None else f"{words[0]} {limit_text(limit)}",
        broken="" if limit is None else f"{words[1]} {limit_text(limit)}",
        judged=_JUDGED.get(meta.get("judged", ""), ""),
        number=number,
        value=value,
        interval=interval,
        count=count,
        note=note,
        method=method,
        floor=floor,
        plots=tuple(plot for plot in drawn if plot),
    )


def headline(rows: list[Row], asked: int) -> str:
    """What a page says first, by the rules of severity error.

    Args:
        rows: of all results.
        asked: how many rules the contract asked.
    """
    errors = [r for r in rows if r.severity != "warning"]
    if any(r.state == "broken" for r in errors):
        return BLOCKED
    if not errors or len(rows) != asked or any(r.state != "holds" for r in errors):
        return NOT_EVALUATED
    return PASSED


def _read(validation: Any) -> tuple[list[Row], str]:
    """Rows and headline of a stored validation result."""
    columns = _said(validation).get("columns") or ()
    rows = [row(result, place, columns) for place, result in enumerate(validation.results)]
    totals = [(r.expectation_config.meta or {}).get("rules", 0) for r in validation.results]
    return rows, headline(rows, max(totals, default=0))


def _said(validation: Any) -> dict[str, Any]:
    """What the run stored for its page; nothing for results of others."""
    found = (validation.meta or {}).get(PAGE_NOTE)
    return dict(found) if isinstance(found, dict) else {}


def _address(path: Any, up: str) -> str | None:
    """Relative URL of a file given relative to the project folder of Great Expectations."""
    if not isinstance(path, str) or not path:
        return None
    return up + quote(PurePath(path).as_posix())


class OfflineSiteBuilder:
    """Builds the site: a page per validation result, a page per suite, an index.

    Takes Great Expectations' arguments of a site builder; ``build`` writes only the resources
    named, or all of them, and raises what goes wrong.
    """

    def __init__(
        self,
        data_context: Any,
        store_backend: dict[str, Any],
        site_name: str | None = None,
        runtime_environment: dict[str, Any] | None = None,
        **_settings: Any,
    ) -> None:
        self.data_context = data_context
        self.site_name = site_name or "local_site"
        self.target_store: Any = HtmlSiteStore(
            store_backend=store_backend, runtime_environment=runtime_environment
        )
        self._pages = Environment(
            loader=PackageLoader("synth_contracts.evaluation", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )

    def build(
        self, resource_identifiers: list[Any] | None = None, build_index: bool = True
    ) -> tuple[str | None, list[dict[str, str]]]:
        """Write the pages; returns the index page's URL and the index entries."""
        results = self.data_context.stores[self.data_context.validation_results_store_name]
        entries = []
        for key in sorted(results.list_keys(), key=lambda k: k.run_id.run_time, reverse=True):
            site_key = SiteSectionIdentifier("validations", key)
            chosen = not resource_identifiers or key in resource_identifiers
            if not chosen and not self.get_resource_url(key):
                continue
            rows, verdict = _read(validation := results.get(key))
            table, when = key.expectation_suite_identifier.name, _time(key)
            if chosen:
                page = self._pages.get_template("validation.html.j2").render(
                    table=table,
                    when=when,
                    run=key.run_id.run_name or "",
                    verdict=verdict,
                    rows=rows,
                    statistics=validation.statistics,
                    up=_UP,
                    card=_address(_said(validation).get("card"), _UP + _SITE_TO_PROJECT),
                )
                self.target_store.set(site_key, page)
            entries.append(
                {
                    "table": table,
                    "when": when,
                    "run": key.run_id.run_name or "",
                    "verdict": verdict,
                    "page": "/".join(("validations", *key.to_tuple())) + ".html",
                    "card": _address(_said(validation).get("card"), _SITE_TO_PROJECT),
                    "holds": sum(r.state == "holds" for r in rows),
                    "rules": len(rows),
                }
            )
        suites = self._build_suites(resource_identifiers)
        if build_index:
            page = self._pages.get_template("index.html.j2").render(
                entries=entries, suites=suites, up=""
            )
            self.target_store.write_index_page(page)
        return self.get_resource_url(only_if_exists=False), entries

    def _build_suites(self, resource_identifiers: list[Any] | None) -> list[dict[str, str]]:
        store = self.data_context.stores[self.data_context.expectations_store_name]
        listed = []
        for key in store.list_keys():
            suite = ExpectationSuite(**store.get(key))
            if not resource_identifiers or key in resource_identifiers:
                page = self._pages.get_template("suite.html.j2").render(
                    table=suite.name,
                    rules=[
                        {
                            "sentence": item.description or item.expectation_type,
                            "severity": (item.meta or {}).get("severity", "error"),
                            "judged": _JUDGED.get((item.meta or {}).get("judged", ""), ""),
                            "type": item.expectation_type,
                        }
                        for item in suite.expectations
                    ],
                    up="../",
                )
                self.target_store.set(SiteSectionIdentifier("expectations", key), page)
            listed.append({"table": key.name, "page": f"expectations/{key.name}.html"})
        return listed

    def get_resource_url(
        self, resource_identifier: Any = None, only_if_exists: bool = True
    ) -> str | None:
        """URL of a resource's page, or of the index; None when it does not exist."""
        url: str | None = self.target_store.get_url_for_resource(
            resource_identifier=resource_identifier, only_if_exists=only_if_exists
        )
        return url

    def clean_site(self) -> None:
        """Remove all pages."""
        self.target_store.clean_site()


def _time(key: Any) -> str:
    return str(key.run_id.run_time.strftime("%Y-%m-%d %H:%M:%S %Z")).strip()
