"""The command that chooses the next experiments, on a finished run."""

from __future__ import annotations

import io

import anndata as ad
import pandas as pd
import pytest
from small_commands import call

from semimech import load, read_experiments


def test_a_round_is_ranked_with_reasons_and_can_be_run(finished, tmp_path):
    done = call("design", "next", finished.folder, "--pairs", "--most", 60, "--batch", 4, "--out", tmp_path / "next")
    assert done.code == 0, done.err
    table = pd.read_csv(io.StringIO(done.out), sep="\t")
    assert table["rank"].tolist() == [1, 2, 3, 4]
    assert table["reason"].str.contains("of the expected squared error").all()
    asked = {c for e in read_experiments(tmp_path / "next" / "experiments.tsv") for c in e.conditions.values()}
    assert len(asked) == 4
    assert asked.isdisjoint(load(finished.folder / "model").training)
    assert "error removed" in done.err and (tmp_path / "next" / "next.toml").exists()


def test_lessons_are_a_criterion_too(finished):
    options = ("--most", 20, "--batch", 2, "--criterion", "lessons")
    done = call("design", "next", finished.folder, *options)
    assert done.code == 0, done.err
    table = pd.read_csv(io.StringIO(done.out), sep="\t")
    assert (table["gain"] <= table["gain_alone"] + 1e-9).all() and (table["gain"] > 0).all()
    assert table["reason"].str.contains("of the expected squared error").all()


def test_harvests_that_tell_an_assumption_right_or_wrong_are_a_criterion_of_data(screen_file, tmp_path):
    settings = tmp_path / "quick.toml"
    settings.write_text(
        'steady_state = "none"\nn_steps = 2\nvalidation_steps = 2\nn_members = 1\nn_folds = 2\nsparsities = [0.1]\n'
    )
    genes = tmp_path / "genes.txt"
    genes.write_text("\n".join(ad.read_h5ad(screen_file, backed="r").var_names[:6]))
    options = ("--config", settings, "--criterion", "assumptions", "--assumption", "additive combinations")
    options += ("--genes", genes, "--pairs", "--batch", 3, "--out", tmp_path)
    done = call("design", "next", screen_file, *options)
    assert done.code == 0, done.err
    table = pd.read_csv(io.StringIO(done.out), sep="\t")
    assert table["perturbation"].str.contains("+", regex=False).all()  # only pairs tell
    assert (table["nats, additive combinations imposed"] > 0).all()
    assert table["reason"].str.contains("with additive combinations imposed it would be otherwise by").all()
    assert "chance of right, additive combinations imposed" in (tmp_path / "next.toml").read_text()


def test_a_goal_is_approached_with_an_interval(finished, tmp_path):
    model = load(finished.folder / "model")
    goal = pd.DataFrame({"gene": model.genes[:5], "value": model.fit.control[:5] + 0.5})
    goal.to_csv(tmp_path / "goal.tsv", sep="\t", index=False)
    done = call("design", "next", finished.folder, "--goal", tmp_path / "goal.tsv", "--most", 60, "--batch", 3)
    assert done.code == 0, done.err
    table = pd.read_csv(io.StringIO(done.out), sep="\t")
    assert (table["lower"] <= table["closeness"]).all() and (table["closeness"] <= table["upper"]).all()
    assert table["p_best"].sum() == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (("--criterion", "luck"), "criterion must be one of"),
        (("--criterion", "assumptions"), "give the data, not a fitted model"),
        (("--assumption", "acyclic regulation"), "give both, or neither"),
        (("--criterion", "assumptions", "--assumption", "aditive combinations"), "unknown assumptions"),
        (("--budget", "0.1"), "raise the budget"),
        (("--genes", "nowhere.txt"), "no readable text file"),
        (("--goal", "nowhere.tsv"), "columns gene and value"),
        (("--goal", "nowhere.tsv", "--criterion", "information"), "leave one of them out"),
    ],
)
def test_a_round_that_cannot_be_planned_is_an_error_in_words(extra, said, finished):
    done = call("design", "next", finished.folder, "--most", 20, *extra)
    assert done.code == 2 and said in done.err


def test_a_campaign_is_replayed_drawn_and_goes_on(screen_file, tmp_path):
    settings = tmp_path / "quick.toml"
    settings.write_text(
        'steady_state = "none"\nn_steps = 2\nvalidation_steps = 2\nn_members = 1\nn_folds = 2\nsparsities = [0.1]\n'
    )
    options = ("--out", tmp_path / "out", "--begin", 2, "--batch", 1, "--rounds", 1, "--config", settings)
    done = call("campaign", screen_file, *options, "--strategy", "diverse", "--strategy", "random")
    assert done.code == 0, done.err
    curves = pd.read_csv(io.StringIO(done.out), sep="\t")
    assert curves.groupby("strategy")["n_edits"].apply(list).to_dict() == {"diverse": [2, 3], "random": [2, 3]}
    value = pd.read_csv(tmp_path / "out" / "value.tsv", sep="\t")
    assert value["strategy"].unique().tolist() == ["diverse"] and value["price"].tolist()[0] == "edit"
    assert "diverse saves" in done.err and (tmp_path / "out" / "campaign.png").stat().st_size > 1000
    again = call("campaign", screen_file, *options, "--strategy", "random", "--strategy", "diverse")
    assert again.code == 0 and "steps" not in again.err
    errors = pd.read_csv(tmp_path / "out" / "errors.tsv", sep="\t")
    assert set(errors["round"]) == {0, 1} and (errors["error"] > 0).all()
    refused = call("campaign", screen_file, *options, "--held-out", 0.4)
    assert refused.code == 2 and "holds a campaign of other data, sizes or settings" in refused.err
