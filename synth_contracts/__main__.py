"""`python -m synth_contracts`: the same as the `synth-contracts` command."""

from synth_contracts.cli.main import main

main()
