"""What a learned policy sees of a candidate: the numbers that other strategies choose by, scale-free, and what a batch leaves of them."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

NAMES = ("lessons", "taught", "own error", "own error at first", "information", "degree", "size", "distance")
"""What measuring it removes of all errors and of those of other edits; its own error now and before this batch; information; genes that the table gives it; predicted change;
distance from what was made."""
N_TRAITS = len(NAMES)
_LEAST = 0.01


class Standing(NamedTuple):
    """What is known of every edit when one is chosen; features, noise and weight are those of `semimech.design.lessons.Lessons`."""

    feature: Float[Array, "group edit feature"]
    noise: Float[Array, " group"]
    weight: Float[Array, " group"]
    asked: Float[Array, " edit"]
    degree: Float[Array, " edit"]
    size: Float[Array, " edit"]
    apart: Float[Array, "edit edit"]
    made: Bool[Array, " edit"]


def traits(now: Standing, first: Standing, free: Bool[Array, " edit"]) -> Float[Array, "edit trait"]:
    """Traits of all edits, each the logarithm of its share of the largest among those that are free."""
    own = (now.feature**2).sum(axis=-1)
    taught = jnp.swapaxes(now.feature, 1, 2) @ (now.feature * now.asked[:, None])
    removed = ((now.feature @ taught) * now.feature).sum(axis=-1)
    told = own + now.noise[:, None]
    raw = [
        now.weight @ (removed / told),
        now.weight @ (jnp.maximum(removed - now.asked * own**2, 0.0) / told),
        now.weight @ own,
        first.weight @ (first.feature**2).sum(axis=-1),
        jnp.log1p(own / now.noise[:, None]).sum(axis=0),
        now.degree,
        now.size,
        jnp.where(now.made, now.apart, jnp.inf).min(axis=1),
    ]
    largest = [jnp.maximum(jnp.where(free, each, 0.0).max(), 1e-30) for each in raw]
    return jnp.stack([jnp.log(_LEAST + each / most) for each, most in zip(raw, largest, strict=True)], axis=1)


def after(now: Standing, row: Int[Array, ""]) -> Standing:
    """What is left once an edit is taken, as `semimech.design.lessons.Lessons.after`."""
    taken = now.feature[:, row]
    size = (taken**2).sum(axis=-1)
    shrink = (1.0 - jnp.sqrt(now.noise / (size + now.noise))) / jnp.maximum(size, 1e-30)
    along = shrink[:, None] * (now.feature @ taken[..., None])[..., 0]
    left = now.feature - along[..., None] * taken[:, None]
    return now._replace(feature=left, made=now.made.at[row].set(True))
