"""The demo's contract as text, and a way to bend it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from synth_contracts.contract import Contract, load_contract
from synth_contracts.contract.linting import LintReport, lint

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def demo_path() -> Path:
    return ROOT / "contracts" / "transactions.odcs.yaml"


@pytest.fixture(scope="session")
def examples() -> Path:
    return Path(__file__).parent / "examples"


@pytest.fixture
def bend(demo_path: Path, tmp_path: Path) -> Callable[..., Path]:
    """The demo's contract with pieces replaced (each must be there), as a file."""

    def write(*pairs: tuple[str, str]) -> Path:
        text = demo_path.read_text(encoding="utf-8")
        for old, new in pairs:
            assert old in text, old
            text = text.replace(old, new, 1)
        path = tmp_path / "bent.odcs.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def bent(bend: Callable[..., Path]) -> Callable[..., Contract]:
    return lambda *pairs: load_contract(bend(*pairs))


@pytest.fixture
def faults(bend: Callable[..., Path]) -> Callable[..., LintReport]:
    return lambda *pairs: lint([bend(*pairs)])


@pytest.fixture
def with_rules(demo_path: Path, tmp_path: Path) -> Callable[..., LintReport]:
    """The demo's contract with quality rules (YAML lines) on the table or on `amount`."""

    def write(*rules: str, column: bool = False, preset: str = "standard") -> LintReport:
        text = demo_path.read_text(encoding="utf-8").replace(
            "preset: standard", f"preset: {preset}"
        )
        if column:
            listed = ", ".join(rules)
            old = "logicalTypeOptions: {minimum: 0}}"
            assert old in text
            text = text.replace(old, f"logicalTypeOptions: {{minimum: 0}}, quality: [{listed}]}}")
        else:
            lines = "".join(f"\n      - {rule}" for rule in rules)
            old = "description: One row per basket."
            assert old in text
            text = text.replace(old, f"{old}\n    quality:{lines}")
        path = tmp_path / "ruled.odcs.yaml"
        path.write_text(text, encoding="utf-8")
        return lint([path])

    return write
