"""The truth of a screen as a dictionary that an h5ad file can hold."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool

from semimech.experiment import as_experiment, format_experiment
from semimech.simulate.kinetics import Kinetics
from semimech.simulate.measurement import Batches, Measurement
from semimech.simulate.truth import Truth
from semimech.simulate.world import World


def describe_truth(
    world: World,
    truth: Truth,
    *,
    measurement: Measurement,
    batches: Batches,
    is_escaper: Bool[np.ndarray, " cell"],
) -> dict[str, Any]:
    """Gather all that is known of a simulated screen.

    Returns
    -------
    dict
        ``conditions`` (table: perturbation, hours, medium, protocol), ``mean_cp10k``, ``deterministic_cp10k`` and ``observed``
        (condition × gene, in that order), ``network`` (table: source, target, sign, weight), ``half_life_hours``,
        ``protein_half_life_hours`` (of ``regulators``), ``expression``, ``knockout_mrna``, ``kinetics`` (every
        parameter of `Kinetics`), ``measurement``, ``batch_depth``, ``batch_gene_fold`` and ``is_escaper`` (by cell).
    """
    kinetics = world.kinetics
    conditions = pd.DataFrame(
        {
            "perturbation": [c.perturbation for c in truth.conditions],
            "hours": [float(c.hours) for c in truth.conditions],
            "medium": [c.medium or "maintenance" for c in truth.conditions],
            "protocol": [format_experiment(as_experiment(c, id="asked")) for c in truth.conditions],
        },
        index=[str(row) for row in range(len(truth.conditions))],
    )
    network = world.network.set_axis([str(row) for row in range(len(world.network))], axis=0)
    return {
        "conditions": conditions,
        "mean_cp10k": truth.mean,
        "deterministic_cp10k": truth.deterministic,
        "observed": truth.observed,
        "network": network,
        "half_life_hours": world.half_life_hours,
        "regulators": np.array([world.genes[r] for r in kinetics.regulators]),
        "protein_half_life_hours": np.log(2) / kinetics.protein_decay,
        "expression": kinetics.expression,
        "knockout_mrna": world.knockout_mrna,
        "kinetics": {field.name: getattr(kinetics, field.name) for field in fields(Kinetics)},
        "measurement": asdict(measurement),
        "batch_depth": batches.depth,
        "batch_gene_fold": batches.gene_fold,
        "is_escaper": is_escaper,
    }
