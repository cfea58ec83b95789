"""Parameters of SDV's models: the names, defaults and kinds of SDV 2.0's own constructors.

A test holds them against ``inspect.signature``. What is missing here is settled by us: metadata
(made from the schema), rounding and clipping (done on the way back), locales (nothing is faked),
GPU and printing (both off, so that runs repeat and stay silent).
"""

from __future__ import annotations

from collections.abc import Mapping

from synth_contracts.contract.parameters import ParameterSpec, Together

_MANY = 1_000_000
_WIDTH = 4_096
#: a kernel density would be a list of real values with a little noise
SHAPES = ("beta", "gamma", "norm", "truncnorm", "uniform")

_SHAPES = {
    "numerical_distributions": ParameterSpec(
        None, choices=SHAPES, kind="choices", nullable=True, meaning="shapes of some columns"
    ),
    "default_distribution": ParameterSpec(
        "beta", choices=SHAPES, kind="choice", meaning="shape of every other column"
    ),
}


def _epochs(default: int) -> ParameterSpec:
    return ParameterSpec(default, 1, 100_000, "passes over the rows")


def _width(default: int, meaning: str) -> ParameterSpec:
    return ParameterSpec(default, 1, _WIDTH, meaning)


def _layers(default: int, meaning: str) -> ParameterSpec:
    return ParameterSpec((default, default), 1, _WIDTH, meaning, kind="wholes")


def _rate(default: float, meaning: str) -> ParameterSpec:
    return ParameterSpec(default, 0, 1, meaning, kind="number")


_GAN = {
    "embedding_dim": _width(128, "noise that a row is made of"),
    "generator_dim": _layers(256, "layers of the generator"),
    "discriminator_dim": _layers(256, "layers of the discriminator"),
    "generator_lr": _rate(2e-4, "learning rate of the generator"),
    "generator_decay": _rate(1e-6, "weight decay of the generator"),
    "discriminator_lr": _rate(2e-4, "learning rate of the discriminator"),
    "discriminator_decay": _rate(1e-6, "weight decay of the discriminator"),
    "batch_size": ParameterSpec(500, 2, _MANY, "rows of one step", multiple_of=2),
    "discriminator_steps": ParameterSpec(1, 1, 100, "steps of the discriminator for each other"),
    "log_frequency": ParameterSpec(True, kind="switch", meaning="rare categories are seen oftener"),
    "epochs": _epochs(300),
    "pac": ParameterSpec(10, 1, 1_000, "rows that the discriminator judges together"),
}

GAUSSIAN_COPULA: Mapping[str, ParameterSpec] = _SHAPES
CTGAN: Mapping[str, ParameterSpec] = _GAN
COPULA_GAN: Mapping[str, ParameterSpec] = _GAN | _SHAPES
TVAE: Mapping[str, ParameterSpec] = {
    "embedding_dim": _width(128, "numbers that a row is squeezed into"),
    "compress_dims": _layers(128, "layers of the encoder"),
    "decompress_dims": _layers(128, "layers of the decoder"),
    "l2scale": _rate(1e-5, "weight decay"),
    "batch_size": ParameterSpec(500, 2, _MANY, "rows of one step"),
    "epochs": _epochs(300),
    "loss_factor": ParameterSpec(2, 0, 1_000, "weight of the reconstruction", kind="number"),
}
PAR: Mapping[str, ParameterSpec] = {
    "segment_size": ParameterSpec(
        None, 1, _MANY, "rows of the pieces that entities are cut into", nullable=True
    ),
    "epochs": _epochs(128),
    "sample_size": ParameterSpec(1, 1, 100, "entities drawn for each kept, the likeliest"),
}
#: the discriminator reads whole packs
PACKS = (Together("batch_size", "pac"),)
