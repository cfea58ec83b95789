"""Generators of other distributions: found, declared, refused, run; and their conformance kit.

The distributions are real ones on sys.path, with metadata and entry points of their own.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pandas as pd
import pytest

from synth_contracts.contract import lint, load_contract
from synth_contracts.contract.plugins import PluginFault, find_plugin, plugin_names
from synth_contracts.errors import GenerationError
from synth_contracts.generate import generate
from synth_contracts.testing import GeneratorConformance, tables

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
#: the example of the page is the package that is tried
EXAMPLE, KIT = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)

Install = Callable[..., Path]


def install(
    folder: Path, code: str = EXAMPLE, *, module: str = "acme_rows", points: str = "",
    name: str = "acme-generators", version: str = "1.2.0",
) -> Path:  # fmt: skip
    """A distribution as an installer would leave it: the module, METADATA and entry_points.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{module}.py").write_text(code, encoding="utf-8")
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    points = points or f"acme_rows = {module}:AcmeRows"
    (info / "entry_points.txt").write_text(f"[synth_contracts.generators]\n{points}\n")
    return folder


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    def put(code: str = EXAMPLE, **more: str) -> Path:
        folder = install(
            tmp_path / f"site-{more.get('version', '1.2.0')}-{len(more)}", code, **more
        )
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.delitem(sys.modules, more.get("module", "acme_rows"), raising=False)
        return folder

    return put


def contract(tmp_path: Path, kind: str, more: str = "", *, cut: tuple[str, ...] = ()) -> Path:
    text = (ROOT / "contracts" / "transactions.odcs.yaml").read_text(encoding="utf-8")
    for old, new in (
        ("type: calendar_cart", f"type: {kind}"),
        ("reject: true", "reject: false"),
        ("seed: 7", "seed: 7" + (f"\n            {more}" if more else "")),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    lines = [line for line in text.splitlines(True) if not any(word in line for word in cut)]
    path = tmp_path / f"{kind}.odcs.yaml"
    path.write_text("".join(lines), encoding="utf-8")
    return path


def test_a_contract_names_a_plugin_and_binds_its_version(installed, tmp_path: Path) -> None:
    installed()
    assert "acme_rows" in plugin_names()
    found = load_contract(contract(tmp_path, "acme_rows", "parameters: {levels: 50}"))
    assert found.generator.parameters == {"levels": 50, "shuffle": True}
    assert found.generator.plugin == ("acme-generators", "1.2.0")
    bound = found.expanded["synthetic"]["generator"]["plugin"]
    assert bound == {"distribution": "acme-generators", "version": "1.2.0"}


def test_another_version_is_another_contract(installed, tmp_path: Path, monkeypatch) -> None:
    folder = installed()
    path = contract(tmp_path, "acme_rows")
    first = load_contract(path)
    assert load_contract(path).digest == first.digest
    sys.path.remove(str(folder))
    installed(version="1.3.0")
    assert load_contract(path).digest != first.digest
    with pytest.raises(GenerationError, match=r"read with acme-generators 1\.2\.0, and"):
        made(first)


def made(found, rows: int = 60) -> pd.DataFrame:
    trial = tables.trial(tables.visits(), found.generator)
    return generate(
        trial.contract, trial.train, trial.schema, secret_seed=1, rows=rows, progress=lambda _: None
    ).frame


def test_a_plugin_of_rows_is_put_into_the_frame_or_left_bare(installed, tmp_path: Path) -> None:
    installed()
    found = load_contract(contract(tmp_path, "acme_rows"))
    framed = made(found)
    bare = replace(found.generator, calendar=replace(found.generator.calendar, enabled=False))
    plain = made(replace(found, generator=bare))
    assert (framed.groupby("who")["born"].nunique() == 1).all()
    assert (plain.groupby("who")["born"].nunique() > 1).any()
    pd.testing.assert_frame_equal(framed, made(found))


@pytest.mark.parametrize(
    ("more", "place", "words", "mend"),
    [
        ("parameters: {level: 5}", "62:26", "acme_rows has no parameter `level`", "`levels`"),
        ("parameters: {levels: 1}", "62:34", "from 2 to 1,000", ""),
        ("parameters: {shuffle: 1}", "62:35", "must be true or false", ""),
        ("fitRows: 100", "62:13", "fits the whole training part", "take it out"),
    ],
)
def test_its_parameters_are_linted(
    installed, tmp_path: Path, more: str, place: str, words: str, mend: str
) -> None:
    installed()
    path = contract(tmp_path, "acme_rows", more)
    (problem,) = lint([path]).problems
    assert problem.where == f"{path}:{place}"
    assert words in problem.message
    assert mend in problem.mend


WHOLE = """
from synth_contracts.generate import Sampled
class Whole:
    def __init__(self, parameters, progress): pass
    def fit(self, train, roles, schema, rng): self.train = train
    def sample(self, n, rng): {made}
"""


def test_a_model_of_whole_tables_has_its_own_calendar(installed, tmp_path: Path) -> None:
    code = WHOLE.format(
        made="return Sampled(self.train.iloc[rng.integers(len(self.train), size=n)])"
    )
    installed(code, module="acme_whole", points="acme_whole = acme_whole:Whole")
    path = contract(tmp_path, "acme_whole")
    (problem,) = lint([path]).problems
    assert "makes whole tables" in problem.message
    found = load_contract(contract(tmp_path, "acme_whole", cut=("calendar:",)))
    assert found.expanded["synthetic"]["generator"]["calendar"] is False
    assert len(made(found)) == 60


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("raise ValueError('Quixworth')", r"failed in sample: ValueError at acme_whole\.py:6"),
        ("raise MemoryError", "ran out of memory"),
        ("return self.train", "made no Sampled"),
        ("return Sampled(self.train.head(n - 1))", "made 59 rows, not 60"),
        ("return Sampled(self.train.head(n).drop(columns='paid'))", "other columns.*paid"),
        ("return Sampled(self.train.head(n).assign(paid='x'))", "paid: the generator made object"),
        ("return Sampled(self.train.head(n).assign(who='x'))", "who: .*not integers from 0"),
    ],
)
def test_a_faulty_plugin_ends_the_build_without_its_words(
    installed, tmp_path: Path, body: str, words: str
) -> None:
    installed(WHOLE.format(made=body), module="acme_whole", points="acme_whole = acme_whole:Whole")
    found = load_contract(contract(tmp_path, "acme_whole", cut=("calendar:",)))
    with pytest.raises(GenerationError, match=words) as caught:
        made(found)
    assert "Quixworth" not in str(caught.value)


