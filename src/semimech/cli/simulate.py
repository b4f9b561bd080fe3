"""The command that simulates a screen."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from semimech._errors import ConfigError
from semimech.cli.display import Display

if TYPE_CHECKING:
    from semimech.simulate import ScreenDesign, World

STREAM_FROM = 20_000_000
"""Values, cells times genes, above which a screen is streamed: in memory it would take about a gibibyte."""


def simulate(
    out: Annotated[Path, typer.Option("--out", dir_okay=False, help="File to write (.h5ad).", show_default=False)],
    preset: Annotated[
        str,
        typer.Option(
            help="World and design: ipsc_maintenance, endoderm_differentiation, drug_combination, haematopoiesis_in_vivo, tumour_in_vivo or co_culture."
        ),
    ] = "ipsc_maintenance",
    genes: Annotated[int | None, typer.Option(min=2, help="Genes in the panel.")] = None,
    edits: Annotated[int | None, typer.Option(min=1, help="Genes edited, or compounds.")] = None,
    doubles: Annotated[int | None, typer.Option(min=0, help="Pairs of them.")] = None,
    cells: Annotated[int | None, typer.Option(min=1, help="Cells per edited condition.")] = None,
    control_cells: Annotated[int | None, typer.Option(min=1, help="Unedited cells per day and medium.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the world and of all noise.")] = 0,
    stream: Annotated[
        bool | None,
        typer.Option(
            "--stream/--no-stream",
            help="Write block by block, in bounded memory: the cells of a condition share --states states. By default "
            f"above {STREAM_FROM // 1_000_000} million values.",
            show_default=False,
        ),
    ] = None,
    states: Annotated[int, typer.Option(min=1, help="States per condition of a streamed screen.")] = 256,
    then: Annotated[
        Path | None,
        typer.Option(
            help="experiments.tsv of a further round, as design next writes it: made in the world of --after, and added to its cells.",
            show_default=False,
        ),
    ] = None,
    after: Annotated[
        Path | None,
        typer.Option(help="The rounds before (.h5ad), made with the same preset, sizes and seed.", show_default=False),
    ] = None,
) -> None:
    """Simulate a screen whose truth is known; what is not given is as the preset has it. Screens in vivo come with counts of guides, for `semimech abundance`."""
    import jax

    from semimech.experiment import write_experiments
    from semimech.simulate import simulate_in_vivo, simulate_screen, stream_screen, write_in_vivo, write_screen

    if (then is None) != (after is None):
        raise ConfigError("--then says what is done next and --after in which world: give both, or neither")
    sizes = {"n_genes": genes, "n_edits": edits, "n_doubles": doubles, "cells": cells, "control_cells": control_cells}
    world_key, screen_key = jax.random.split(jax.random.key(seed))
    with Display() as display:
        world, design = _preset(preset, sizes, world_key)
        if then is not None and after is not None:
            if design.graft is not None or stream:
                raise ConfigError(
                    "--then goes with presets of cultures, without --stream: a further round is simulated as a whole"
                )
            typer.echo(f"{out}\t{_next_round(world, design, then, after, out, screen_key)}")
            return
        shape = (design.n_cells, len(world.genes))
        is_streamed = shape[0] * shape[1] > STREAM_FROM if stream is None else stream
        display.say(f"simulating {len(design.conditions)} conditions, {shape[0]} cells of {shape[1]} genes")
        if design.graft is not None:
            if stream:
                raise ConfigError(f"{preset} cannot be streamed: leave --stream out")
            tables = write_in_vivo(simulate_in_vivo(world, design, key=screen_key), out)
            display.say(f"counts of guides: {tables[0]}, samples: {tables[1]}")
        elif is_streamed:
            display.say(f"streaming: the cells of a condition take the states of {states} simulated cells")
            stream_screen(world, design, out, n_states=states, key=screen_key, progress=display.cells)
        else:
            write_screen(simulate_screen(world, design, key=screen_key), out)
        if design.graft is None and not design.is_told_by_names:
            write_experiments(design.experiments, out.with_suffix(".experiments.tsv"))
    typer.echo(f"{out}\t{shape[0]} cells\t{shape[1]} genes")


def _next_round(world: World, design: ScreenDesign, then: Path, after: Path, out: Path, key: Any) -> str:
    """Add a round to those before; what there is now, in words."""
    import anndata as ad
    import jax

    from semimech.experiment import read_experiments
    from semimech.simulate import next_round, write_screen

    try:
        before = ad.read_h5ad(after)
    except OSError as error:
        raise ConfigError(f"--after {after}: no readable .h5ad file") from error
    try:
        found = next_round(world, design, read_experiments(then), before, key=jax.random.fold_in(key, before.n_obs))
    except ValueError as error:
        raise ConfigError(f"--then {then}: {error}") from error
    write_screen(found, out)
    return f"{found.n_obs} cells\t{found.n_vars} genes"


def _preset(name: str, sizes: dict[str, int | None], key: Any) -> tuple[World, ScreenDesign]:
    from semimech.simulate import PRESETS

    presets = {make.__name__: make for make in PRESETS}
    if name not in presets:
        raise ConfigError(f"unknown preset {name!r}; known: {', '.join(presets)}")
    given: dict[str, Any] = {what: size for what, size in sizes.items() if size is not None}
    try:
        return presets[name](**given, key=key)
    except ValueError as error:
        raise ConfigError(str(error)) from None
