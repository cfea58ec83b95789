"""Expectations on privacy: whether the candidate tells more of trained entities than of others."""

# No `from __future__ import annotations`: pydantic v1 reads the annotations of the fields.

from typing import ClassVar

from great_expectations.compatibility import pydantic

from synth_contracts.expectations.base import TableAtLeast, TableAtMost


class ExpectTableMembershipInferenceToBeAtMost(TableAtMost):
    """Expect attacks to tell members from non-members no better than the limit allows."""

    metric = "membership_inference"


class ExpectTableRecognizedEntitiesToBeAtMost(TableAtMost):
    """Expect hardly an entity to be recognised for certain as one that was trained on."""

    metric = "recognized_entities"


class ExpectTableEntityMembershipInferenceToBeAtMost(TableAtMost):
    """Expect attacks on whole entities to do no better than the limit allows."""

    metric = "entity_membership_inference"


class ExpectTableOutlierMembershipInferenceToBeAtMost(TableAtMost):
    """Expect attacks on the most isolated entities to do no better than the limit allows."""

    metric = "outlier_membership_inference"


class ExpectTableReplicatedUniquesToBeAtMost(TableAtMost):
    """Expect entities unique on the quasi-identifiers to be replicated no more than unseen ones."""

    metric = "replicated_uniques"


class ExpectTableIdenticalMatchToBeAtMost(TableAtMost):
    """Expect hardly more rows equal to training rows than a holdout has."""

    metric = "identical_match"


class ExpectTableNearestNeighborDistanceToBeAtMost(TableAtMost):
    """Expect synthetic rows to stand no nearer to training rows than to the holdout's."""

    metric = "nearest_neighbor_distance"


class ExpectTableKAnonymityToBeAtLeast(TableAtLeast):
    """Expect every combination of quasi-identifiers to be shared by enough entities."""

    metric = "k_anonymity"


class ExpectTableAttributeDisclosureToBeAtMost(TableAtMost):
    """Expect the table to point to sensitive values of trained entities no more than of others."""

    metric = "attribute_disclosure"


class _AttackBudget(TableAtMost):
    """An attack with a budget of guesses; ``None`` stands for the metric's own choice."""

    option_keys = ("attacks", "aux_columns")

    attacks: int | None = pydantic.Field(None, description="number of guesses")
    aux_columns: list[str] | None = pydantic.Field(None, description="columns the attacker knows")
    success_keys: ClassVar[tuple[str, ...]] = (*TableAtMost.success_keys, *option_keys)


class ExpectTableSinglingOutToBeAtMost(_AttackBudget):
    """Expect guesses at combinations that single out one entity to gain little over unseen ones."""

    metric = "singling_out"


class ExpectTableLinkabilityToBeAtMost(_AttackBudget):
    """Expect the table to help little in linking two halves of a trained entity's columns."""

    metric = "linkability"


class ExpectTableLDiversityToBeAtLeast(TableAtLeast):
    """Expect each class of quasi-identifiers to hold enough different sensitive values."""

    metric = "l_diversity"


class ExpectTableTClosenessToBeAtMost(TableAtMost):
    """Expect sensitive values to be spread in each class nearly as in the whole table."""

    metric = "t_closeness"


class ExpectTableEmpiricalEpsilonToBeAtMost(TableAtMost):
    """Expect an audit to refute no claim of differential privacy up to the limit."""

    metric = "empirical_epsilon"
    option_keys = ("canaries",)

    canaries: int | None = pydantic.Field(None, description="number of canary entities")
    success_keys: ClassVar[tuple[str, ...]] = (*TableAtMost.success_keys, *option_keys)


# whoever imports some of the expectations gets all: a stored suite loads without the others
from synth_contracts.expectations import catalog as _catalog  # noqa: E402, F401
