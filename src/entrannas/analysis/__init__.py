"""A finished search opened again: its consistency, its ranking, NAS-Bench-201."""
