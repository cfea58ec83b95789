"""One Great Expectations checkpoint over the candidate, read back as a sealed Evaluation.

Nothing is taken from Great Expectations' own ``success``: it is True for an empty suite, and False
for a failing warning. The measurements are read back from each result, and a rule without exactly
one sound result is "not measured".
"""

from __future__ import annotations

import datetime as dt
import logging
import os
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Any

import great_expectations as gx
from great_expectations.core.run_identifier import RunIdentifier

from synth_contracts import metrics
from synth_contracts.contract.model import Contract, Rule
from synth_contracts.errors import NotEvaluatedError
from synth_contracts.evaluation.docs_site import PAGE_NOTE
from synth_contracts.evaluation.evaluating import Digests, assemble, report_only
from synth_contracts.evaluation.seal import seal
from synth_contracts.evaluation.suite import REFERENCE, build_suite, rule_meta
from synth_contracts.expectations.binding import bound
from synth_contracts.expectations.catalog import replaced
from synth_contracts.expectations.measured import Measuring, result_from_json
from synth_contracts.metrics.measurement import Evaluation, NotMeasured, Result

#: of gx/great_expectations.yml
_DATA_SOURCE, _ASSET, _BATCH, _SITE = "staging", "synthetic", "candidate", "local_site"
_PAGES = "uncommitted/data_docs/local_site"


