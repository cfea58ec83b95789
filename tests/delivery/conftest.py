"""A small house for delivery tests; `make battery` attacks the same one."""

from __future__ import annotations

from pathlib import Path

import pytest
from batteries.house import PROJECT, House


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path / "house")


@pytest.fixture(scope="session")
def house_class() -> type[House]:
    """The class itself, for fixtures of wider scope."""
    return House


@pytest.fixture(scope="session")
def released_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a house in which ``transactions`` is released; never changed."""
    house = House(tmp_path_factory.mktemp("released") / "house")
    house.release()
    return house.root


@pytest.fixture
def released(house: House, released_once: Path) -> House:
    """A house in which ``transactions`` is released, to be changed at will."""
    house._runs = 1
    return house.like(released_once)


@pytest.fixture
def project(released: House) -> House:
    """The house as a project of the command line."""
    (released.root / "synth-contracts.yml").write_text(PROJECT)
    return released
