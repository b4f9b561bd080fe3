"""A drug screen from the command line: compounds in a table, doses in obs, washed out in a query."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pytest
from small_commands import call

from semimech.data import read
from semimech.experiment import Compound, write_compounds
from semimech.fit import load


@pytest.fixture(scope="module")
def drugs(cells, tmp_path_factory):
    """The small screen with its knockouts renamed to compounds that act on the same genes, at two doses."""
    folder = tmp_path_factory.mktemp("drugs")
    data = cells[~cells.obs["perturbation"].astype(str).str.contains("+", regex=False)].copy()
    del data.uns
    names = data.obs["perturbation"].astype(str)
    targets = sorted(set(names) - {"control"})
    data.obs["perturbation"] = names.where(names == "control", "anti-" + names).astype("category")
    data.obs["dose_value"] = np.where(np.arange(data.n_obs) % 2, "1uM", "100nM")
    data.write_h5ad(folder / "drugs.h5ad")
    compounds = [Compound(name=f"anti-{gene}", targets=(gene,), ic50=0.2) for gene in targets]
    write_compounds(compounds, folder / "compounds.tsv")
    return folder, targets


@pytest.fixture(scope="module")
def model(drugs, settings):
    folder, _ = drugs
    options = ("--compounds", folder / "compounds.tsv", "--config", settings)
    done = call("fit", folder / "drugs.h5ad", "--out", folder / "results", *options)
    assert done.code == 0, done.err
    return folder / "results"


def test_compounds_are_read_fitted_and_kept_with_the_model(drugs, model):
    folder, targets = drugs
    data = read(folder / "drugs.h5ad", compounds=folder / "compounds.tsv")
    again = load(model / "model")
    assert again.system == data.system
    assert [c.name for c in again.system.compounds] == [f"anti-{gene}" for gene in targets]
    assert len({c.edits[0].efficacy for c in again.training if c.edits}) == 2


def test_a_dose_and_its_removal_are_predicted(drugs, model, tmp_path):
    name = f"anti-{drugs[1][0]}"
    query = f"dose {name} 0.5uM > wait 2d > harvest on > dose {name} 0uM > wait 2d > harvest off"
    done = call("predict", model, "--query", query, "--out", tmp_path / "p.h5ad")
    assert done.code == 0, done.err
    made = ad.read_h5ad(tmp_path / "p.h5ad")
    assert list(made.obs["perturbation"]) == [name, name]
    assert list(made.obs["coverage"]) == ["interpolated", "extrapolated"]
    assert made.obs["coverage_axes"].tolist()[0] == "dose"


def test_a_compound_that_was_not_in_training_is_asked_with_a_table_of_its_own(drugs, model, tmp_path):
    new = Compound(name="both", targets=tuple(drugs[1][:2]), ic50=1.0)
    write_compounds([new], tmp_path / "new.tsv")
    query = ("--query", "dose both 1uM > wait 2d > harvest", "--out", tmp_path / "p.h5ad")
    refused = call("predict", model, *query)
    assert refused.code == 2 and "compound 'both' is not known" in refused.err
    done = call("predict", model, *query, "--compounds", tmp_path / "new.tsv")
    assert done.code == 0, done.err
    write_compounds([Compound(name=f"anti-{drugs[1][0]}", targets=("TF01",), ic50=9.0)], tmp_path / "other.tsv")
    refused = call("predict", model, *query, "--compounds", tmp_path / "other.tsv")
    assert refused.code == 2 and "is known to act otherwise" in refused.err


def test_a_drug_screen_is_evaluated_on_unseen_compounds_and_times(drugs, settings, tmp_path):
    folder, _ = drugs
    options = ("--compounds", folder / "compounds.tsv", "--config", settings, "--folds", "2")
    done = call("evaluate", folder / "drugs.h5ad", "--out", tmp_path, *options)
    assert done.code == 0, done.err
    for split in ("unseen_edit", "unseen_time", "unseen_edit_time"):
        assert f"\t{split}\t" in done.out


def test_a_table_that_cannot_be_read_is_told_row_by_row(drugs, tmp_path):
    (tmp_path / "compounds.tsv").write_text("compound\ttargets\tic50\tunit\nx\tA\thalf\tuM\ny\t\t1\tmg\n")
    folder, _ = drugs
    done = call("check", folder / "drugs.h5ad", "--compounds", tmp_path / "compounds.tsv")
    assert done.code == 1
    assert "row 1, compound 'x'" in done.out and "row 2, compound 'y': unit must be" in done.out
    done = call("fit", folder / "drugs.h5ad", "--out", tmp_path / "out", "--compounds", tmp_path / "none.tsv")
    assert done.code == 2 and "none.tsv: cannot be read as a tab-separated table" in done.err
