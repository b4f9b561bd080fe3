"""Data-parallel training: courses shared out over several devices of JAX, everything else on each of them."""

from __future__ import annotations

import equinox as eqx
import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from semimech._errors import ConfigError
from semimech.fit.problem import Problem


def check_devices(n_devices: int) -> None:
    """Refuse more devices than there are.

    Raises
    ------
    ConfigError
        If JAX sees fewer.
    """
    there = jax.local_device_count()
    if n_devices > there:
        raise ConfigError(
            f"devices = {n_devices}, but JAX sees {there} ({jax.default_backend()}): ask for at most {there}; "
            "a processor stands for several with XLA_FLAGS=--xla_force_host_platform_device_count"
        )


def shared_out(problem: Problem, n_devices: int) -> Problem:
    """The problem with the contexts of its courses on so many devices, equal numbers on each.

    What else there is goes to all of them, and compilers find out the rest: each device integrates its own courses,
    and gradients are summed. Stages whose courses cannot be divided stay whole.
    """
    if n_devices == 1:
        return problem
    mesh = Mesh(np.array(jax.local_devices()[:n_devices]), ("course",))
    whole, parts = (NamedSharding(mesh, PartitionSpec(*axes)) for axes in ((), (None, "course")))
    arrays, rest = eqx.partition(problem, eqx.is_array)
    stages = [stage.contexts if len(stage.start) % n_devices == 0 else None for stage in arrays.plan.stages]
    everywhere = jax.device_put(arrays, whole)
    divided = [None if each is None else jax.device_put(each, parts) for each in stages]
    for number, contexts in enumerate(divided):
        if contexts is not None:
            everywhere = eqx.tree_at(lambda p, n=number: p.plan.stages[n].contexts, everywhere, contexts)
    return eqx.combine(everywhere, rest)
