"""The attacks of `make battery`, a file for each section; tools/battery.py runs them."""
