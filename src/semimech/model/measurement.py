"""The measurement operator: from the state of a cell to its counts, as a law to draw from and to weigh data with."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import gammaln
from jaxtyping import Array, Float, Int, PRNGKeyArray

from semimech._errors import DataError, raise_faults

_SERIES_FROM = 10.0
"""Argument from which four terms of Stirling's series are exact to 1e-12."""


class MeasurementOperator(eqx.Module):
    r"""Counts of cells, negative binomial around what the batch lets through.

    .. math::

        \mu_{ig} = \ell_i\, c_b \Bigl[(1 - a_b)\, \frac{f_{bg} x_{ig}}{\sum_h x_{ih}} + a_b\, s_{bg}\Bigr], \qquad
        y_{ig} \sim \pi_g\, \delta_0 + (1 - \pi_g)\, \mathrm{NB}(\mu_{ig}, \alpha_g), \qquad
        \operatorname{Var}_{\mathrm{NB}} = \mu + \alpha \mu^2

    Poisson is the case :math:`\alpha = 0`, exactly. A factor common to all genes of a batch and its capture are the same
    thing, and batch factors are told from biology only by cells that are alike in several batches: unedited ones.

    Parameters
    ----------
    capture
        :math:`c`, share of a cell's library that each batch captures, relative to the others.
    gene_factor
        :math:`f`, how much of each gene a batch lets through, relative to the other batches.
    dispersion
        :math:`\alpha`, excess of the variance in units of the squared mean; 0 is Poisson.
    ambient_fraction
        :math:`a`, share of the counts of a cell that come from the ambient RNA of its batch; ``None`` for none.
    ambient_profile
        :math:`s`, share of each gene in the ambient RNA; rows sum to one. Needed with ``ambient_fraction``.
    zero_inflation
        :math:`\pi`, probability that a gene is not seen whatever its mean; ``None`` for none.

    Raises
    ------
    DataError
        Listing every parameter outside its range, when checked with `check`.
    """

    capture: Float[Array, " batch"]
    gene_factor: Float[Array, "batch gene"]
    dispersion: Float[Array, " gene"]
    ambient_fraction: Float[Array, " batch"] | None = None
    ambient_profile: Float[Array, "batch gene"] | None = None
    zero_inflation: Float[Array, " gene"] | None = None

    def mean(
        self, state: Float[Array, "cell gene"], *, library: Float[Array, " cell"], batch: Int[Array, " cell"]
    ) -> Float[Array, "cell gene"]:
        """Mean counts, zero inflation apart.

        Parameters
        ----------
        state
            Abundance of each gene, in any unit, not negative and not all zero.
        library
            Counts that the cell would give at a capture of one.
        batch
            Index of each cell's batch.
        """
        share = self.gene_factor[batch] * state / state.sum(axis=1, keepdims=True)
        if self.ambient_fraction is not None and self.ambient_profile is not None:
            ambient = self.ambient_fraction[batch][:, None]
            share = (1 - ambient) * share + ambient * self.ambient_profile[batch]
        return (library * self.capture[batch])[:, None] * share

    def log_prob(
        self,
        counts: Float[Array, "cell gene"] | Int[Array, "cell gene"],
        state: Float[Array, "cell gene"],
        *,
        library: Float[Array, " cell"],
        batch: Int[Array, " cell"],
    ) -> Float[Array, "cell gene"]:
        """Logarithm of the probability of each count; arguments as of `mean`.

        A count of a gene whose mean is zero has probability 0, minus infinity here.
        """
        value = log_negative_binomial(counts, self.mean(state, library=library, batch=batch), self.dispersion)
        if self.zero_inflation is None:
            return value
        seen = jnp.log1p(-self.zero_inflation) + value
        return jnp.where(counts == 0, jnp.logaddexp(jnp.log(self.zero_inflation), seen), seen)

    def sample(
        self,
        state: Float[Array, "cell gene"],
        *,
        library: Float[Array, " cell"],
        batch: Int[Array, " cell"],
        key: PRNGKeyArray,
    ) -> Int[Array, "cell gene"]:
        """Draw counts: Poisson around gamma-distributed means; arguments as of `mean`, and the key that decides the draw."""
        gamma_key, poisson_key, zero_key = jax.random.split(key, 3)
        rate = self.mean(state, library=library, batch=batch)
        size = 1 / jnp.where(self.dispersion > 0, self.dispersion, 1.0)
        factor = jax.random.gamma(gamma_key, jnp.broadcast_to(size, rate.shape)) / size
        counts = jax.random.poisson(poisson_key, rate * jnp.where(self.dispersion > 0, factor, 1.0))
        if self.zero_inflation is None:
            return counts
        return jnp.where(jax.random.uniform(zero_key, rate.shape) < self.zero_inflation, 0, counts)

    def check(self) -> None:
        """Check the parameters, outside compiled code.

        Raises
        ------
        DataError
            Listing every parameter outside its range.
        """
        faults = []
        for name in ("capture", "gene_factor", "dispersion"):
            values = np.asarray(getattr(self, name))
            is_bad = ~np.isfinite(values) | (values < 0) | ((values == 0) & (name == "capture"))
            if is_bad.any():
                faults.append(f"{name} must be finite and {'positive' if name == 'capture' else '0 or more'}")
        for name in ("ambient_fraction", "zero_inflation"):
            values = getattr(self, name)
            if values is not None and not ((np.asarray(values) >= 0) & (np.asarray(values) < 1)).all():
                faults.append(f"{name} must lie in [0, 1)")
        if (self.ambient_fraction is None) != (self.ambient_profile is None):
            faults.append("ambient_fraction and ambient_profile go together: give both or none")
        elif self.ambient_profile is not None and not np.allclose(
            np.asarray(self.ambient_profile).sum(axis=1), 1, atol=1e-4
        ):
            faults.append("rows of ambient_profile must sum to one: divide them by their sums")
        raise_faults(DataError, "MeasurementOperator", faults)


