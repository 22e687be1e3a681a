"""Measurements behind the claims: one module a claim, each prints a table with the peer beside us.

`python -m benchmarks.<module> [--quick] [--json FILE]`; how to write one is in `benchmarks.table`.
"""