def run_checkpoint(
    contract: Contract,
    comparison: metrics.Comparison,
    *,
    digests: Digests | Mapping[str, str],
    gx_root: Path,
    secret: bytes,
    run_name: str,
    progress: Callable[[str], None] | None = None,
    sources: Mapping[str, str] | None = None,
    card: Path | None = None,
    beside: Mapping[str, Any] | None = None,
    thinned: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Measure the candidate inside one validation; store its result, build its Data Docs.

    Args:
        contract: the contract; the suite is rebuilt from its rules on each run.
        comparison: the three canonical tables; ``comparison.synthetic`` is the batch.
        digests: of candidate, training and holdout rows; a mapping has those three keys
            (``rows``, ``train``, ``holdout``).
        gx_root: the Great Expectations project; made from the package's template when missing.
        secret: what the evaluation is sealed with (16 bytes or more).
        run_name: names the run in Great Expectations; letters, digits, ``-`` and ``_``.
        progress: called with one line as each metric is begun.
        sources: the marks under which attempts on this source are counted; they are sealed too.
        card: where the report card of this run will lie; the result's page links to it.
        beside: what is told of the releases in ``comparison.earlier``; sealed too.
        thinned: what is told of the subsets in ``comparison.kept``; sealed too.

    Returns:
        The sealed Evaluation. ``validation`` holds ``suite``, ``run_id``, ``evaluated`` (number of
        results), ``docs`` (path of the result's page, relative to ``gx_root``) and ``statistics``.

    Raises:
        NotEvaluatedError: the project cannot be opened, a rule has no expectation, another class
            took the place of one of ours, or the Data Docs could not be written.
    """
    if not isinstance(digests, Digests):
        digests = Digests(**{name: digests[name] for name in ("rows", "train", "holdout")})
    with _quiet():
        foreign = replaced()
        if foreign:
            raise NotEvaluatedError(
                f"other classes took the place of our expectations: {', '.join(foreign)}",
                mend="rename the expectations in gx/plugins that bear these names",
            )
        context = open_project(gx_root)
        started = time.perf_counter()
        measuring = Measuring(comparison, progress)
        measuring.thin(contract.rules, contract.report_only)
        said = {
            "card": None if card is None else os.path.relpath(card, gx_root),
            "columns": [field.name for field in comparison.schema.released],
        }
        with measuring.ahead(contract.rules, contract.report_only, controls=True):
            identifier, validation = _validate(context, contract, measuring, run_name, said)
            results = read_back(contract, validation)
            reported = report_only(contract, measuring)
            controls = measuring.control(contract.rules, results, contract.report_only)
        seconds = round(time.perf_counter() - started, 4)
        page = _build_docs(context, contract, identifier, gx_root)
    evaluation = replace(
        assemble(contract, measuring, digests, results, reported, seconds),
        validation={
            "suite": contract.table,
            "run_id": run_name,
            "evaluated": len(validation.results),
            "docs": page,
            "statistics": dict(validation.statistics),
        },
        sources=dict(sources or {}),
        controls=controls,
        beside=dict(beside or {}),
        thinned=dict(thinned or {}),
    )
    return replace(evaluation, seal=seal(evaluation, secret))


def open_project(gx_root: Path) -> Any:
    """The file context of the Great Expectations project in ``gx_root``, made when missing.

    Raises:
        NotEvaluatedError: its great_expectations.yml cannot be read, or lacks our data source.
    """
    config = gx_root / "great_expectations.yml"
    if not config.exists():
        template = resources.files("synth_contracts.evaluation") / "templates"
        (gx_root / "plugins").mkdir(parents=True, exist_ok=True)
        config.write_text((template / config.name).read_text(encoding="utf-8"), encoding="utf-8")
    try:
        context = gx.get_context(mode="file", context_root_dir=str(gx_root))
        context.data_sources.get(_DATA_SOURCE).get_asset(_ASSET).get_batch_definition(_BATCH)
    except Exception as error:  # Great Expectations has no common root of its errors
        raise NotEvaluatedError(
            f"the Great Expectations project cannot be used: {type(error).__name__}: {error}",
            where=str(config),
            mend="delete the file: the next build writes it anew",
        ) from error
    return context


def read_back(contract: Contract, validation: Any) -> dict[str, Result]:
    """Rule id -> result, for every rule of ``contract``, from a validation result.

    A rule without result, with several, with an exception, or with a result of another expectation
    or another limit is NotMeasured. Results of no rule are kept under their own name, so that the
    gate sees them.
    """
    found: dict[str, list[Any]] = {}
    for number, item in enumerate(validation.results):
        meta = item.expectation_config.meta or {}
        found.setdefault(str(meta.get("rule", f"unnamed-{number}")), []).append(item)
    results: dict[str, Result] = {
        rule.id: _result(rule, len(contract.rules), found.pop(rule.id, []))
        for rule in contract.rules
    }
    for name in found:
        results[name] = NotMeasured(metric=name, reason="no rule of the contract", error=True)
    return results


def _result(rule: Rule, total: int, items: list[Any]) -> Result:
    def fault(reason: str) -> NotMeasured:
        return NotMeasured(
            metric=rule.metric, column=rule.column, reason=f"error: {reason}", error=True
        )

    if len(items) != 1:
        return fault(f"the validation holds {len(items)} results for it")
    item = items[0]
    messages = _exceptions(item.exception_info)
    if messages:
        return fault(f"the expectation raised: {messages[0]}")
    config = item.expectation_config
    limit = config.kwargs.get("max_value" if rule.operator == "<=" else "min_value")
    if (
        config.type != rule.expectation
        or config.meta != rule_meta(rule, total)
        or limit != rule.threshold
        or config.kwargs.get("judged") != rule.judged
    ):
        return fault("the validation ran another expectation or another limit")
    try:
        return result_from_json(item.result["details"]["result"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return fault(f"the validation result holds no measurement ({error})")


def _exceptions(info: Any) -> list[str]:
    """Messages of what an expectation raised: one record, or a record per metric."""
    if not info:
        return []
    records = [info] if "raised_exception" in info else list(info.values())
    return [
        str(record.get("exception_message") or "unknown").strip().splitlines()[-1]
        for record in records
        if not isinstance(record, Mapping) or record.get("raised_exception", True)
    ]


def _validate(
    context: Any,
    contract: Contract,
    measuring: Measuring,
    run_name: str,
    said: Mapping[str, Any] | None = None,
) -> tuple[Any, Any]:
    """Replace the stored suite by the contract's and run it over the candidate.

    ``said`` is stored with the result for its page (docs_site.py); no expectation reads it.
    """
    name = contract.table
    batch = context.data_sources.get(_DATA_SOURCE).get_asset(_ASSET).get_batch_definition(_BATCH)
    for store in (context.checkpoints, context.validation_definitions, context.suites):
        if any(stored.name == name for stored in store.all()):
            store.delete(name)
    suite = context.suites.add(build_suite(contract))
    definition = context.validation_definitions.add(
        gx.ValidationDefinition(name=name, data=batch, suite=suite)
    )
    checkpoint = context.checkpoints.add(
        gx.Checkpoint(
            name=name,
            validation_definitions=[definition],
            actions=[],
            result_format={"result_format": "BASIC"},
        )
    )
    with bound(REFERENCE, measuring):
        outcome = checkpoint.run(
            batch_parameters={"dataframe": measuring.comparison.synthetic},
            run_id=RunIdentifier(run_name=run_name, run_time=dt.datetime.now(dt.UTC)),
        )
    ((identifier, validation),) = outcome.run_results.items()
    validation.meta[PAGE_NOTE] = dict(said or {})
    context.stores[context.validation_results_store_name].set(identifier, validation)
    return identifier, validation


def _build_docs(context: Any, contract: Contract, identifier: Any, gx_root: Path) -> str:
    """Write the pages of this run; the path of its result page, relative to ``gx_root``."""
    from great_expectations.data_context.types.resource_identifiers import (
        ExpectationSuiteIdentifier,
    )

    suite = ExpectationSuiteIdentifier(name=contract.table)
    context.build_data_docs(site_names=[_SITE], resource_identifiers=[suite, identifier])
    page = "/".join((_PAGES, "validations", *identifier.to_tuple())) + ".html"
    if not (gx_root / page).is_file():
        raise NotEvaluatedError(
            "the Data Docs page of this run was not written",
            where=str(gx_root),
            mend="see the log; delete great_expectations.yml there to write it anew",
        )
    return page


@contextmanager
def _quiet() -> Iterator[None]:
    """No notes of Great Expectations on the terminal; errors still show."""
    logger = logging.getLogger("great_expectations")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"great_expectations(\..*)?")
            yield
    finally:
        logger.setLevel(level)
