"""What a user should know of how a fit came out, in words."""

from __future__ import annotations

from semimech.data import Dataset
from semimech.fit.candidates import MOST_GENES, Candidate
from semimech.fit.config import FitConfig
from semimech.fit.select import Selection
from semimech.model import PriorNetwork


def table_notes(prior: PriorNetwork | None, selection: Selection) -> tuple[str, ...]:
    """How often each table of known wiring counts, in words; nothing where it was not chosen."""
    if prior is None or prior.use == "mask" or prior.counts or "tables" not in selection.table:
        return ()
    counts = selection.chosen.tables or (1.0,) * len(prior.tables)
    words = {0.0: "not at all", 1.0: "as given"}
    found = (
        f"{name or 'the known wiring'} {words.get(count, f'{count:g} times over')}"
        for name, count in zip(prior.tables, counts, strict=True)
    )
    return (f"Inner validation lets tables of known wiring count: {', '.join(found)}.",)


def strength_notes(dataset: Dataset, config: FitConfig, chosen: Candidate) -> tuple[str, ...]:
    """Why the steady-state loss is what it is, in words."""
    movement = dataset.system.movement
    if movement:
        return (f"{movement[0].upper()}{movement[1:]}: no steady-state loss is used.",)
    if not dataset.is_stationary_control.any():
        return ("There are no unedited cells in the maintenance medium, so no steady-state loss can be used.",)
    if config.steady_state == "none":
        return ("No steady-state loss was asked for.",)
    if config.steady_state == "auto" and dataset.control_moments is None:
        return ("Control cells come without counts, so their covariance is unknown and 'moment' was not tried.",)
    if config.steady_state == "auto" and len(dataset.genes) > MOST_GENES:
        return (f"With more than {MOST_GENES:,} genes 'moment' is not tried unasked: it costs too much.",)
    if chosen.strength == "none":
        return ("Inner validation found no gain in a steady-state loss on this data set, so none is used.",)
    return (
        f"Inner validation chose the steady-state loss '{chosen.strength}' with weight {chosen.weight:g}"
        + (f" and {chosen.n_factors} slow latent factors." if chosen.n_factors else "."),
    )
