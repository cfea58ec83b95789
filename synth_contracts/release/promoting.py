"""Promotion: the one door from staging to release.

Everything is checked before published.duckdb is written to: the verdict is judged anew, the
evaluation bears the seal of a checkpoint run, and it was made of these very rows and this very
contract. Then table, view, registry row and ledger entry are written in one transaction.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from synth_contracts.contract.expand import canonical_json, with_digest
from synth_contracts.contract.model import Contract
from synth_contracts.contract.retention import expiry
from synth_contracts.errors import Refused
from synth_contracts.evaluation.seal import sealed
from synth_contracts.gate import Outcome, Verdict, judge
from synth_contracts.metrics.measurement import Evaluation
from synth_contracts.omission import identity
from synth_contracts.release.attempts import DECLARED, check_attempts, source_key
from synth_contracts.release.beside import stand_beside
from synth_contracts.release.records import Release
from synth_contracts.release.registry import Registry
from synth_contracts.release.verify import (
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    sha256,
    statement_digest,
)
from synth_contracts.report.card import json_text
from synth_contracts.report.guarantee import withholds
from synth_contracts.report.numbers import rounded
from synth_contracts.signing.dsse import sign_statement
from synth_contracts.signing.jsontext import dump_canonical
from synth_contracts.signing.keys import KeyFolder
from synth_contracts.signing.secrets import derive
from synth_contracts.tables import in_order, rows_digest
from synth_contracts.warehouse import published as sql
from synth_contracts.warehouse import staged
from synth_contracts.warehouse.connection import Database

#: What must be known of a build; nothing else of its provenance goes into the statement, which
#: leaves the house: no source digest, no seed.
PROVENANCE = ("source_commitment", "seed_commitment", "split_commitment", "versions")
_Cards = dict[str, dict[str, str]]


def promote(
    registry: Registry,
    *,
    contract: Contract,
    run_id: str,
    fingerprint: str,
    work: Path,
    evaluation: Evaluation,
    verdict: Verdict,
    provenance: Mapping[str, Any],
    cards: Mapping[str, Mapping[str, Any]],
    keys: KeyFolder,
    message: str = "",
    docs: str | None = None,
) -> Release:
    """Release the candidate that run ``run_id`` staged. Promoting a run twice changes nothing.

    Args:
        registry: open for writing.
        contract: settled, as it was evaluated.
        run_id: names the candidate in work.duckdb and becomes the release's id.
        fingerprint: of contract, source, split key and versions (hex).
        work: work.duckdb, opened read-only.
        evaluation: sealed by a checkpoint run under the secret of ``keys``.
        verdict: ``judge(contract, evaluation)``.
        provenance: at least the keys of ``PROVENANCE``.
        cards: ``owner`` and ``analyst``, each with ``html`` (text) and ``json`` (object or text).
        keys: whose key signs the statement.
        message: the verdict in a sentence.
        docs: path of the Data Docs page relative to gx/.

    Raises:
        Refused: (exit 5) anything does not match; published.duckdb is unchanged.
        WarehouseError: the candidate is gone, or a file is locked; it is unchanged as well.
    """
    _check_verdict(contract, evaluation, verdict, keys)
    _check_provenance(provenance)
    texts = _card_texts(cards)
    with registry.exclusive():
        done = next((r for r in registry.releases(contract.table) if r.id == run_id), None)
        if done is not None:
            return _same(done, contract, evaluation)
        # in the order of their digest: whoever checks it reads them once and sorts nothing
        rows = in_order(staged(work, contract.table, run_id))
        _check_rows(registry, contract, evaluation, rows)
        _check_attempt(registry, contract, evaluation, fingerprint)
        _check_beside(registry, contract, evaluation)
        _check_thinned(contract, evaluation, keys, run_id)
        return _write(
            registry,
            contract,
            evaluation,
            verdict,
            keys,
            rows=rows,
            run_id=run_id,
            fingerprint=fingerprint,
            provenance=provenance,
            texts=texts,
            said={"message": message, "docs": docs},
        )


def _check_verdict(
    contract: Contract, evaluation: Evaluation, verdict: Verdict, keys: KeyFolder
) -> None:
    """Refuse whatever did not come out of a checkpoint run of this contract."""
    if with_digest(contract).digest != contract.digest:
        raise _refused(contract, "the contract was changed after it was loaded")
    if evaluation.contract_digest != contract.digest:
        raise _refused(contract, "the evaluation was made for another contract")
    if not evaluation.results:
        raise _refused(contract, "nothing was evaluated")
    if set(evaluation.results) != {rule.id for rule in contract.rules}:
        raise _refused(contract, "the rules evaluated are not the rules of the contract")
    if not any(r.family == "privacy" and r.severity == "error" for r in contract.rules):
        raise _refused(contract, "the contract has no privacy rule of severity error")
    if not evaluation.validation:
        raise _refused(contract, "the evaluation has no checkpoint run behind it")
    if not sealed(evaluation, derive(keys.secret(), "evaluation-seal")):
        raise _refused(contract, "the evaluation does not bear this project's seal")
    if judge(contract, evaluation) != verdict:
        raise _refused(contract, "the verdict is not what the contract's rules come to")
    if verdict.outcome is not Outcome.PASSED:
        raise _refused(contract, f"the verdict is {verdict.outcome}")


def _check_provenance(provenance: Mapping[str, Any]) -> None:
    missing = [name for name in PROVENANCE if not provenance.get(name)]
    if missing:
        raise Refused(f"the provenance of the build lacks {', '.join(missing)}")


def _check_rows(
    registry: Registry, contract: Contract, evaluation: Evaluation, rows: pa.Table
) -> None:
    if rows.num_rows == 0 or rows.num_rows != evaluation.n_synthetic:
        raise _refused(contract, "the candidate is not as long as the table that was evaluated")
    if rows_digest(rows) != evaluation.rows_digest:
        raise _refused(contract, "the candidate's rows are not the rows that were evaluated")
    for old in registry.releases(contract.table):
        if old.status == "revoked" and old.rows_digest == evaluation.rows_digest:
            raise Refused(
                "the same rows were released before and revoked",
                where=contract.table,
                mend="change what the revocation was about: the contract, its seed, the source",
            )


def _check_attempt(
    registry: Registry, contract: Contract, evaluation: Evaluation, fingerprint: str
) -> None:
    """Refuse when attempts are used up, or when bounds were taken as for an earlier attempt."""
    marks = _marks(contract, evaluation)
    check_attempts(registry, contract, fingerprint, marks)
    number = registry.attempt_number(marks, fingerprint)
    if evaluation.attempt < number:
        raise _refused(
            contract,
            f"it was evaluated as attempt {evaluation.attempt}, and the ledger counts {number}",
        )


def _check_beside(registry: Registry, contract: Contract, evaluation: Evaluation) -> None:
    """Refuse when a release of the same source came out, or was exported, in the meantime.

    Two builds that run at once would else each pass alone.
    """
    told = evaluation.beside.get("releases", ())
    held = stand_beside(registry, contract, _marks(contract, evaluation)).releases
    missing = [release.id for release in held if release.id not in told]
    if missing:
        raise _refused(
            contract, f"it was not measured together with {', '.join(missing)} of the same source"
        )


def _check_thinned(
    contract: Contract, evaluation: Evaluation, keys: KeyFolder, run_id: str
) -> None:
    """Refuse subsets that another key or another run drew than exports of this release will be.

    That there were enough of them is for the verdict to say.
    """
    if not contract.export.fingerprint:
        return
    if evaluation.thinned.get("key") != identity(keys.fingerprint_key(create=False), run_id):
        raise _refused(contract, "its subsets were not drawn under this project's key for this run")


def _marks(contract: Contract, evaluation: Evaluation) -> dict[str, str]:
    return {**evaluation.sources, DECLARED: source_key(contract)}


def _same(done: Release, contract: Contract, evaluation: Evaluation) -> Release:
    if (done.rows_digest, done.contract_digest) != (evaluation.rows_digest, contract.digest):
        raise _refused(contract, f"run {done.id} released other rows")
    return done


def _card_texts(cards: Mapping[str, Mapping[str, Any]]) -> _Cards:
    texts: _Cards = {}
    for audience in ("owner", "analyst"):
        card = cards.get(audience) or {}
        facts = card.get("json")
        text = facts if isinstance(facts, str) else json_text(facts) if facts else ""
        texts[audience] = {"html": str(card.get("html") or ""), "json": text}
        if not all(texts[audience].values()):
            raise Refused(f"there is no report card for the {audience}")
    return texts


def _write(
    registry: Registry,
    contract: Contract,
    evaluation: Evaluation,
    verdict: Verdict,
    keys: KeyFolder,
    *,
    rows: pa.Table,
    run_id: str,
    fingerprint: str,
    provenance: Mapping[str, Any],
    texts: _Cards,
    said: Mapping[str, Any],
) -> Release:
    promoted_at = registry.now().isoformat(timespec="milliseconds")
    ends = expiry(contract.expanded, promoted_at)
    kept = {"expires_at": ends} if ends else {}
    card_digests = {
        audience: {kind: sha256(text) for kind, text in card.items()}
        for audience, card in texts.items()
    }
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [{"name": contract.table, "digest": {"sha256": evaluation.rows_digest}}],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "release": run_id,
            "rows": rows.num_rows,
            "promoted_at": promoted_at,
            **kept,
            "contract": {
                "id": contract.id,
                "version": contract.version,
                "digest": contract.digest,
                "text_sha256": sha256(contract.text),
                "loosened": list(contract.loosened),
            },
            "verdict": verdict_summary(verdict, numbers=not withholds(contract, "analyst")),
            "cards": card_digests,
            **{name: provenance[name] for name in PROVENANCE},
            **({"fingerprint": dict(evaluation.thinned)} if contract.export.fingerprint else {}),
            "mode": provenance.get("mode", "local"),
            "ledger": {"registry": registry.id, "prev": registry.head()},
        },
    }
    envelope = sign_statement(statement, keys.signing_key())
    key = source_key(contract)
    row = {
        "id": run_id,
        "table_name": contract.table,
        "version": contract.version,
        "source_key": key,
        "fingerprint": fingerprint,
        "row_count": rows.num_rows,
        "rows_digest": evaluation.rows_digest,
        "contract_digest": contract.digest,
        "contract_text": contract.text,
        "contract_expanded": canonical_json(contract.expanded).decode(),
        "statement": dump_canonical(envelope).decode(),
        "analyst_card_html": texts["analyst"]["html"],
        "analyst_card_json": texts["analyst"]["json"],
        "promoted_at": promoted_at,
        "status": "live",
    }
    body = {
        "release_id": run_id,
        "run_id": run_id,
        "table": contract.table,
        "source_key": key,
        "sources": _marks(contract, evaluation),
        "fingerprint": fingerprint,
        "outcome": verdict.outcome.value,
        "exit_code": 0,
        "rows": rows.num_rows,
        "rows_digest": evaluation.rows_digest,
        "contract_digest": contract.digest,
        "card_digest": card_digests["owner"]["html"],
        "statement_sha256": statement_digest(envelope),
        **kept,
        **said,
    }

    def change(database: Database) -> None:
        sql.add_release(database, row, rows)
        stored = sql.read_release(database, contract.table, run_id)
        if rows_digest(stored) != evaluation.rows_digest:
            raise _refused(contract, "the rows as stored are not the rows that were evaluated")

    registry.write("promoted", body, change)
    return registry.released(contract.table)


def verdict_summary(verdict: Verdict, *, numbers: bool = True) -> dict[str, Any]:
    """The verdict as it may leave the house: every rule, its numbers rounded or left out."""
    return {
        "outcome": verdict.outcome.value,
        "rules": [
            {
                "id": state.rule_id,
                "status": state.status,
                "operator": state.operator,
                "threshold": state.threshold,
                "number": rounded(state.number, state.threshold) if numbers else None,
                **({"column": state.column} if state.column else {}),
            }
            for state in verdict.states
        ],
    }


def _refused(contract: Contract, text: str) -> Refused:
    return Refused(
        f"not promoted: {text}",
        where=contract.table,
        mend="only a build's own checkpoint run can release rows: synth-contracts build",
    )
