"""The stochastic law of a cell in a simulated world."""

from __future__ import annotations

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, PRNGKeyArray

STEP_HOURS = 1.0
"""Longest time step, in hours."""

_LEAST = 1e-6


class Kinetics(eqx.Module):
    r"""Parameters of transcription, decay and noise.

    Abundances are relative to the unedited deterministic steady state, where all of them are 1:
    :math:`z` of mRNA, :math:`p` of the functional protein that regulation sees.

    .. math::
        \mathrm dz_i &= \delta_i \bigl(\rho_i\, e^{B_i\eta - |B_i|^2/2} - z_i\bigr)\,\mathrm dt
            + \sqrt{c_i \delta_i (\rho_i + z_i)}\,\mathrm dW_i \\
        \dot p_j &= \gamma_j (z_j - p_j), \qquad
        \mathrm d\eta = -\eta/\tau\,\mathrm dt + \sqrt{2/\tau}\,\mathrm dW \\
        \rho_i &= \frac{(1 + s_i)\,\pi_i}{1 + s_i \pi_i}, \qquad
        \pi_i = \prod_{\text{sites } k} \frac{1 + (\omega_{ik} - 1)\,\theta_{ik}(p)}{1 + (\omega_{ik} - 1)\,\theta_{ik}(1)}

    A promoter has independent sites. The occupancy of a site is that of its protein,
    :math:`\theta_j = p_j^{n_j} / (K_j^{n_j} + p_j^{n_j})`, or the product of two where a pair binds together.
    A bound site multiplies the strength of the promoter by :math:`\omega`, and transcription saturates in it.

    Parameters
    ----------
    expression
        Abundance of each mRNA where ``z`` is 1, counts per 10⁴.
    decay
        Rate of mRNA decay :math:`\delta`, per hour.
    regulators
        Genes whose protein binds promoters.
    protein_decay
        Rate of protein decay :math:`\gamma`, per hour; infinite where the protein follows its mRNA at once.
    half_saturation
        :math:`K`, relative abundance of protein that fills half of the sites.
    cooperativity
        Hill coefficient :math:`n`.
    site_first, site_second
        The regulators that bind a site, as positions in ``regulators``; ``len(regulators)`` stands for none.
    site_fold
        :math:`\omega`, fold change of an occupied site; above 1 activates, below 1 represses, 1 where there is no site.
    saturation
        :math:`s`; the largest fold change of a promoter is ``(1 + s) / s``.
    noise
        :math:`c`, squared coefficient of variation of an unregulated mRNA.
    loadings
        :math:`B`, log fold change of production per unit of a slow factor.
    factor_hours
        Relaxation time :math:`\tau` of each slow factor, hours.
    """

    expression: Float[np.ndarray, " gene"]
    decay: Float[np.ndarray, " gene"]
    regulators: Int[np.ndarray, " regulator"]
    protein_decay: Float[np.ndarray, " regulator"]
    half_saturation: Float[np.ndarray, " regulator"]
    cooperativity: Float[np.ndarray, " regulator"]
    site_first: Int[np.ndarray, "site gene"]
    site_second: Int[np.ndarray, "site gene"]
    site_fold: Float[np.ndarray, "site gene"]
    saturation: Float[np.ndarray, " gene"]
    noise: Float[np.ndarray, " gene"]
    loadings: Float[np.ndarray, "gene factor"]
    factor_hours: Float[np.ndarray, " factor"]


class Effects(eqx.Module):
    """What a context does to cells; first axis gene, further axes as the cells.

    Parameters
    ----------
    functional
        Share of the newly made protein that works; a knockout lowers it.
    activity
        Share of the protein that is active; a drug lowers it.
    production_fold
        Factor on production; CRISPRi and media change it.
    production_added
        Production added, in units of the unedited production; CRISPRa raises it.
    decay_fold
        Factor on mRNA decay, as by nonsense-mediated decay of a knocked-out transcript.
    """

    functional: Float[np.ndarray, "gene ..."]
    activity: Float[np.ndarray, "gene ..."]
    production_fold: Float[np.ndarray, "gene ..."]
    production_added: Float[np.ndarray, "gene ..."]
    decay_fold: Float[np.ndarray, "gene ..."]


