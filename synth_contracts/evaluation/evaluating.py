"""``evaluate()``: three tables and a contract in, an Evaluation out. No warehouse, no GX."""

from __future__ import annotations

import logging
import operator
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256

import pandas as pd
import pyarrow as pa

from synth_contracts import metrics
from synth_contracts.coarsening import Coarsening
from synth_contracts.contract.expand import settle
from synth_contracts.contract.model import Contract
from synth_contracts.evaluation.earlier import read_earlier
from synth_contracts.evaluation.inputs import Given, Inputs, Unfit, read
from synth_contracts.evaluation.thinning import Thinning, thin
from synth_contracts.expectations.measured import Measuring
from synth_contracts.metrics.measurement import Evaluation, NotMeasured, Result
from synth_contracts.metrics.threads import each
from synth_contracts.tables import TableSchema, rows_digest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Digests:
    """Digests of the rows (hex SHA-256) that an evaluation is bound to."""

    rows: str
    train: str
    holdout: str


def evaluate(
    contract: Contract,
    *,
    train: Given,
    holdout: Given,
    synthetic: Given,
    seed: int,
    controls: bool = True,
    earlier: Sequence[pd.DataFrame | pa.Table] = (),
) -> Evaluation:
    """Measure ``synthetic`` by every rule of ``contract``.

    Args:
        contract: the loaded contract; its rules say what is measured. Those that the column types
            of ``train`` cannot be asked are taken out, as ``build`` does.
        train: what the generator saw, a DataFrame or an Arrow table; its column types count for
            all three tables.
        holdout: entities that the generator never saw, of the same source; None or no rows where
            there is none, and then what needs unseen rows is not measured.
        synthetic: the candidate.
        seed: 0 or more, seeds every sample that a metric draws; the same seed gives the same
            numbers.
        controls: whether leaks are planted into copies of the candidate, to see what the run would
            have blocked. Without them a contract of the preset strict that sets ``blindAbove``
            comes to no verdict.
        earlier: earlier releases of the same source, which an attacker holds beside ``synthetic``;
            columns that they have in common with it are compared (composition.py).

    Returns:
        The Evaluation, without seal: ``judge`` comes to a verdict on it, a release does not.
        What could not be measured is a ``NotMeasured`` with its reason. Where the tables cannot be
        compared at all (a missing table, other columns, other types) that is every rule, and the
        digests of the tables are empty: no rows are bound to such an evaluation.

    Raises:
        TypeError, ValueError: not for what the tables hold, but for a call that cannot be meant:
            no Contract, no table, no seed.
    """
    if not isinstance(contract, Contract):
        raise TypeError(f"contract is a {type(contract).__name__}, not a loaded Contract")
    if operator.index(seed) < 0:
        raise ValueError(f"the seed is {seed}, and seeds are 0 or more")
    tables = {"train": train, "holdout": holdout, "synthetic": synthetic}
    for name, table in tables.items():
        if table is not None and not isinstance(table, (pd.DataFrame, pa.Table)):
            raise TypeError(
                f"{name} is a {type(table).__name__}, not a DataFrame or an Arrow table"
            )
    for table in earlier:
        if not isinstance(table, (pd.DataFrame, pa.Table)):
            raise TypeError(
                f"earlier holds a {type(table).__name__}, not a DataFrame or an Arrow table"
            )
    try:
        inputs = read(contract, train=train, holdout=holdout, synthetic=synthetic)
        frames, beside = read_earlier(earlier, inputs.schema)
        digests = _digests(inputs, has_holdout=holdout is not None)
    except Unfit as unfit:
        return _unmeasured(contract, tables, seed, str(unfit), controls=controls)
    except Exception as error:  # a table that nobody thought of must end as "not measured"
        logger.exception("the tables could not be read")
        reason = f"error: {type(error).__name__} while the tables were read; the log has the trace"
        return _unmeasured(contract, tables, seed, reason, controls=controls, error=True)
    contract = _settled(contract, kinds_of(inputs.schema))
    thinning = Thinning()
    if contract.export.fingerprint:
        # not the project's key: these subsets are like those of exports, and none of them
        key = sha256(b"evaluate %d" % operator.index(seed)).digest()
        thinning = thin(inputs.arrow["synthetic"], inputs.schema, key=key, run_id="evaluate")
    comparison = metrics.Comparison(
        train=inputs.frames["train"],
        holdout=inputs.frames["holdout"],
        synthetic=inputs.frames["synthetic"],
        schema=inputs.schema,
        k=contract.k,
        seed=operator.index(seed),
        coarsening=Coarsening.of(contract),
        earlier=frames,
        kept=thinning.kept,
    )
    started = time.perf_counter()
    measuring = Measuring(comparison)
    measuring.thin(contract.rules, contract.report_only)
    with measuring.ahead(contract.rules, contract.report_only, controls=controls):
        results = {
            rule.id: measuring.measure(rule.metric, rule.column, rule.options)
            for rule in contract.rules
        }
        reported = report_only(contract, measuring)
        found = (
            measuring.control(contract.rules, results, contract.report_only) if controls else None
        )
    total = round(time.perf_counter() - started, 4)
    done = assemble(contract, measuring, digests, results, reported, total)
    return replace(done, controls=found, beside=beside, thinned=dict(thinning.record or {}))


