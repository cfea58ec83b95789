"""`init`: a project that lints, and never a file overwritten."""

from __future__ import annotations

from pathlib import Path

from synth_contracts.cli.main import run


def test_example_contract_lints_once_renamed(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "my project"
    assert run(["init", str(folder)]) == 0
    example = folder / "contracts" / "example.odcs.yaml.txt"
    example.rename(folder / "contracts" / "orders.odcs.yaml")
    assert run(["--project", str(folder), "lint"]) == 0


def test_an_empty_project_says_that_there_is_no_contract(tmp_path: Path, capsys) -> None:
    assert run(["init", str(tmp_path)]) == 0
    assert run(["--project", str(tmp_path), "build"]) == 2
    assert "there is no contract" in capsys.readouterr().err


def test_a_project_is_not_made_twice_and_files_are_kept(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    assert run(["init", str(tmp_path)]) == 0
    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    before = (tmp_path / "synth-contracts.yml").read_text()
    assert run(["init", str(tmp_path)]) == 2
    assert (tmp_path / "synth-contracts.yml").read_text() == before


def test_the_warehouse_is_for_its_owner_only(tmp_path: Path) -> None:
    assert run(["init", str(tmp_path)]) == 0
    assert (tmp_path / "warehouse").stat().st_mode & 0o777 == 0o700