class CellState(eqx.Module):
    """Cells at one moment; the first axis is the molecule or factor, further axes are cells.

    Parameters
    ----------
    mrna
        Relative abundance of each mRNA.
    protein
        Relative abundance of the functional protein of each regulator.
    factors
        Slow factors, standard normal when stationary.
    """

    mrna: Float[Array | np.ndarray, "gene ..."]
    protein: Float[Array | np.ndarray, "regulator ..."]
    factors: Float[Array | np.ndarray, "factor ..."]


def reference_state(kinetics: Kinetics, shape: tuple[int, ...]) -> CellState:
    """Cells at the unedited deterministic steady state."""
    return CellState(
        mrna=np.ones((len(kinetics.expression), *shape), np.float32),
        protein=np.ones((len(kinetics.regulators), *shape), np.float32),
        factors=np.zeros((len(kinetics.factor_hours), *shape), np.float32),
    )


def without_noise(kinetics: Kinetics) -> Kinetics:
    """The deterministic limit of a law."""
    nothing = (np.zeros_like(kinetics.noise), np.zeros_like(kinetics.loadings))
    return eqx.tree_at(lambda k: (k.noise, k.loadings), kinetics, nothing)


def production(kinetics: Kinetics, protein: Float[Array, "regulator ..."]) -> Float[Array, "gene ..."]:
    """Production of each gene relative to that of unedited cells, from the active protein of the regulators."""
    ones = jnp.ones((len(kinetics.regulators),) + (1,) * (protein.ndim - 1), protein.dtype)
    ratio = _promoter_strength(kinetics, protein) / _promoter_strength(kinetics, ones)
    saturation = _column(kinetics.saturation, protein)
    return (1 + saturation) * ratio / (1 + saturation * ratio)


def elasticity(kinetics: Kinetics) -> Float[np.ndarray, "gene regulator"]:
    """Derivative of production by relative abundance of the mRNA of each regulator in unedited cells."""
    return np.asarray(_production_jacobian(kinetics)).astype(float)


def slowest_rate(kinetics: Kinetics) -> float:
    """Rate at which the slowest mode of unedited cells dies out, per hour; negative where the steady state is unstable.

    Genes that regulate none follow the others: their modes are their own decay.
    """
    regulators = kinetics.regulators
    delay = np.where(np.isfinite(kinetics.protein_decay), kinetics.protein_decay, 1e3)
    decay = kinetics.decay[regulators]
    each, n_regulators = np.arange(len(delay)), len(delay)
    jacobian = np.zeros((2 * n_regulators,) * 2)
    jacobian[each, each] = -decay
    jacobian[:n_regulators, n_regulators:] = decay[:, None] * elasticity(kinetics)[regulators]
    jacobian[n_regulators + each, each] = delay
    jacobian[n_regulators + each, n_regulators + each] = -delay
    others = np.delete(kinetics.decay, regulators)
    return float(min(-np.linalg.eigvals(jacobian).real.max(), others.min(initial=np.inf)))


def advance(
    kinetics: Kinetics,
    effects: Effects,
    cells: CellState,
    hours: float,
    *,
    noise_shape: tuple[int, ...],
    key: PRNGKeyArray,
    step_hours: float = STEP_HOURS,
) -> CellState:
    """Let cells live in one context.

    Production is held over a step, and decay is exact: the mean and the variance of a step are those of the
    birth–death process with that production. The draw is log-normal with these moments, so abundances stay positive.

    Parameters
    ----------
    kinetics
        The law.
    effects
        What the context does, of shapes that broadcast with the cells.
    cells
        Where they start.
    hours
        For how long.
    noise_shape
        Shape of the noise per molecule, broadcast to the cells: cells along an axis of length 1 share their noise.
    key
        Decides the noise.
    step_hours
        Longest time step, hours.
    """
    n_steps = math.ceil(hours / step_hours - 1e-9)
    if n_steps == 0:
        return cells
    return _advance(kinetics, effects, cells, np.float32(hours / n_steps), np.int32(n_steps), noise_shape, key)


