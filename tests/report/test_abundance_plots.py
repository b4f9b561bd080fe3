"""Pictures of abundance: what they show is what was found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from small_guides import guide_screen

from semimech.abundance import analyse_abundance, guide_counts
from semimech.report.plots import plot_abundance, plot_bottleneck


@pytest.fixture(scope="module")
def screen():
    """Two animals at one time."""
    sizes = {"n_genes": 3, "guides": 3, "n_neutral": 20, "effects": {"g1": -0.03}}
    first, sheet = guide_screen(1, hours=(0, 96), **sizes)
    second, _ = guide_screen(2, hours=(0, 96), **sizes)
    table = first.assign(again96=second["after96"], before=first["before"] + second["before"])
    more = sheet[sheet["role"] == "sample"].assign(sample="again96", animal="2")
    return analyse_abundance(guide_counts(table, pd.concat([sheet, more], ignore_index=True)))


def test_trajectories_leave_the_reference_and_run_through_the_mean_of_animals(screen):
    lines = [line for line in plot_abundance(screen).axes[0].lines if line.get_label() == "g1"]
    (line,) = lines
    x, y = line.get_data()
    assert x.tolist() == [0.0, 96.0] and y[0] == 0.0
    rows = (screen.guides["gene"] == "g1").to_numpy()
    last = screen.changes[["after96", "again96"]].to_numpy()[rows].mean() / np.log(2.0)
    assert y[1] == pytest.approx(last)


def test_the_axis_of_founders_holds_every_interval(screen):
    axes = plot_bottleneck(screen).axes[0]
    low, high = axes.get_xlim()
    assert low <= screen.founders["founders"].min() and screen.founders["founders"].max() <= high
    assert not any(text.get_text() for text in axes.get_xticklabels(minor=True))
