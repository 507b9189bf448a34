"""Footage that benchmarks make of what there is."""
