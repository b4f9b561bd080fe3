"""Keys decide draws."""

from __future__ import annotations

import jax

from semimech.simulate._random import generator


def test_typed_and_raw_keys_of_one_seed_give_one_stream():
    typed, raw, other = jax.random.key(3), jax.random.PRNGKey(3), jax.random.key(4)
    assert generator(typed).integers(1 << 60) == generator(raw).integers(1 << 60)
    assert generator(typed).integers(1 << 60) != generator(other).integers(1 << 60)
