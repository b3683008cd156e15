"""Seeds: one for each purpose, so that the draws for one purpose do not depend on those for another."""

import hashlib

import torch


def seed_of(*key: object) -> int:
    """Return a seed for a purpose, such as `seed_of("epoch", seed, 3)`; different keys give unrelated seeds."""
    return int.from_bytes(hashlib.sha256(repr(key).encode()).digest()[:7])


def generator(*key: object) -> torch.Generator:
    """Return a random generator on the CPU, seeded by `seed_of`."""
    return torch.Generator().manual_seed(seed_of(*key))
