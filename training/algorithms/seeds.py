"""Seeds that depend on names of things, not on how many draws came before."""

import hashlib

import torch


def seed_mix(*parts: int | str) -> int:
    """A 63-bit seed from any mix of numbers and words, e.g. seed_mix(run_seed, "epoch", 3).

    Equal parts give equal seeds in every process; so a resumed run needs no generator state.
    """
    text = "\x1f".join(f"{type(part).__name__}:{part}" for part in parts)
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def generator_for(*parts: int | str) -> torch.Generator:
    """A CPU generator seeded by seed_mix of the parts."""
    return torch.Generator().manual_seed(seed_mix(*parts))


def permutation(length: int, *parts: int | str) -> list[int]:
    """A random order of range(length) that depends on the parts only."""
    return torch.randperm(length, generator=generator_for(*parts)).tolist()
