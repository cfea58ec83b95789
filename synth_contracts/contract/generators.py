"""The generators that exist and their parameters, as data (contract/ imports no registry)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from synth_contracts.contract import sdv_parameters as sdv
from synth_contracts.contract.parameters import ParameterSpec, Together

__all__ = ["GENERATORS", "GeneratorType", "ParameterSpec"]


@dataclass(frozen=True)
class GeneratorType:
    """One ``generator.type`` and its parameters.

    ``reject``: rows too near a real outlier are drawn again. ``reject_framed``: they are where the
    contract asks for it, in the frame of calendar and entities. ``fit_rows``: it can be fitted on a
    part of the rows. ``entities``: it models the rows of an entity together and needs an
    ``entityKey``. ``together``: conditions over two parameters. ``private``: it gives a guarantee,
    so nothing but its own mechanism may read train. ``keeps``: a fitted one can be kept and gives
    the same rows again.
    """

    name: str
    parameters: Mapping[str, ParameterSpec]
    reject: bool = False
    reject_framed: bool = False
    fit_rows: bool = True
    entities: bool = False
    together: tuple[Together, ...] = ()
    private: bool = False
    keeps: bool = False


_MANY = 1_000_000
GENERATORS: Mapping[str, GeneratorType] = {
    spec.name: spec
    for spec in (
        GeneratorType(
            "calendar_cart",
            {
                # smaller leaves memorise: 15 rows read a membership advantage of .42
                "leaf_rows": ParameterSpec(
                    100, 100, _MANY, "rows that a leaf of a tree holds at least"
                ),
                "leaf_entities": ParameterSpec(
                    10, 10, _MANY, "entity equivalents that a leaf holds at least"
                ),
                "entity_leaf": ParameterSpec(
                    20, 20, _MANY, "entities that a leaf of the entity model holds at least"
                ),
            },
            reject=True,
            fit_rows=False,
            keeps=True,
        ),
        GeneratorType("gaussian_copula", sdv.GAUSSIAN_COPULA, reject_framed=True),
        GeneratorType("ctgan", sdv.CTGAN, reject_framed=True, together=sdv.PACKS),
        GeneratorType("copula_gan", sdv.COPULA_GAN, reject_framed=True, together=sdv.PACKS),
        GeneratorType("tvae", sdv.TVAE, reject_framed=True),
        GeneratorType("par", sdv.PAR, entities=True),
        GeneratorType(
            "dp_marginals",
            {
                # the library's default stops early: error .011 against .0045 of a measured pair
                "iterations": ParameterSpec(
                    3000, 1000, 100_000, "steps of the estimation of the model"
                ),
            },
            fit_rows=False,
            private=True,
            keeps=True,
        ),
    )
}
