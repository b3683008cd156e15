"""Searches judged by published benchmarks: NAS-Bench-201, a surrogate of NAS-Bench-301, HW-NAS-Bench."""
