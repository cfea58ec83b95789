"""synth-contracts: synthetic tables released only when they passed their contract's tests."""
