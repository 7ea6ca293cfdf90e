"""Measurements behind the tables in docs/results.md; outside the library."""
