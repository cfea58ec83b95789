"""More rows from a kept model: the same gate, no other budget, and never from a changed file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest

from synth_contracts.generate import kept
from synth_contracts.pipeline import building
from synth_contracts.release import Registry
from synth_contracts.signing import KeyFolder, read_sealed, write_sealed

CONTRACT = """\
apiVersion: v3.2.0
kind: DataContract
id: small
version: 1.0.0
servers:
  - {{server: source, type: duckdb, database: "", schema: raw}}
schema:
  - name: small
    physicalName: transactions
    properties:
      - {{name: who, logicalType: integer, required: true}}
      - {{name: a, logicalType: string, required: true}}
      - {{name: b, logicalType: number, required: true}}
    quality:
      - id: membership_inference
        type: custom
        engine: greatExpectations
        implementation:
          type: expect_table_membership_inference_to_be_at_most
          kwargs: {{max_value: 0.9}}
      - id: ks_mean
        type: custom
        engine: greatExpectations
        implementation: {{type: expect_table_ks_mean_to_be_at_most, kwargs: {{max_value: {limit}}}}}
    customProperties:
      - property: synthetic
        vendor: synth-contracts
        value:
          roles: {{entityKey: who}}
          generator: {{{generator}}}
customProperties:
  - property: export
    vendor: synth-contracts
    value: {{maxAttempts: {attempts}}}
