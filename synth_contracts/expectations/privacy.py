"""Expectations on privacy: whether the candidate tells more of trained entities than of others."""

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
