"""Validity metrics, one file each, named by id."""