def _digests(inputs: Inputs, *, has_holdout: bool) -> Digests:
    names = ["synthetic", "train", *(["holdout"] if has_holdout else [])]
    rows, train, *rest = each(lambda name: rows_digest(inputs.arrow[name]), names)
    return Digests(rows=rows, train=train, holdout=rest[0] if rest else "")


def _unmeasured(
    contract: Contract,
    tables: Mapping[str, Given],
    seed: int,
    reason: str,
    *,
    controls: bool,
    error: bool = False,
) -> Evaluation:
    """Every rule of ``contract`` not measured for one reason.

    The digests are empty: nothing was measured of these rows, and a promotion, which compares the
    digest of what it promotes with that of the evaluation, can never find them equal.
    """
    rows = {name: 0 if table is None else len(table) for name, table in tables.items()}
    return Evaluation(
        contract_digest=contract.digest,
        rows_digest="",
        train_digest="",
        holdout_digest="",
        seed=operator.index(seed),
        n_train=rows["train"],
        n_holdout=rows["holdout"],
        n_synthetic=rows["synthetic"],
        entities_train=0,
        entities_holdout=0,
        results={
            rule.id: NotMeasured(rule.metric, reason, rule.column, error) for rule in contract.rules
        },
        reported={
            metric: NotMeasured(metric, reason, error=error) for metric in contract.report_only
        },
        controls={"reason": reason} if controls else None,
    )


def report_only(contract: Contract, measuring: Measuring) -> dict[str, Result]:
    """What the contract's preset measures without judging it."""
    return {metric: measuring.measure(metric) for metric in contract.report_only}


def assemble(
    contract: Contract,
    measuring: Measuring,
    digests: Digests,
    results: Mapping[str, Result],
    reported: Mapping[str, Result],
    seconds: float,
) -> Evaluation:
    """The record of one evaluation; ``seconds`` is the wall time of all measuring."""
    comparison = measuring.comparison
    return Evaluation(
        contract_digest=contract.digest,
        rows_digest=digests.rows,
        train_digest=digests.train,
        holdout_digest=digests.holdout,
        seed=comparison.seed,
        n_train=len(comparison.train),
        n_holdout=len(comparison.holdout),
        n_synthetic=len(comparison.synthetic),
        entities_train=_entities(comparison.train, comparison.schema),
        entities_holdout=_entities(comparison.holdout, comparison.schema),
        results=dict(results),
        reported=dict(reported),
        timings={**measuring.timings, "total": seconds},
        attempt=comparison.attempt,
        kinds=kinds_of(comparison.schema),
    )


def _settled(contract: Contract, kinds: Mapping[str, str]) -> Contract:
    """``contract`` without the rules that the kinds rule out.

    One that was put together by hand has rules that no preset gives it; it stays as it is.
    """
    settled = settle(contract, kinds)
    known = {rule.id for rule in settled.rules} | {item.id for item in settled.not_asked}
    asked = {rule.id for rule in contract.rules}
    whole = asked <= known and {rule.id for rule in settled.rules} <= asked
    return settled if whole else contract


def kinds_of(schema: TableSchema) -> dict[str, str]:
    """Column name -> kind, as ``settle`` takes them."""
    return {item.name: str(item.kind) for item in schema.fields}


def _entities(frame: pd.DataFrame, schema: TableSchema) -> int:
    key = schema.roles.entity_key
    return len(frame) if key is None else int(frame[key].nunique())
