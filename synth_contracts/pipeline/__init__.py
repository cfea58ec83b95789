"""The pipeline: a contract to a release."""

from synth_contracts.pipeline.building import build, build_all
from synth_contracts.pipeline.results import BuildResult, gravest
from synth_contracts.pipeline.sampling import sample, sample_one

__all__ = ["BuildResult", "build", "build_all", "gravest", "sample", "sample_one"]
