"""Latent shift: an autoencoder of cells in whose latent space every edit is one shift, whatever the cell, time and medium."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Float, PRNGKeyArray

from semimech._errors import DataError
from semimech.assumptions import FAMILIES
from semimech.baselines.baseline import AbstractBaseline, Question
from semimech.baselines.effects import Edits, Effects

MOST_CONTROLS = 500
"""Unedited cells that are shifted for a prediction, drawn at random where there are more."""
_BATCH = 256


class Autoencoder(eqx.Module):
    r"""A variational autoencoder with normal posteriors, :math:`q(z|x) = N(E(x), \mathrm{diag}\,s^2(x))`, and normal noise of cells.

    Parameters
    ----------
    n_genes, n_latent, n_hidden
        Sizes of the observed and latent space, and of the one hidden layer of the encoder and of the decoder.
    key
        Decides the weights.
    """

    encoder: eqx.nn.MLP
    decoder: eqx.nn.MLP
    log_noise: Float[Array, " gene"]

    def __init__(self, n_genes: int, n_latent: int, n_hidden: int, *, key: PRNGKeyArray) -> None:
        into, out_of = jax.random.split(key)
        self.encoder = eqx.nn.MLP(n_genes, 2 * n_latent, n_hidden, 1, activation=jax.nn.softplus, key=into)
        self.decoder = eqx.nn.MLP(n_latent, n_genes, n_hidden, 1, activation=jax.nn.softplus, key=out_of)
        self.log_noise = jnp.zeros(n_genes)

    def encode(self, x: Float[Array, " gene"]) -> tuple[Float[Array, " latent"], Float[Array, " latent"]]:
        """Mean and standard deviation of the posterior."""
        mean, raw = jnp.split(self.encoder(x), 2)
        return mean, jax.nn.softplus(raw) + 1e-4

    def loss(self, x: Float[Array, " gene"], pull: float, *, key: PRNGKeyArray) -> Float[Array, ""]:
        """Negative evidence bound of one cell, the divergence from the prior weighted by ``pull``."""
        mean, spread = self.encode(x)
        seen = self.decoder(mean + spread * jax.random.normal(key, mean.shape))
        misfit = 0.5 * (((x - seen) / jnp.exp(self.log_noise)) ** 2 + 2.0 * self.log_noise).sum()
        return misfit + 0.5 * pull * (mean**2 + spread**2 - 1.0 - 2.0 * jnp.log(spread)).sum()


class LatentShift(AbstractBaseline):
    r"""Unedited cells, encoded, shifted and decoded: :math:`x \mapsto D(E(x) + \delta_p)`, with :math:`\delta_p` the difference of latent means.

    The idea of scGen (Lotfollahi et al. 2019, Nature Methods 16:715); shifts of edits made together are added, as in CPA (Lotfollahi et al. 2023, Molecular Systems
    Biology 19:e11517), and an edit that was never made is shifted as edits are on average. Time and media are not seen. It is the steady state of a linear latent law
    that edits drive, and no other law is.

    Parameters
    ----------
    effects
        Training effects, with cells.
    n_latent, n_hidden
        Sizes of the autoencoder.
    n_steps
        Steps of Adam, of 256 cells each.
    pull
        Weight of the divergence from the prior, as in a β-VAE; scGen and CPA take a small one.
    key
        Randomness of weights, noise and the order of cells.

    Raises
    ------
    DataError
        If there are no cells, no unedited ones or no edited ones.
    """

    def __init__(
        self,
        effects: Effects,
        *,
        n_latent: int = 10,
        n_hidden: int = 64,
        n_steps: int = 1500,
        pull: float = 0.1,
        key: PRNGKeyArray,
    ) -> None:
        family = next(family for family in FAMILIES if family.id == "latent-shift")
        super().__init__(effects, name="latent shift", assumptions=family.assumptions)
        data, cells = effects.dataset, effects.dataset.cells
        if cells is None or not data.is_control.any() or not len(effects.rows):
            raise DataError(f"{self.name!r} needs single cells, unedited and edited ones: {data.name} lacks them")
        values = np.asarray(cells.take(np.arange(cells.values.shape[0])), np.float32)
        self._centre, self._scale = values.mean(axis=0), np.maximum(values.std(axis=0), 1e-3)
        unit = jnp.asarray((values - self._centre) / self._scale)
        start_key, train_key, draw_key = jax.random.split(key, 3)
        start = Autoencoder(len(data.genes), n_latent, n_hidden, key=start_key)
        self._model = _trained(start, unit, n_steps, pull, key=train_key)
        latent = np.asarray(jax.vmap(lambda x: self._model.encode(x)[0])(unit), np.float64)
        is_control = data.is_control[cells.condition]
        zero = latent[is_control].mean(axis=0)
        by_edits: dict[Edits, list[np.ndarray]] = {}
        for row, condition in zip(effects.rows, effects.conditions, strict=True):
            by_edits.setdefault(condition.edits, []).append(latent[cells.condition == row])
        self.shifts = {edits: np.concatenate(parts).mean(axis=0) - zero for edits, parts in by_edits.items()}
        controls = latent[is_control]
        drawn = jax.random.permutation(draw_key, len(controls))[:MOST_CONTROLS]
        self._controls = controls[np.asarray(drawn)]

    def shift(self, edits: Edits) -> Float[np.ndarray, " latent"]:
        """The shift of some edits: as measured together, else the sum of those of each."""
        if edits in self.shifts:
            return self.shifts[edits]
        usual = np.mean(list(self.shifts.values()), axis=0)
        return np.sum([np.asarray(self.shifts.get((edit,), usual)) for edit in edits], axis=0)

    def decode(self, latent: Float[np.ndarray, "cell latent"]) -> Float[np.ndarray, "cell gene"]:
        """Cells of latent states, observed scale."""
        unit = jax.vmap(self._model.decoder)(jnp.asarray(latent, jnp.float32))
        return np.asarray(unit, np.float64) * self._scale + self._centre

    def changes(self, question: Question) -> Float[np.ndarray, "perturbation gene"]:
        """Mean over unedited cells of what the shift does to each."""
        before = self.decode(self._controls).mean(axis=0)
        found: Sequence[np.ndarray] = [
            self.decode(self._controls + self.shift(edits)).mean(axis=0) - before for edits in question.made
        ]
        return np.array(found)


def _trained(
    model: Autoencoder, cells: Float[Array, "cell gene"], n_steps: int, pull: float, *, key: PRNGKeyArray
) -> Autoencoder:
    optimiser = optax.chain(optax.clip_by_global_norm(10.0), optax.adam(optax.cosine_decay_schedule(3e-3, n_steps)))

    @eqx.filter_jit
    def train(model: Autoencoder) -> Autoencoder:
        variable, fixed = eqx.partition(model, eqx.is_inexact_array)

        def step(carry: tuple[Autoencoder, optax.OptState], key: PRNGKeyArray) -> tuple[tuple, None]:
            variable, state = carry
            pick_key, noise_key = jax.random.split(key)
            batch = cells[jax.random.randint(pick_key, (_BATCH,), 0, len(cells))]
            keys = jax.random.split(noise_key, _BATCH)

            def mean_loss(variable: Autoencoder) -> Float[Array, ""]:
                whole = eqx.combine(variable, fixed)
                return jax.vmap(lambda x, k: whole.loss(x, pull, key=k))(batch, keys).mean()

            update, state = optimiser.update(jax.grad(mean_loss)(variable), state, variable)
            return (eqx.apply_updates(variable, update), state), None

        carry, _ = jax.lax.scan(step, (variable, optimiser.init(variable)), jax.random.split(key, n_steps))
        return eqx.combine(carry[0], fixed)

    return train(model)
