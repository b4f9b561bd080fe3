"""Array aliases and the axis names in use: cell, gene, time, batch, compound, experiment, condition, edge, rank."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, Float, Int

CellGene: TypeAlias = Float[np.ndarray, "cell gene"]
ConditionGene: TypeAlias = Float[np.ndarray, "condition gene"]
ConditionMask: TypeAlias = Bool[np.ndarray, " condition"]
ConditionCount: TypeAlias = Int[np.ndarray, " condition"]
GeneGene: TypeAlias = Float[np.ndarray, "gene gene"]
GeneVector: TypeAlias = Float[np.ndarray, " gene"]
