r"""The law inside a context: how the relative state changes, written as forcing minus linear decay.

.. math:: \frac{dz}{dt} = N(z, c) - \lambda z

Exponential integrators treat the decay :math:`\lambda` exactly; :math:`N` is what is left.
"""

from __future__ import annotations

import abc
from dataclasses import replace

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from semimech.model.plan import ContextArrays
from semimech.model.regulation import AbstractRegulation, NeuralMap, ResidualRegulation, SaturatingRegulation, spread


class AbstractDynamics(eqx.Module):
    """Forcing and decay of the relative state."""

    @abc.abstractmethod
    def decay(self) -> Float[Array, " gene"]:
        """Rate of the linear decay, per hour."""

    @abc.abstractmethod
    def forcing(self, z: Float[Array, "*n gene"], context: ContextArrays) -> Float[Array, "*n gene"]:
        """Everything but the linear decay, per hour."""

    @property
    @abc.abstractmethod
    def settling_hours(self) -> float | None:
        """Hours after which cells count as settled.

        ``None`` where decay holds every gene, so that the steady state is found without integrating.
        """

    @abc.abstractmethod
    def natural_rate(self) -> Float[Array, " gene"]:
        """The rate by which a drift is judged large or small, per hour."""

    def drift(self, z: Float[Array, "*n gene"], context: ContextArrays) -> Float[Array, "*n gene"]:
        """Change of the relative state, per hour."""
        return self.forcing(z, context) - self.decay() * z


def own_production(
    context: ContextArrays, log_transcript: Float[Array, ""], log_transcript_gene: Float[Array, "*spread gene"]
) -> Float[Array, "*n gene"]:
    """Factor on a gene's own production by edits of itself.

    CRISPRi and CRISPRa scale it directly. A knockout removes activity; what becomes of its transcript
    (nonsense-mediated decay, lost feedback) is learned: one factor for all genes and a deviation for each.
    """
    kept = jnp.exp(log_transcript + log_transcript_gene)
    return context.production * (1.0 + context.knocked * (kept - 1.0))


class MechanisticDynamics(AbstractDynamics):
    r"""Production minus degradation, :math:`dz_g/dt = \delta_g\,(u_g\,\rho_g(z) - z_g)`.

    Parameters
    ----------
    regulation
        Relative production :math:`\rho`.
    log_degradation
        :math:`\log\delta`, per hour; the half-life is :math:`\ln 2/\delta`.
    log_transcript, log_transcript_gene
        What is left of the transcript of a knocked-out gene: shared, and deviation per gene.
    """

    regulation: AbstractRegulation
    log_degradation: Float[Array, " gene"]
    log_transcript: Float[Array, ""]
    log_transcript_gene: Float[Array, " gene"]

    @property
    def settling_hours(self) -> None:
        return None

    def decay(self) -> Float[Array, " gene"]:
        return jnp.exp(self.log_degradation)

    def natural_rate(self) -> Float[Array, " gene"]:
        return self.decay()

    def forcing(self, z: Float[Array, "*n gene"], context: ContextArrays) -> Float[Array, "*n gene"]:
        own = own_production(context, self.log_transcript, spread(self.log_transcript_gene, z.shape))
        return spread(self.decay(), z.shape) * own * self.regulation(z, context)


class NeuralDynamics(AbstractDynamics):
    r"""Neural ODE: a plain network for the drift, with the same edits and inputs as the mechanism.

    .. math:: dz_g/dt = k\,\mathrm{net}_g(z, c) + k\,e_g\,(u_g - z_g)

    The last term is the edit's direct effect on its own gene, :math:`e_g` marking edited genes.

    Parameters
    ----------
    network
        The network, zero at the start.
    rate
        :math:`k`, per hour, fixed: it sets the unit of the network's output.
    log_transcript, log_transcript_gene
        As in `MechanisticDynamics`.
    """

    network: NeuralMap
    rate: float = eqx.field(static=True)
    log_transcript: Float[Array, ""]
    log_transcript_gene: Float[Array, " gene"]

    @property
    def settling_hours(self) -> float:
        return 12.0 / self.rate

    def decay(self) -> Float[Array, " gene"]:
        return jnp.zeros_like(self.log_transcript_gene)

    def natural_rate(self) -> Float[Array, " gene"]:
        return jnp.full_like(self.log_transcript_gene, self.rate)

    def forcing(self, z: Float[Array, "*n gene"], context: ContextArrays) -> Float[Array, "*n gene"]:
        own = own_production(context, self.log_transcript, self.log_transcript_gene)
        is_edited = jnp.maximum(context.knocked, (context.production != 1.0).astype(z.dtype))
        return self.rate * (self.network(z, context) + is_edited * (own - z))


class LinearDynamics(AbstractDynamics):
    r"""The linear law, :math:`dz_g/dt = \delta_g\,(u_g + b_g + \sum_j W_{gj}(a_j z_j - 1) - z_g)`.

    Parameters
    ----------
    weight
        :math:`W`, row target, column regulator.
    bias
        :math:`b`, drift of unedited cells in units of degradation.
    log_degradation
        :math:`\log\delta`, per hour.
    """

    weight: Float[Array, "gene regulator"]
    bias: Float[Array, " gene"]
    log_degradation: Float[Array, " gene"]

    @property
    def settling_hours(self) -> None:
        return None

    def decay(self) -> Float[Array, " gene"]:
        return jnp.exp(self.log_degradation)

    def natural_rate(self) -> Float[Array, " gene"]:
        return self.decay()

    def forcing(self, z: Float[Array, "*n gene"], context: ContextArrays) -> Float[Array, "*n gene"]:
        n_targets = context.activity.shape[-1] - z.shape[-1]
        seen = jnp.concatenate([z, jnp.ones((*z.shape[:-1], n_targets), z.dtype)], axis=-1)
        drive = (context.activity * seen - 1.0) @ self.weight.T
        return self.decay() * (context.production + self.bias + drive)

    def coefficients(self, context: ContextArrays) -> tuple[Float[Array, "gene gene"], Float[Array, " gene"]]:
        """Matrix ``A`` and vector ``c`` of ``dz/dt = A z + c`` in one context."""
        n_genes = self.bias.shape[0]
        matrix = self.weight[:, :n_genes] * context.activity[:n_genes] - jnp.eye(n_genes)
        constant = context.production + self.bias - self.weight @ jnp.ones(self.weight.shape[1])
        constant = constant + self.weight[:, n_genes:] @ context.activity[n_genes:]
        rate = self.decay()
        return rate[:, None] * matrix, rate * constant


def wiring(dynamics: AbstractDynamics) -> SaturatingRegulation | None:
    """The network of a law, if it has one."""
    if not isinstance(dynamics, MechanisticDynamics):
        return None
    regulation = dynamics.regulation
    if isinstance(regulation, ResidualRegulation):
        regulation = regulation.mechanism
    return regulation if isinstance(regulation, SaturatingRegulation) else None


def in_full(dynamics: AbstractDynamics) -> AbstractDynamics:
    """The same law with its network as a full matrix: products by edge cannot be differentiated forwards."""
    mechanism = wiring(dynamics)
    if mechanism is None or mechanism.edges is None:
        return dynamics
    full = replace(mechanism, weight=mechanism.full(), edges=None, programmes=None)
    return eqx.tree_at(lambda law: wiring(law), dynamics, full)