@pytest.mark.parametrize(
    ("code", "points", "kind", "words"),
    [
        (EXAMPLE, "ctgan = acme_odd:AcmeRows", "ctgan", "has the name of a built-in one"),
        ("import no_such_module", "odd = acme_odd:AcmeRows", "odd",
         "cannot be loaded: ModuleNotFoundError: No module named 'no_such_module'"),
        (EXAMPLE, "odd = acme_odd:NoSuch", "odd", "cannot be loaded: AttributeError"),
        ("AcmeRows = 3", "odd = acme_odd:AcmeRows", "odd", "is no class"),
        ("class AcmeRows:\n    pass", "odd = acme_odd:AcmeRows", "odd", "does not have `fit`"),
        ("class AcmeRows:\n    fit = draw = sample = lambda self: 0",
         "odd = acme_odd:AcmeRows", "odd", "either `draw` or `sample`"),
        ("class AcmeRows:\n    fit = draw = lambda self: 0\n    parameters = {'a': 3}",
         "odd = acme_odd:AcmeRows", "odd", "declares `a` by no ParameterSpec"),
        (EXAMPLE.replace("ParameterSpec(20,", "ParameterSpec(1,"), "odd = acme_odd:AcmeRows", "odd",
         "has a default of `levels` that must lie from 2"),
        (EXAMPLE, "Odd = acme_odd:AcmeRows", "Odd", "cannot name a generator"),
        (EXAMPLE, "acme_row = acme_odd:AcmeRows", "acme_rwo", "does not exist"),
    ],
)  # fmt: skip
def test_what_cannot_serve_is_refused_by_lint_with_the_reason(
    installed, tmp_path: Path, code: str, points: str, kind: str, words: str
) -> None:
    installed(code, module="acme_odd", points=points)
    path = contract(tmp_path, kind)
    (problem,) = lint([path]).problems
    assert problem.where == f"{path}:59:19"
    assert words in problem.message
    assert problem.mend
    if kind == "acme_rwo":
        assert problem.mend == "did you mean `acme_row`?"


def test_two_distributions_of_one_name_are_refused(installed, tmp_path: Path) -> None:
    installed()
    installed(name="other-generators", version="0.1")
    with pytest.raises(PluginFault, match=r"acme-generators 1\.2\.0, other-generators 0\.1"):
        find_plugin("acme_rows")


