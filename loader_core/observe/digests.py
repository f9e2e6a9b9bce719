"""Digests by which streams of random numbers, indices and samples are compared without being kept."""

from __future__ import annotations

import pickle
import random
import sys
from hashlib import blake2b
from typing import Any

from loader_core.observe.leaves import leaves

_BYTES = 8
_MOST_BYTES = 1 << 16
"""Of one leaf; two samples that differ only behind that have the same digest."""
_MOST_LEAVES = 256
_PLAIN = (str, bytes, int, float, bool, type(None))


def digest(*parts: bytes) -> str:
    """Of some bytes: 16 hexadecimal digits."""
    hashed = blake2b(digest_size=_BYTES)
    for part in parts:
        hashed.update(part)
    return hashed.hexdigest()


def random_states() -> dict[str, str]:
    """Digests of the calling process's global random states: python, numpy and torch, as far as they are loaded.

    Only looks: no random number is drawn.
    """
    states = {"python": digest(pickle.dumps(random.getstate()))}
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        states["numpy"] = digest(pickle.dumps(numpy.random.get_state(legacy=False)))
    if torch is not None:
        states["torch"] = digest(torch.get_rng_state().numpy().tobytes())
    return states


def generator_state(generator: Any) -> str | None:
    """Digest of the state of a random generator object of Python, numpy or torch; None for anything else."""
    kind = type(generator)
    home = kind.__module__.partition(".")[0]
    if isinstance(generator, random.Random):
        return digest(pickle.dumps(generator.getstate()))
    if home == "numpy" and kind.__name__ == "Generator":
        return digest(pickle.dumps(generator.bit_generator.state))
    if home == "numpy" and kind.__name__ == "RandomState":
        return digest(pickle.dumps(generator.get_state(legacy=False)))
    if home == "torch" and kind.__name__ == "Generator":
        return digest(generator.get_state().numpy().tobytes())
    return None


def sample_digest(sample: Any) -> str | None:
    """Digest of what a sample holds: arrays, tensors, texts and numbers. None when it holds anything else."""
    parts: list[bytes] = []
    try:
        for number, leaf in enumerate(leaves(sample)):
            if number == _MOST_LEAVES:
                break
            part = _bytes_of(leaf)
            if part is None:
                return None
            parts.append(part)
    except Exception:  # noqa: BLE001 - whatever a sample's types raise, it then has no digest
        return None
    return digest(*parts)


def _bytes_of(leaf: Any) -> bytes | None:
    if type(leaf) in _PLAIN:
        return repr(leaf).encode()[:_MOST_BYTES]
    array = leaf.detach().numpy() if hasattr(leaf, "untyped_storage") else leaf
    if hasattr(array, "dtype") and hasattr(array, "tobytes"):
        shape = f"{array.dtype}{array.shape}".encode()
        few: Any = array.reshape(-1)[: max(1, _MOST_BYTES // max(1, array.itemsize))]
        return shape + bytes(few.tobytes())
    return None