@functools.partial(jax.jit, static_argnames=("noise_shape",))
def _advance(
    kinetics: Kinetics,
    effects: Effects,
    cells: CellState,
    step_hours: Float[Array, ""],
    n_steps: Int[Array, ""],
    noise_shape: tuple[int, ...],
    key: PRNGKeyArray,
) -> CellState:
    like = cells.mrna
    regulators = jnp.asarray(kinetics.regulators)
    functional = jnp.asarray(effects.functional)[regulators]
    activity = jnp.asarray(effects.activity)[regulators]
    keep = jnp.exp(-_column(kinetics.decay, like) * effects.decay_fold * step_hours)
    keep_protein = jnp.exp(-_column(kinetics.protein_decay, like) * step_hours)
    keep_factors = jnp.exp(-step_hours / _column(kinetics.factor_hours, like))
    factor_spread = jnp.sqrt(1 - keep_factors**2)
    loadings = jnp.asarray(kinetics.loadings)
    mean_shift = _column(0.5 * jnp.sum(loadings**2, axis=1), like)
    noise = _column(kinetics.noise, like)

    def step(number: Int[Array, ""], state: CellState) -> CellState:
        mrna_key, factor_key = jax.random.split(jax.random.fold_in(key, number))
        made = functional * state.mrna[regulators]
        protein = made + (state.protein - made) * keep_protein
        rate = production(kinetics, activity * protein)
        rate = rate * jnp.exp(jnp.tensordot(loadings, state.factors, 1) - mean_shift)
        level = (rate * effects.production_fold + effects.production_added) / effects.decay_fold
        mean = jnp.maximum(level + (state.mrna - level) * keep, _LEAST)
        variance = noise * (1 - keep) * (level + keep * state.mrna)
        log_variance = jnp.log1p(variance / mean**2)
        draw = jax.random.normal(mrna_key, (len(noise), *noise_shape), jnp.float32)
        mrna = jnp.maximum(mean * jnp.exp(jnp.sqrt(log_variance) * draw - 0.5 * log_variance), _LEAST)
        factor_draw = jax.random.normal(factor_key, (len(keep_factors), *noise_shape), jnp.float32)
        factors = keep_factors * state.factors + factor_spread * factor_draw
        return CellState(mrna=mrna, protein=protein, factors=factors)

    return jax.lax.fori_loop(0, n_steps, step, cells)


@jax.jit
def _production_jacobian(kinetics: Kinetics) -> Float[Array, "gene regulator"]:
    at_one = jnp.ones(len(kinetics.regulators), jnp.float32)
    return jax.jacfwd(lambda protein: production(kinetics, protein))(at_one)


def _promoter_strength(kinetics: Kinetics, protein: Float[Array, "regulator ..."]) -> Float[Array, "gene ..."]:
    exponent = _column(kinetics.cooperativity, protein)
    log_ratio = jnp.log(jnp.maximum(protein, _LEAST)) - jnp.log(_column(kinetics.half_saturation, protein))
    occupancy = jax.nn.sigmoid(exponent * log_ratio)
    occupancy = jnp.concatenate([occupancy, jnp.ones_like(occupancy[:1])])
    fold = jnp.asarray(kinetics.site_fold).reshape(*kinetics.site_fold.shape, *(1,) * (protein.ndim - 1))
    bound = occupancy[jnp.asarray(kinetics.site_first)] * occupancy[jnp.asarray(kinetics.site_second)]
    return jnp.prod(1 + (fold - 1) * bound, axis=0)


def _column(values: Array | np.ndarray, like: Array) -> Array:
    """Values along the first axis, broadcast over the cells of ``like``."""
    return jnp.asarray(values).reshape(-1, *(1,) * (like.ndim - 1))