def log_negative_binomial(
    counts: Float[Array, "*cells gene"] | Int[Array, "*cells gene"],
    mean: Float[Array, "*cells gene"],
    dispersion: Float[Array, "*#cells gene"],
) -> Float[Array, "*cells gene"]:
    r"""Logarithm of the negative binomial mass, without loss of figures from 0 to 10⁵ counts and down to Poisson.

    In Loader's form (C. Loader 2000, "Fast and accurate computation of binomial probabilities"), with
    :math:`d = \mu - y`, :math:`L(w) = \log(1 + w)/w`, :math:`r = 1/\alpha` and :math:`\delta(z)` the error of Stirling's formula
    for :math:`\log z!`,

    .. math::

        \log p = y \log\frac{\mu}{y} - d\, L\Bigl(\frac{\alpha d}{1 + \alpha y}\Bigr)
            + \delta(y + r) - \delta(r) - \delta(y) - \tfrac12 \log 2\pi y - \tfrac12 \log(1 + \alpha y),

    of which :math:`y = 0` leaves :math:`-\mu L(\alpha\mu)`. No term is larger than the deviation of a count from its mean,
    and none has a pole at :math:`\alpha = 0`.

    Parameters
    ----------
    counts
        Whole numbers, 0 or more.
    mean
        Means, 0 or more.
    dispersion
        Excess of the variance in units of the squared mean, 0 or more.
    """
    y = jnp.asarray(counts, mean.dtype)
    is_zero = y == 0
    safe = jnp.where(is_zero, 1.0, y)
    deviation = mean - y
    relative = jnp.where(is_zero, 0.0, deviation / safe)
    is_near = jnp.abs(relative) < 0.5
    log_ratio = jnp.where(
        is_near, jnp.log1p(jnp.where(is_near, relative, 0.0)), jnp.log(jnp.where(is_near, safe, mean)) - jnp.log(safe)
    )
    value = -deviation * _log_ratio(dispersion * mean, dispersion * y)
    rest = safe * jnp.where(is_zero, 0.0, log_ratio)
    rest = rest + _stirling_error(dispersion / (1 + dispersion * safe)) - _stirling_error(dispersion)
    rest = rest - _stirling_error(1 / safe) - 0.5 * (jnp.log(2 * jnp.pi * safe) + jnp.log1p(dispersion * safe))
    return value + jnp.where(is_zero, 0.0, rest)


def _log_ratio(a: Float[Array, ...], b: Float[Array, ...]) -> Float[Array, ...]:
    """``log(1 + w) / w`` for ``1 + w = (1 + a) / (1 + b)``, also where ``w`` is near zero, or near -1."""
    w = (a - b) / (1 + b)
    is_small, is_large = jnp.abs(w) < 1e-3, jnp.abs(w) > 0.5
    small = jnp.where(is_small, w, 0.0)
    series = 1 - small * (1 / 2 - small * (1 / 3 - small * (1 / 4 - small / 5)))
    logarithm = jnp.where(is_large, jnp.log1p(a) - jnp.log1p(b), jnp.log1p(jnp.where(is_large, 0.0, w)))
    return jnp.where(is_small, series, logarithm / jnp.where(is_small, 1.0, w))


def _stirling_error(q: Float[Array, ...]) -> Float[Array, ...]:
    r"""Error of Stirling's formula, :math:`\log z! - \tfrac12\log 2\pi z - z\log z + z`, at :math:`z = 1/q`; 0 at ``q = 0``."""
    is_large = q * _SERIES_FROM < 1
    small = jnp.where(is_large, q, 0.0)
    series = small * (1 / 12 - small**2 * (1 / 360 - small**2 * (1 / 1260 - small**2 / 1680)))
    z = 1 / jnp.where(is_large, 1.0, q)
    exact = gammaln(z + 1) - 0.5 * jnp.log(2 * jnp.pi * z) - z * jnp.log(z) + z
    return jnp.where(is_large, series, exact)