#: What is broken in the example, and the tests of the kit that must see it; several may.
BAD = {
    "Fewer": ("made = pd.DataFrame({name", "n = max(n - 1, 1)\n        made = pd.DataFrame({name",
              "test_it_makes_the_rows_and_columns_that_are_asked_for"),
    "Global": ("gone = rng.random(n) < missing", "gone = np.random.random(n) < missing",
               "test_one_seed_makes_the_same_rows_and_another_seed_others"),
    "Seedless": ("gone = rng.random(n) < missing",
                 "rng = np.random.default_rng(0)\n        gone = rng.random(n) < missing", "test_one_seed_makes_the_same_rows_and_another_seed_others"),
    "Kept": ("self._parameters, self._progress = parameters, progress",
             "self._parameters, self._progress = parameters, progress\n"
             "        AcmeRows.runs = getattr(AcmeRows, 'runs', 0) + 1",
             "test_the_order_of_trains_rows_does_not_matter"),
    "Worn": ("gone = rng.random(n) < missing",
             "self.worn = getattr(self, 'worn', -.1) + .1\n"
             "        gone = rng.random(n) < missing + self.worn", "test_samples_of_one_fit_hang_on_their_stream_alone"),
    "Writes": ("self._progress(f\"fitting", "open(__file__ + '.txt', 'w').close()\n"
               "        self._progress(f\"fitting", "test_it_reads_train_alone_and_writes_nothing"),
    "Copies": ("drawn = np.interp(rng.random(n), values, shares)",
               "drawn = rng.choice(shares, n)", "test_no_key_and_no_copies_of_train_come_back"),
    "NoMissing": ("missing = 1 - len(known) / len(column)", "missing = 0.0", "test_missing_values_and_constants_are_learned"),
    "Raises": ("if np.isinf(numbers).any():\n            raise GenerationError(",
               "if np.isinf(numbers).any():\n            raise ValueError(", "test_infinite_numbers_are_declined_or_do_not_come_back"),
    "Empty": ("if len(values):", "if True:", "test_missing_values_and_constants_are_learned"),
    "Roleless": ("self._progress(f\"fitting", "table['kind'], table['at']\n        self._progress(f\"fitting",
                 "test_tables_without_entity_or_time_are_made_or_declined"),
    "Crowded": ("missing = 1 - len(known) / len(column)",
                "missing = 1 - len(known) / len(column)\n        assert len(column) > 1",
                "test_degenerate_tables_are_made_or_declined"),
    "Undeclared": ('"levels": ParameterSpec(20, 2, 1_000, "quantiles of a number")',
                   '"levels": 20', "test_it_is_declared_rightly"),
}  # fmt: skip


def broken(name: str) -> str:
    old, new, _ = BAD[name]
    assert EXAMPLE.count(old) == 1, name
    code = EXAMPLE.replace(old, new)
    if name == "Kept":
        code = code.replace(
            "gone = rng.random(n) < missing", "gone = rng.random(n) < missing + AcmeRows.runs / 99"
        )
    if name == "Copies":
        code = code.replace("np.quantile(numbers, places)", "numbers")
    if name == "Raises":
        code = code.replace(", where=str(column.name))", ")")
    return code.replace("AcmeRows", name)


def test_the_kit_is_green_on_the_example_and_red_on_broken_ones(tmp_path: Path) -> None:
    """By entry point, from a distribution of its own, in a pytest of its own."""
    install(tmp_path / "site")
    kit = [KIT]
    for name in BAD:
        (tmp_path / "site" / f"bad_{name.lower()}.py").write_text(broken(name), encoding="utf-8")
        kit.append(
            f"from bad_{name.lower()} import {name}\n"
            f"class Test{name}(GeneratorConformance):\n    generator = {name}\n"
        )
    (tmp_path / "test_kit.py").write_text("\n".join(kit), encoding="utf-8")
    path = os.pathsep.join([str(tmp_path / "site"), *(p for p in sys.path if p)])
    asked = [f"test_kit.py::Test{name}::{test}" for name, (_, _, test) in BAD.items()]
    subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml=out.xml",
         "test_kit.py::TestAcmeRows", *asked],
        cwd=tmp_path, env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=False,
    )  # fmt: skip
    green, red = [], []
    for case in ElementTree.parse(tmp_path / "out.xml").iter("testcase"):
        name = case.attrib["classname"].rpartition(".Test")[2]
        failure = case.find("failure")
        (green if failure is None else red).append((name, case.attrib["name"]))
    assert sorted(red) == sorted((name, test) for name, (_, _, test) in BAD.items())
    whole = {name for name in vars(GeneratorConformance) if name.startswith("test_")}
    assert sorted(green) == sorted(("AcmeRows", name) for name in whole)
    assert {test for _, _, test in BAD.values()} == whole
