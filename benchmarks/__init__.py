"""Measurements, each beside the upstream tool in the same run: ``python -m benchmarks``."""
