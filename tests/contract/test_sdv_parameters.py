"""SDV's parameters in contracts are those of SDV's own constructors, and no others."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest

from synth_contracts.contract import GENERATORS, lint, load_contract

ROOT = Path(__file__).resolve().parents[2]
#: settled by us for every contract: what is made from the schema, done on the way back, or off
OURS = {
    "metadata", "enforce_min_max_values", "enforce_rounding", "locales", "verbose", "enable_gpu",
    "cuda", "context_columns",
}  # fmt: skip
KINDS = {"whole": int, "number": float, "switch": bool, "wholes": tuple, "choice": str}
#: what SDV writes as None for a default of its own
STANDS_FOR_NONE = {"default_distribution": "beta"}


def constructors() -> dict[str, Any]:
    from sdv import sequential, single_table

    return {
        "gaussian_copula": single_table.GaussianCopulaSynthesizer,
        "ctgan": single_table.CTGANSynthesizer,
        "copula_gan": single_table.CopulaGANSynthesizer,
        "tvae": single_table.TVAESynthesizer,
        "par": sequential.PARSynthesizer,
    }


def test_every_sdv_generator_is_compared() -> None:
    assert set(constructors()) == set(GENERATORS) - {"calendar_cart", "dp_marginals"}


@pytest.mark.parametrize("kind", sorted(set(GENERATORS) - {"calendar_cart", "dp_marginals"}))
def test_names_defaults_and_kinds_are_the_constructors_own(kind: str) -> None:
    signature = inspect.signature(constructors()[kind])
    theirs = {name: p.default for name, p in signature.parameters.items() if name not in OURS}
    ours = GENERATORS[kind].parameters
    assert set(ours) == set(theirs)
    for name, parameter in ours.items():
        default = theirs[name]
        if default is None:
            assert parameter.nullable or parameter.default == STANDS_FOR_NONE[name]
            continue
        assert parameter.default == default, name
        wanted = KINDS[parameter.kind]
        number = wanted is float and isinstance(default, int | float)
        assert number or type(default) is wanted, name


@pytest.mark.parametrize("kind", sorted(set(GENERATORS) - {"calendar_cart", "dp_marginals"}))
def test_the_shapes_are_sdvs_but_the_one_that_lists_real_values(kind: str) -> None:
    from sdv.single_table import GaussianCopulaSynthesizer

    shapes = set(GaussianCopulaSynthesizer._DISTRIBUTIONS)
    for name, parameter in GENERATORS[kind].parameters.items():
        if name.endswith(("distributions", "distribution")):
            assert set(parameter.choices) == shapes - {"gaussian_kde"}


BASE = (ROOT / "contracts" / "transactions.odcs.yaml").read_text(encoding="utf-8")


def contract(tmp_path: Path, kind: str, parameters: str, *, entity: bool = True) -> Path:
    text = BASE
    for old, new in (
        ("type: calendar_cart", f"type: {kind}"),
        ("reject: true", "reject: false"),
        ("seed: 7", f"seed: 7\n            parameters: {{{parameters}}}"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    if not entity:
        lines = text.splitlines(keepends=True)
        text = "".join(line for line in lines if "entityKey" not in line)
    path = tmp_path / "t.odcs.yaml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("kind", "parameters", "column", "words", "mend"),
    [
        ("ctgan", "epoch: 3", 26, "ctgan has no parameter `epoch`", "did you mean `epochs`?"),
        ("tvae", "pac: 5", 26, "tvae has no parameter `pac`", "known: embedding_dim"),
        ("par", "batch_size: 50", 26, "par has no parameter `batch_size`", ""),
        ("ctgan", "epochs: many", 34, "`epochs` must be a whole number", ""),
        ("ctgan", "epochs: true", 34, "`epochs` must be a whole number", ""),
        ("ctgan", "epochs: 0", 34, "from 1 to 100,000", ""),
        ("ctgan", "epochs: null", 34, "must not be empty", ""),
        ("ctgan", "batch_size: 501", 38, "must be a multiple of 2", ""),
        ("ctgan", "batch_size: 502", 38, "must be a multiple of `pac` (10)", ""),
        ("copula_gan", "pac: 7", 25, "`batch_size` must be a multiple of `pac` (7)", ""),
        ("ctgan", "generator_lr: 2", 40, "from 0 to 1", ""),
        ("ctgan", "generator_dim: 256", 41, "must be a list of whole numbers", ""),
        ("ctgan", "generator_dim: []", 41, "must be a list of whole numbers", ""),
        ("ctgan", "generator_dim: [256, 0]", 41, "holds a number that must lie from 1", ""),
        ("tvae", "compress_dims: [1.5]", 41, "holds a number that must be a whole", ""),
        ("copula_gan", "log_frequency: 1", 41, "must be true or false", ""),
        ("copula_gan", "default_distribution: gama", 48, "must be one of beta", "`gamma`"),
        ("gaussian_copula", "default_distribution: gaussian_kde", 48, "must be one of", ""),
        ("gaussian_copula", "numerical_distributions: norm", 51, "must name columns", ""),
        ("gaussian_copula", "numerical_distributions: {amount: nrm}", 51, "be one of", "`norm`"),
        ("par", "segment_size: 0", 40, "from 1", ""),
        ("par", "sample_size: 1.0", 39, "must be a whole number", ""),
    ],
)
def test_a_wrong_parameter_is_a_lint_error_with_its_place(
    tmp_path: Path, kind: str, parameters: str, column: int, words: str, mend: str
) -> None:
    path = contract(tmp_path, kind, parameters)
    (problem,) = lint([path]).problems
    # a condition over two parameters names the section where the first is not written
    assert problem.where == f"{path}:62:{column}"
    assert words in problem.message
    assert mend in problem.mend


@pytest.mark.parametrize(
    ("kind", "parameters", "wanted"),
    [
        ("ctgan", "generator_dim: [64, 32], pac: 5", {"generator_dim": (64, 32), "pac": 5}),
        ("tvae", "loss_factor: 3, l2scale: 1e-4", {"loss_factor": 3, "l2scale": 1e-4}),
        ("copula_gan", "numerical_distributions: {amount: gamma}",
         {"numerical_distributions": {"amount": "gamma"}, "default_distribution": "beta"}),
        ("par", "segment_size: null, epochs: 3", {"segment_size": None, "epochs": 3}),
    ],
)  # fmt: skip
def test_right_parameters_are_read_and_bound(
    tmp_path: Path, kind: str, parameters: str, wanted: dict[str, Any]
) -> None:
    found = load_contract(contract(tmp_path, kind, parameters))
    assert wanted.items() <= found.generator.parameters.items()
    assert set(found.generator.parameters) == set(GENERATORS[kind].parameters)
    again = load_contract(contract(tmp_path, kind, ""))
    assert again.digest != found.digest
    assert found.expanded["synthetic"]["generator"]["parameters"].keys() == set(
        GENERATORS[kind].parameters
    )


def test_a_shape_of_a_column_of_another_name_is_warned_of(tmp_path: Path) -> None:
    path = contract(tmp_path, "gaussian_copula", "numerical_distributions: {amonut: gamma}")
    (warning,) = [w for w in lint([path]).warnings if "numerical" in w.message]
    assert (warning.where, warning.mend) == (f"{path}:62:52", "did you mean `amount`?")


def test_par_without_entities_is_a_lint_error(tmp_path: Path) -> None:
    path = contract(tmp_path, "par", "epochs: 3", entity=False)
    (problem,) = lint([path]).problems
    assert "no entityKey is named" in problem.message
    assert ":58:19" in problem.where or ":59:19" in problem.where
