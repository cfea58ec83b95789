"""Making a new project."""

from synth_contracts.scaffold.project import scaffold

__all__ = ["scaffold"]
