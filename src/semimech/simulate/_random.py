"""A NumPy generator from a JAX key, so that one key decides every draw of a simulation."""

from __future__ import annotations

import jax
import numpy as np
from jaxtyping import PRNGKeyArray


def generator(key: PRNGKeyArray) -> np.random.Generator:
    """The generator that belongs to a key; equal keys give equal generators."""
    if not jax.dtypes.issubdtype(key.dtype, jax.dtypes.prng_key):
        key = jax.random.wrap_key_data(key)
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
