r"""Optimal transport between normal populations as a law: the motion of least action, in closed form.

Between :math:`N(m_0, \Sigma_0)` and :math:`N(m_1, \Sigma_1)` the law :math:`dx/dt = v_t(x)` of least action
:math:`\int_0^1 \mathbb{E}|v_t(x_t)|^2 dt` (Benamou & Brenier 2000, Numer. Math. 84:375) moves every cell straight to
:math:`T(x) = m_1 + A (x - m_0)` with

.. math:: A = \Sigma_0^{-1/2} (\Sigma_0^{1/2} \Sigma_1 \Sigma_0^{1/2})^{1/2} \Sigma_0^{-1/2}, \qquad
          v_t(x) = m_1 - m_0 + (A - I) ((1 - t) I + t A)^{-1} (x - m_t)

(Dowson & Landau 1982, J. Multivar. Anal. 12:450). In the words of the framework it is a linear law without degradation, whose production depends on the clock: what an
optimal-transport map takes for the operator :math:`F_{c,\tau}` of an edit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, kw_only=True, eq=False)
class LeastAction:
    """The motion of least action between two normal populations.

    Parameters
    ----------
    mean, covariance
        Of the cells at time 0; the covariance is positive definite.
    end_mean, end_covariance
        Of the cells at time 1.

    Raises
    ------
    ValueError
        If the first covariance is singular, so that there is no map.
    """

    mean: Float[np.ndarray, " gene"]
    covariance: Float[np.ndarray, "gene gene"]
    end_mean: Float[np.ndarray, " gene"]
    end_covariance: Float[np.ndarray, "gene gene"]

    def __post_init__(self) -> None:
        if np.linalg.eigvalsh(self.covariance).min() <= 0:
            raise ValueError("the first covariance is singular: cells that do not differ cannot be mapped apart")

    @cached_property
    def matrix(self) -> Float[np.ndarray, "gene gene"]:
        """The slope :math:`A` of the map, symmetric and positive: the gradient of a convex function."""
        root = _root(self.covariance)
        inverse = np.linalg.inv(root)
        return inverse @ _root(root @ self.end_covariance @ root) @ inverse

    @cached_property
    def action(self) -> float:
        r"""Least action, the squared 2-Wasserstein distance :math:`|m_0 - m_1|^2 + \mathrm{tr}(\Sigma_0 + \Sigma_1 - 2 (\Sigma_0^{1/2} \Sigma_1 \Sigma_0^{1/2})^{1/2})`."""
        root = _root(self.covariance)
        cross = _root(root @ self.end_covariance @ root)
        spread = np.trace(self.covariance + self.end_covariance - 2.0 * cross)
        return float(((self.mean - self.end_mean) ** 2).sum() + spread)

    def move(self, cells: Float[np.ndarray, "cell gene"], time: float = 1.0) -> Float[np.ndarray, "cell gene"]:
        """Where cells of time 0 are at a time in [0, 1]."""
        there = self.end_mean + (cells - self.mean) @ self.matrix
        return (1.0 - time) * cells + time * there

    def velocity(self, cells: Float[np.ndarray, "cell gene"], time: float) -> Float[np.ndarray, "cell gene"]:
        """Velocity of cells that are there at a time in [0, 1]."""
        slope = np.eye(len(self.mean)) + time * (self.matrix - np.eye(len(self.mean)))
        middle = (1.0 - time) * self.mean + time * self.end_mean
        return (
            self.end_mean
            - self.mean
            + np.linalg.solve(slope, (cells - middle).T).T @ (self.matrix - np.eye(len(self.mean)))
        )


def _root(matrix: Float[np.ndarray, "gene gene"]) -> Float[np.ndarray, "gene gene"]:
    """The positive square root of a symmetric matrix."""
    value, vector = np.linalg.eigh(matrix)
    return (vector * np.sqrt(np.maximum(value, 0.0))) @ vector.T
