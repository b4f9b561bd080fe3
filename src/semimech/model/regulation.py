r"""Production: how regulators, media and edits set the rate at which each gene is made, relative to unedited cells.

All quantities are relative: abundance :math:`z = x/\bar x` and production :math:`\rho` are 1 in unedited cells.
"""

from __future__ import annotations

import abc
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from semimech.model.network import Edges, Programmes
from semimech.model.plan import ContextArrays


class AbstractRegulation(eqx.Module):
    """Relative production of every gene from the state and the context."""

    @abc.abstractmethod
    def __call__(self, z: Float[Array, "*n gene"], context: ContextArrays) -> Float[Array, "*n gene"]:
        """Relative production; leading axes of state and context agree."""


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def spread(values: Float[Array, " gene"], shape: tuple[int, ...]) -> Float[Array, "*n gene"]:
    """One number per gene for all courses.

    Its gradient, a sum over courses, is taken as a matrix product: of a plain sum the compiler makes a loop that computes anew,
    for every parameter, all that leads to what is summed.
    """
    return jnp.broadcast_to(values, shape)


def _spread_forward(values: Array, shape: tuple[int, ...]) -> tuple[Array, None]:
    return jnp.broadcast_to(values, shape), None


def _spread_backward(shape: tuple[int, ...], kept: None, cotangent: Array) -> tuple[Array]:
    del kept
    courses = cotangent.reshape(-1, shape[-1])
    return ((jnp.ones((1, len(courses)), cotangent.dtype) @ courses)[0],)


spread.defvjp(_spread_forward, _spread_backward)


def regulator_signal(z: Float[Array, "*n gene"], context: ContextArrays) -> Float[Array, "*n regulator"]:
    r"""What the network sees of each regulator: :math:`a_j \varphi(z_j) - 1`, zero in unedited cells.

    :math:`\varphi(z) = \log_2(1 + z)`, so that :math:`\varphi(1) = 1`; an edit acts here, on the activity of
    the product, and never clamps the abundance. Unmeasured targets have constant abundance.
    """
    seen = jnp.log2(1.0 + jnp.maximum(z, 0.0))
    n_targets = context.activity.shape[-1] - z.shape[-1]
    seen = jnp.concatenate([seen, jnp.ones((*z.shape[:-1], n_targets), z.dtype)], axis=-1)
    return context.activity * seen - 1.0


class SaturatingRegulation(AbstractRegulation):
    r"""Saturating production along a signed network.

    .. math:: \rho_g = h_g\Bigl(b_g + \sum_j W_{gj}\,(a_j\varphi(z_j) - 1) + B_g m + c_g n\Bigr),\qquad
              h(s) = \begin{cases} e^s & s \le 0 \\ 1 + H\,(1 - e^{-s/H}) & s > 0 \end{cases}

    Losses multiply, as where regulators act independently; gains saturate at :math:`1 + H` times the production of
    unedited cells. :math:`h(0) = h'(0) = 1`, so that :math:`W` is the first-order response at the unedited state.

    Parameters
    ----------
    weight
        :math:`W`, row target, column regulator; the weights of ``edges`` where these are given.
    bias
        :math:`b`, zero if unedited cells are exactly stationary.
    medium_effect
        :math:`B`, response to each medium other than the maintenance medium.
    edit_effect
        :math:`c`, response that all edits share (stress, cutting, delayed growth), per edit of efficacy 1.
    log_headroom
        :math:`\log H`.
    edges
        The edges, where few of all that are possible may be there.
    programmes
        What a network of low rank adds to them.
    """

    weight: Float[Array, "gene regulator"] | Float[Array, " edge"]
    bias: Float[Array, " gene"]
    medium_effect: Float[Array, "gene medium"]
    edit_effect: Float[Array, " gene"]
    log_headroom: Float[Array, " gene"]
    edges: Edges | None = None
    programmes: Programmes | None = None

    def __call__(self, z: Float[Array, "*n gene"], context: ContextArrays) -> Float[Array, "*n gene"]:
        drive = self.drive(regulator_signal(z, context)) + context.medium @ self.medium_effect.T
        drive = drive + context.n_edits * spread(self.edit_effect, z.shape) + spread(self.bias, z.shape)
        headroom = spread(jnp.exp(self.log_headroom), z.shape)
        gain = -headroom * jnp.expm1(-jnp.maximum(drive, 0.0) / headroom)
        return jnp.exp(jnp.minimum(drive, 0.0)) + gain

    def drive(self, signal: Float[Array, "*n regulator"]) -> Float[Array, "*n gene"]:
        """What the network says to each gene."""
        said = signal @ self.weight.T if self.edges is None else self.edges.product(self.weight, signal)
        return said if self.programmes is None else said + self.programmes.product(signal)

    def full(self) -> Float[Array, "*member gene regulator"]:
        """The weights as a full matrix, whatever form they have."""
        matrix = self.weight if self.edges is None else self.edges.full(self.weight)
        return matrix if self.programmes is None else matrix + self.programmes.full()


