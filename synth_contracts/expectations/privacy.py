"""Expectations on privacy: whether the candidate tells more of trained entities than of others."""

from synth_contracts.expectations.base import TableAtLeast, TableAtMost


class ExpectTableMembershipInferenceToBeAtMost(TableAtMost):
    """Expect attacks to tell members from non-members no better than the limit allows."""

    metric = "membership_inference"


class ExpectTableIdenticalMatchToBeAtMost(TableAtMost):
    """Expect hardly more rows equal to training rows than a holdout has."""

    metric = "identical_match"


class ExpectTableNearestNeighborDistanceToBeAtMost(TableAtMost):
    """Expect synthetic rows to stand no nearer to training rows than to the holdout's."""

    metric = "nearest_neighbor_distance"


class ExpectTableKAnonymityToBeAtLeast(TableAtLeast):
    """Expect every combination of quasi-identifiers to be shared by enough entities."""

    metric = "k_anonymity"