"""
CART = "type: calendar_cart, seed: 1, saveModel: true"
DP = """type: dp_marginals, seed: 1, rows: 800, saveModel: true, epsilon: 2, delta: 0.000001,
            parameters: {iterations: 1000}, dp: {lifetimeEpsilon: 2, unit: who, maxRowsPerEntity: 3,
            columns: {a: {values: [x, y], other: z}, b: {low: 0, high: 100, bins: 8}}}"""
PLANTED = "PLANTED-7731-Quixote"


def table() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    a = rng.choice(["x", "y", PLANTED], 2400)
    return pd.DataFrame(
        {"who": np.arange(2400) // 3, "a": a, "b": rng.normal(50, 10, 2400).clip(0, 100)}
    )


class Small:
    """A project with one contract, and what its last command came to."""

    def __init__(self, project: Any) -> None:
        self.project = project
        self.folder: Path = project.folder
        for path in (self.folder / "contracts").glob("*.yaml"):
            path.unlink()
        assert project.run("keys", "import-split", str(self.folder / "split.raw")) == 0

    def write(self, generator: str = CART, limit: float = 0.9, attempts: int = 5) -> None:
        text = CONTRACT.format(generator=generator, limit=limit, attempts=attempts)
        (self.folder / "contracts" / "small.odcs.yaml").write_text(text, encoding="utf-8")

    def run(self, *arguments: str) -> int:
        return int(self.project.run(*arguments))

    @property
    def result(self) -> dict[str, Any]:
        (found,) = json.loads((self.folder / "target" / "run_results.json").read_text())["results"]
        return dict(found)

    @property
    def card(self) -> dict[str, Any]:
        return dict(json.loads(Path(self.result["card"]).with_suffix(".json").read_text()))

    @property
    def model(self) -> Path:
        return self.folder / "target" / "models" / "small.model"

    @property
    def keys(self) -> KeyFolder:
        return KeyFolder.open(self.project.keys)

    def digest(self) -> str:
        with Registry.open(self.project.published, self.keys) as registry:
            return str(registry.release("small").rows_digest)

    def entries(self, kind: str) -> int:
        with Registry.open(self.project.published, self.keys) as registry:
            return sum(entry.kind == kind for entry in registry.entries())


@pytest.fixture
def small(fresh: Callable[[pd.DataFrame], Any]) -> Small:
    return Small(fresh(table()))


def no_fit(*_: Any, **__: Any) -> Any:
    raise AssertionError("a sample fits nothing")


def test_a_sample_is_a_candidate_of_its_own(small: Small, monkeypatch: pytest.MonkeyPatch) -> None:
    small.write()
    assert small.run("build") == 0
    fitted_by, first = small.result["run_id"], small.digest()
    assert small.result["sampled_from"] is None
    monkeypatch.setattr(building, "generate", no_fit)
    assert small.run("sample", "small") == 0
    assert small.result["sampled_from"] == fitted_by != small.result["run_id"]
    assert small.digest() == first
    assert fitted_by in json.dumps(small.card)
    assert small.run("sample", "small", "--seed", "2") == 0
    assert small.digest() != first
    assert small.run("sample", "small", "--rows", "3000") == 0
    assert small.result["rows"] == 3000
    assert small.entries("promoted") == 4
    assert small.run("export", "small", "--ticket", "DATA-1") == 0
    (bundle,) = (small.folder / "exports").iterdir()
    assert small.run("verify", str(bundle)) == 0


def test_the_gate_blocks_samples_and_counts_them(small: Small) -> None:
    small.write(limit=1e-6, attempts=2)
    assert small.run("build") == 1
    for seed, attempt in (("2", 2), ("2", 2)):
        assert small.run("sample", "small", "--seed", seed) == 1
        assert small.result["attempt"] == attempt
    assert small.run("sample", "small", "--seed", "3") == 5
    assert "maxAttempts" in small.result["message"]
    assert small.entries("promoted") == 0


def test_a_guarantee_spends_nothing_on_more_rows(small: Small) -> None:
    pytest.importorskip("opendp")
    small.write(DP)
    assert small.run("build") == 0
    first = small.digest()
    assert small.entries("budget_spent") == 1
    assert small.run("sample", "small") == 0
    assert small.digest() == first
    assert small.run("sample", "small", "--seed", "2") == 0
    assert small.digest() != first
    assert small.entries("budget_spent") == 1
    assert len(small.keys.read_log("budget")) == 1
    assert small.run("build", "--full-refresh") == 5  # a second fit finds nothing left


def refused(small: Small, text: str) -> None:
    before = small.entries("promoted")
    assert small.run("sample", "small") == 5
    assert text in small.result["message"]
    assert small.entries("promoted") == before


def test_a_model_that_is_not_as_it_was_kept_is_never_read(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.write()
    refused(small, "no model is kept")
    assert small.run("build") == 0
    whole, key = small.model.read_bytes(), small.keys.model_key(create=False)
    content = read_sealed(small.model, key)
    assert PLANTED.encode() in content  # the model tells of train, the file does not
    assert PLANTED.encode() not in whole
    assert small.model.stat().st_mode & 0o777 == 0o600

    monkeypatch.setattr(kept.pickle, "Unpickler", no_fit)  # nothing of this may be unpickled
    for place in (0, 30, len(whole) // 2, len(whole) - 1):
        broken = bytearray(whole)
        broken[place] ^= 1
        small.model.write_bytes(bytes(broken))
        refused(small, "was changed, cut, or encrypted")
    small.model.write_bytes(whole[:20])
    refused(small, "was changed, cut, or encrypted")
    small.model.write_bytes(whole)
    small.model.chmod(0o640)
    refused(small, "chmod 600")
    small.model.chmod(0o600)

    head, _, rest = content.partition(b"\n")
    for name in ("format", "table", "generator", "contract", "source", "split", "versions"):
        other = json.dumps({**json.loads(head), name: "other"}).encode()
        write_sealed(small.model, other + b"\n" + rest, key)
        refused(small, f"with another {name}")
    small.model.write_bytes(whole)
    small.write(CART + ", parameters: {leaf_rows: 200}")
    refused(small, "with another contract")
    small.write()
    with duckdb.connect(str(small.project.source)) as connection:
        connection.execute("UPDATE raw.transactions SET b = 1 WHERE who = 5")
    refused(small, "with another source")
    (small.project.keys / "model.key").unlink()
    refused(small, "no key of kept models")
    assert not (small.project.keys / "model.key").exists()


def test_nothing_is_fitted_where_no_key_can_be_read(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.write()
    small.keys.model_key(create=True)
    (small.project.keys / "model.key").chmod(0o644)
    monkeypatch.setattr(building, "generate", no_fit)
    assert small.run("build") == 5
    assert "chmod 600" in small.result["message"]
    assert not small.model.exists()


def test_a_model_that_the_contract_no_longer_keeps_is_deleted(small: Small) -> None:
    small.write()
    assert small.run("build") == 0
    assert small.model.exists()
    small.write("type: calendar_cart, seed: 1")
    assert small.run("build") == 0
    assert not small.model.exists()


def test_off_by_default_and_refused_where_a_fit_cannot_be_kept(
    small: Small, capsys: pytest.CaptureFixture[str]
) -> None:
    small.write("type: calendar_cart, seed: 1")
    assert small.run("build") == 0
    assert not small.model.exists()
    assert not (small.project.keys / "model.key").exists()
    assert small.run("sample", "small") == 2
    assert "saveModel: true" in small.result["message"]
    small.write("type: ctgan, saveModel: true")
    assert small.run("lint") == 2
    said = capsys.readouterr()
    assert "a fitted ctgan cannot be kept" in said.out + said.err
