"""Documents in step with the code: links, commands, targets, names, exit codes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import synth_contracts as sc
from synth_contracts import errors
from synth_contracts.cli.main import cli

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text)
    missing = [t for t in targets if "://" not in t and not (page.parent / t).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_in_pages_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"```console\n(.*?)```", text, flags=re.DOTALL):
        for name in re.findall(r"^(?:\$ )?synth-contracts ([a-z-]+)", block, flags=re.MULTILINE):
            assert name in cli.commands, name
    for name in re.findall(r"`synth-contracts ([a-z-]+)", text):
        assert name in cli.commands, name


def test_make_targets_in_the_readme_exist() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"make ([a-z]+)", README)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target


def test_every_command_is_described_in_help_and_has_help_texts_for_its_options() -> None:
    for name, command in cli.commands.items():
        assert command.help, name
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{name} {parameter.opts}"


def test_python_names_in_the_readme_are_public() -> None:
    for name in re.findall(r"\bsc\.([a-z_]+)\(", README):
        assert name in sc.__all__
        assert callable(getattr(sc, name))


def test_exit_codes_of_errors_are_documented() -> None:
    documented = set(
        re.findall(r"^\| (\d+) \|", (ROOT / "docs" / "errors.md").read_text(), flags=re.MULTILINE)
    )
    classes = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.SynthContractsError)
    ]
    assert classes
    assert {str(item.exit_code) for item in classes} <= documented


def test_every_docs_page_is_in_the_index() -> None:
    index = (ROOT / "docs" / "index.md").read_text(encoding="utf-8")
    for page in (ROOT / "docs").glob("*.md"):
        assert page.name == "index.md" or page.name in index, page.name


def test_no_page_or_source_promises_safety() -> None:
    promise = re.compile(r"\b(proven|provably) (safe|anonymous|private)\b", re.IGNORECASE)
    for page in PAGES:
        for line in page.read_text(encoding="utf-8").splitlines():
            if promise.search(line):
                assert "never" in line.lower() or "not" in line.lower(), f"{page.name}: {line}"


def test_the_lazy_package_offers_what_the_api_defines() -> None:
    from synth_contracts import api

    assert sorted(sc.__all__) == sorted(api.__all__)
    assert all(getattr(sc, name) is getattr(api, name) for name in sc.__all__)


def test_evaluating_imports_neither_registry_nor_export() -> None:
    code = (
        "import sys, synth_contracts as sc\n"
        "sc.load_contract, sc.evaluate, sc.judge\n"
        "print([name for name in ('duckdb', 'jwt', 'great_expectations', 'synth_contracts.release')"
        " if name in sys.modules])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"