def unwired_regulation(
    n_genes: int,
    n_regulators: int,
    n_media: int,
    *,
    headroom: Float[np.ndarray, " gene"] | float = 5.0,
    dtype: jnp.dtype | None = None,
) -> SaturatingRegulation:
    """Regulation without edges, where production is that of unedited cells whatever is done."""
    zeros = jnp.zeros(n_genes, dtype)
    return SaturatingRegulation(
        weight=jnp.zeros((n_genes, n_regulators), dtype),
        bias=zeros,
        medium_effect=jnp.zeros((n_genes, n_media), dtype),
        edit_effect=zeros,
        log_headroom=jnp.log(jnp.broadcast_to(jnp.asarray(headroom, zeros.dtype), n_genes)),
    )


class NeuralMap(eqx.Module):
    """A one-hidden-layer network from state and context to one number per gene, zero at the start.

    Parameters
    ----------
    enter, enter_bias
        Weights from features to hidden units.
    leave, leave_bias
        Weights from hidden units to genes.
    """

    enter: Float[Array, "feature hidden"]
    enter_bias: Float[Array, " hidden"]
    leave: Float[Array, "hidden gene"]
    leave_bias: Float[Array, " gene"]

    def __call__(self, z: Float[Array, "*n gene"], context: ContextArrays) -> Float[Array, "*n gene"]:
        features = [regulator_signal(z, context), context.production - 1.0, context.medium, context.n_edits]
        hidden = jnp.tanh(jnp.concatenate(features, axis=-1) @ self.enter + self.enter_bias)
        return hidden @ self.leave + self.leave_bias


def neural_map(
    n_genes: int, n_regulators: int, n_media: int, *, n_hidden: int, key: PRNGKeyArray, dtype: jnp.dtype | None = None
) -> NeuralMap:
    """A `NeuralMap` whose output is zero until it is trained."""
    n_features = n_regulators + n_genes + n_media + 1
    return NeuralMap(
        enter=jax.random.normal(key, (n_features, n_hidden), dtype or jnp.float32) / jnp.sqrt(n_features),
        enter_bias=jnp.zeros(n_hidden, dtype),
        leave=jnp.zeros((n_hidden, n_genes), dtype),
        leave_bias=jnp.zeros(n_genes, dtype),
    )


class ResidualRegulation(AbstractRegulation):
    r"""A mechanism times a learned correction, :math:`\rho = \rho_{\rm mechanism}\, e^{r}`.

    Parameters
    ----------
    mechanism
        What is known.
    correction
        :math:`r`, what learning fills in; zero at the start, and its share is penalised by the loss.
    """

    mechanism: AbstractRegulation
    correction: NeuralMap

    def __call__(self, z: Float[Array, "*n gene"], context: ContextArrays) -> Float[Array, "*n gene"]:
        return self.mechanism(z, context) * jnp.exp(jnp.clip(self.correction(z, context), -5.0, 5.0))
