"""Every expectation of this package by its type, listed one by one."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from great_expectations.expectations.registry import get_expectation_impl

from synth_contracts.expectations.fidelity import (
    ExpectColumnKsToBeAtMost,
    ExpectColumnTotalVariationToBeAtMost,
    ExpectTableAutocorrelationToBeAtMost,
    ExpectTableCalendarCorrelationToBeAtLeast,
    ExpectTableConstraintViolationsToBeAtMost,
    ExpectTableDetectionToBeAtMost,
    ExpectTableEntityProfileToBeAtMost,
    ExpectTableForecastUtilityToBeAtMost,
    ExpectTableHourProfileToBeAtMost,
    ExpectTableKsMaxToBeAtMost,
    ExpectTableKsMeanToBeAtMost,
    ExpectTableMissingnessToBeAtMost,
    ExpectTablePairAssociationToBeAtMost,
    ExpectTableTotalVariationToBeAtMost,
    ExpectTableWeekdayProfileToBeAtMost,
)
from synth_contracts.expectations.privacy import (
    ExpectTableAttributeDisclosureToBeAtMost,
    ExpectTableEmpiricalEpsilonToBeAtMost,
    ExpectTableEntityMembershipInferenceToBeAtMost,
    ExpectTableIdenticalMatchToBeAtMost,
    ExpectTableKAnonymityToBeAtLeast,
    ExpectTableLDiversityToBeAtLeast,
    ExpectTableLinkabilityToBeAtMost,
    ExpectTableMembershipInferenceToBeAtMost,
    ExpectTableNearestNeighborDistanceToBeAtMost,
    ExpectTableOutlierMembershipInferenceToBeAtMost,
    ExpectTableRecognizedEntitiesToBeAtMost,
    ExpectTableReplicatedUniquesToBeAtMost,
    ExpectTableSinglingOutToBeAtMost,
    ExpectTableTClosenessToBeAtMost,
)

#: expectation type, as contracts spell it -> class
EXPECTATIONS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "expect_table_membership_inference_to_be_at_most": ExpectTableMembershipInferenceToBeAtMost,
        "expect_table_recognized_entities_to_be_at_most": ExpectTableRecognizedEntitiesToBeAtMost,
        "expect_table_entity_membership_inference_to_be_at_most": (
            ExpectTableEntityMembershipInferenceToBeAtMost
        ),
        "expect_table_outlier_membership_inference_to_be_at_most": (
            ExpectTableOutlierMembershipInferenceToBeAtMost
        ),
        "expect_table_identical_match_to_be_at_most": ExpectTableIdenticalMatchToBeAtMost,
        "expect_table_nearest_neighbor_distance_to_be_at_most": (
            ExpectTableNearestNeighborDistanceToBeAtMost
        ),
        "expect_table_k_anonymity_to_be_at_least": ExpectTableKAnonymityToBeAtLeast,
        "expect_table_replicated_uniques_to_be_at_most": ExpectTableReplicatedUniquesToBeAtMost,
        "expect_table_attribute_disclosure_to_be_at_most": ExpectTableAttributeDisclosureToBeAtMost,
        "expect_table_singling_out_to_be_at_most": ExpectTableSinglingOutToBeAtMost,
        "expect_table_linkability_to_be_at_most": ExpectTableLinkabilityToBeAtMost,
        "expect_table_l_diversity_to_be_at_least": ExpectTableLDiversityToBeAtLeast,
        "expect_table_t_closeness_to_be_at_most": ExpectTableTClosenessToBeAtMost,
        "expect_table_empirical_epsilon_to_be_at_most": ExpectTableEmpiricalEpsilonToBeAtMost,
        "expect_column_ks_to_be_at_most": ExpectColumnKsToBeAtMost,
        "expect_table_ks_mean_to_be_at_most": ExpectTableKsMeanToBeAtMost,
        "expect_table_ks_max_to_be_at_most": ExpectTableKsMaxToBeAtMost,
        "expect_table_total_variation_to_be_at_most": ExpectTableTotalVariationToBeAtMost,
        "expect_column_total_variation_to_be_at_most": ExpectColumnTotalVariationToBeAtMost,
        "expect_table_missingness_to_be_at_most": ExpectTableMissingnessToBeAtMost,
        "expect_table_pair_association_to_be_at_most": ExpectTablePairAssociationToBeAtMost,
        "expect_table_autocorrelation_to_be_at_most": ExpectTableAutocorrelationToBeAtMost,
        "expect_table_calendar_correlation_to_be_at_least": (
            ExpectTableCalendarCorrelationToBeAtLeast
        ),
        "expect_table_hour_profile_to_be_at_most": ExpectTableHourProfileToBeAtMost,
        "expect_table_weekday_profile_to_be_at_most": ExpectTableWeekdayProfileToBeAtMost,
        "expect_table_entity_profile_to_be_at_most": ExpectTableEntityProfileToBeAtMost,
        "expect_table_forecast_utility_to_be_at_most": ExpectTableForecastUtilityToBeAtMost,
        "expect_table_detection_to_be_at_most": ExpectTableDetectionToBeAtMost,
        "expect_table_constraint_violations_to_be_at_most": (
            ExpectTableConstraintViolationsToBeAtMost
        ),
    }
)


def replaced() -> list[str]:
    """Types for which Great Expectations would run another class than ours.

    A later class of the same name silently takes an earlier one's place in its registry.
    """
    return [
        name
        for name, expected in EXPECTATIONS.items()
        if get_expectation_impl(name) is not expected
    ]
