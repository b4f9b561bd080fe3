"""Edits that share a complex borrow from each other, in worlds where complexes act together or do not."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from small_data import condition, dataset
from small_fits import QUICK, asked

from semimech._errors import DataError
from semimech.data import Dataset
from semimech.experiment import Condition
from semimech.fit import FittedModel, fit, load
from semimech.fit.borrow import COEXPRESSION, CORESPONSE, NETWORK, borrowing_note, learn_borrowing
from semimech.fit.problem import data_weight, edited_genes
from semimech.fit.select import edit_folds
from semimech.interpret import borrowed_from, explain
from semimech.model import Kinship, PriorNetwork

N_GENES, SIZE = 30, 4
COMPLEXES = ("P", "Q", "R")
SUBUNITS = {f"{name}{number}": name for name in COMPLEXES for number in range(SIZE)}
TABLE = pd.DataFrame({"complex": list(SUBUNITS.values()), "gene": list(SUBUNITS)})
TIMES = (24.0, 72.0)
GROWTH = {24.0: 0.2, 72.0: 1.0}


def world(*, together: bool = True, seed: int = 0, noise: float = 0.1) -> tuple[Dataset, dict[str, np.ndarray]]:
    """Knockouts of subunits, none of them measured: one effect for each complex, or one for each subunit, that grows with time."""
    rng = np.random.default_rng(seed)
    of_complex = {name: rng.normal(size=N_GENES) for name in COMPLEXES}
    effects = {g: of_complex[c] if together else rng.normal(size=N_GENES) for g, c in SUBUNITS.items()}
    conditions = [condition(g, hours) for g in ("control", *SUBUNITS) for hours in TIMES]
    mean = np.array([5.0 + GROWTH[c.hours] * effects.get(c.perturbation, np.zeros(N_GENES)) for c in conditions])
    mean = mean + noise * rng.normal(size=mean.shape)
    return dataset(conditions, mean, standard_error=noise), effects


def learn(data: Dataset, **known):
    weight = data_weight(data) * (~edited_genes(data) & ~data.is_control[:, None])
    known = {"prior": None, "kinship": None, "seed": 0} | known
    return learn_borrowing(data, edit_folds(data, 3, seed=0), weight, **known)


def without(data: Dataset, gene: str) -> Dataset:
    return data.subset([row for row, name in enumerate(data.perturbations) if name != gene])


@pytest.fixture(scope="module")
def lent():
    data, effects = world()
    return learn(without(data, "P0"), kinship=Kinship(complexes={"table": TABLE})), effects


def test_an_unmeasured_subunit_borrows_from_the_others_of_its_complex(lent):
    borrowing, effects = lent
    loan = borrowing.lender.loan(condition("P0", 72.0), {"P0"})
    found, mean = loan.mean + loan.beyond, np.mean([effects[g] for g in SUBUNITS if g != "P0"], axis=0)
    assert np.corrcoef(found, effects["P0"])[0, 1] > 0.95
    assert ((found - effects["P0"]) ** 2).sum() < 0.2 * ((mean - effects["P0"]) ** 2).sum()
    shares = {donor: equal + beyond for donor, (equal, beyond, _) in loan.shares.items()}
    assert sum(shares.values()) == pytest.approx(1.0, abs=1e-5)
    assert sum(share for donor, share in shares.items() if donor[0] == "P") > 0.7
    assert "P0" not in shares


def test_an_unseen_edit_beside_a_seen_one_has_the_common_effect_and_the_seen_one_what_all_that_carry_it_say():
    """Pairs of A, B and C, none made alone; what D would do beside A is their effect in common and A's own."""
    effects = dict(zip("ABC", np.random.default_rng(0).normal(size=(3, N_GENES)), strict=True))
    conditions = [condition(name, 24.0) for name in ("control", "A+B", "A+C", "B+C", "A+B+C")]
    mean = np.array([sum((effects[e.gene] for e in c.edits), np.zeros(N_GENES)) for c in conditions])
    found = learn(dataset(conditions, mean, standard_error=1e-3)).lender.loan(condition("A+D", 24.0), {"D"})
    np.testing.assert_allclose(found.mean, effects["A"] + np.mean(list(effects.values()), axis=0), atol=0.05)
    assert not found.beyond.any()


def test_what_is_borrowed_grows_with_time_as_it_was_measured(lent):
    borrowing, effects = lent
    early, between, late = (borrowing.lender.loan(condition("P0", hours), {"P0"}) for hours in (24.0, 48.0, 72.0))
    size = [np.linalg.norm(loan.mean + loan.beyond) for loan in (early, between, late)]
    assert size[0] < size[1] < size[2]
    middle = 0.5 * (early.mean + late.mean)
    np.testing.assert_allclose(between.mean, middle, atol=1e-6)


def test_a_gene_in_no_table_borrows_as_much_from_each(lent):
    loan = lent[0].lender.loan(condition("NOBODY", 72.0), {"NOBODY"})
    shares = [equal + beyond for equal, beyond, _ in loan.shares.values()]
    assert max(shares) - min(shares) < 0.03  # complexes of four count a little less each than one of three


def test_the_table_that_says_which_act_together_is_found_among_others(lent):
    table = lent[0].table.set_index("source")
    assert table.loc["table", "strength"] > 0 and table.loc["table", "alone"] < 0.4
    assert table.loc["table", "targets"] == len(SUBUNITS) - 1
    assert table.loc[CORESPONSE, "targets"] == 0  # no target is measured
    trust = np.array([0, 0, 0, 1, 0.75, 0])
    assert "borrow 75% of what edits like them did" in borrowing_note(lent[0].table, trust)
    assert "no source of likeness" in borrowing_note(lent[0].table.assign(strength=0.0), trust)


def test_what_held_out_edits_would_have_borrowed_holds_nothing_of_themselves():
    data, _ = world()
    kinship = Kinship(complexes={"table": TABLE})
    steps = learn(data, kinship=kinship).steps
    changed = data.mean.copy()
    rows = [row for row, name in enumerate(data.perturbations) if name == "Q1"]
    changed[rows] += 3.0
    other = learn(dataset(data.conditions, changed, standard_error=0.1), kinship=kinship).steps
    np.testing.assert_allclose(other[rows][..., 0], steps[rows][..., 0], atol=1e-9)
    direction = [each[rows[1], :, 1] / np.linalg.norm(each[rows[1], :, 1]) for each in (steps, other)]
    assert direction[0] @ direction[1] > 0.99  # only amplitudes and strengths are shared with other edits


@pytest.mark.parametrize("kind", ["complexes", "embedding", "network"])
def test_a_shuffled_table_is_not_used_and_leaves_the_mean_of_edits(kind):
    errors = {"true": 0.0, "shuffled": 0.0, "mean": 0.0}
    for seed in range(3):
        data, effects = world(seed=seed)
        shuffled = list(np.random.default_rng(100 + seed).permutation(TABLE["gene"]))
        for name, genes in (("true", list(TABLE["gene"])), ("shuffled", shuffled)):
            loan = learn(without(data, "Q2"), **known(kind, genes)).lender.loan(condition("Q2", 72.0), {"Q2"})
            errors[name] += float(((loan.mean + loan.beyond - effects["Q2"]) ** 2).sum())
        errors["mean"] += float(((loan.mean - effects["Q2"]) ** 2).sum())
    assert errors["true"] < 0.4 * errors["mean"]
    assert errors["shuffled"] < 1.1 * errors["mean"]


def known(kind: str, genes: list[str]) -> dict:
    """What is known of the complexes: as a table, as vectors, or as regulators that their subunits share."""
    if kind == "network":
        return {"prior": PriorNetwork(edges=pd.DataFrame({"source": TABLE["complex"], "target": genes}))}
    if kind == "complexes":
        return {"kinship": Kinship(complexes={"t": pd.DataFrame({"complex": TABLE["complex"], "gene": genes})})}
    vectors = pd.get_dummies(TABLE["complex"]).astype(float).set_axis(genes, axis=0)
    return {"kinship": Kinship(embeddings={"t": vectors})}


def test_where_subunits_act_each_for_itself_the_table_is_not_used():
    gains = []
    for seed in range(3):
        data, effects = world(together=False, seed=seed)
        borrowing = learn(without(data, "Q2"), kinship=Kinship(complexes={"table": TABLE}))
        loan = borrowing.lender.loan(condition("Q2", 72.0), {"Q2"})
        error = [float(((x - effects["Q2"]) ** 2).sum()) for x in (loan.mean + loan.beyond, loan.mean)]
        gains.append(error[0] / error[1])
    assert np.mean(gains) < 1.05


def test_of_a_pair_the_seen_edit_brings_its_own_effect(lent):
    borrowing, effects = lent
    loan = borrowing.lender.loan(condition("P0+R1", 72.0), {"P0"})
    alone = borrowing.lender.loan(condition("P0", 72.0), {"P0"})
    np.testing.assert_allclose(loan.mean - alone.mean, effects["R1"], atol=0.5)
    np.testing.assert_allclose(loan.beyond, alone.beyond, atol=1e-6)


def test_sources_are_named(lent):
    data, _ = world()
    prior = PriorNetwork(edges=pd.DataFrame({"source": ["P0"], "target": ["P1"]}))
    assert list(learn(data, prior=prior).table["source"]) == [NETWORK, CORESPONSE]
    assert COEXPRESSION not in set(lent[0].table["source"])  # means alone have no covariance


@pytest.fixture(scope="module")
def with_table(data) -> FittedModel:
    """The linear world's model, told that an unmeasured gene that was never edited acts with three that were."""
    table = pd.DataFrame({"complex": list("PPPPQQ"), "gene": ["NEW", "G0", "G2", "G4", "G1", "G3"]})
    return fit(data, QUICK, kinship=Kinship(complexes={"table": table}))


def test_a_gene_that_only_a_table_knows_can_be_asked_and_its_loan_is_named(with_table, tmp_path):
    model = FittedModel(replace(with_table._result, fit=replace(with_table.fit, trust=np.array([0, 0, 0, 1, 1, 0.5]))))
    query = [asked("NEW", 12.0)]
    found = model.corrected(query)
    assert found.kinds == ("unseen",)
    table = borrowed_from(model, "edit NEW crispri 0.9 > wait 12h", "G5")
    loan = model.loan(query[0])
    assert set(table["donor"]) == set(loan.shares)
    np.testing.assert_allclose(table["share"].sum(), 1.0, atol=1e-5)
    np.testing.assert_allclose(table["contribution"].sum(), found.borrowed[0, 5], atol=1e-6)
    explanation = explain(model, "edit NEW crispri 0.9 > wait 12h", "G5")
    assert explanation.table["contribution"].sum() == pytest.approx(explanation.change, abs=1e-6)
    assert (explanation.table["kind"] == "borrowed").any()
    assert borrowed_from(model, "edit G0 crispri 0.9 > wait 12h").empty
    with pytest.raises(DataError, match="nor in a table of genes"):
        model.predict_conditions([asked("NOBODY", 12.0)])


def test_a_saved_model_lends_the_same(with_table, tmp_path):
    with_table.save(tmp_path / "model")
    again = load(tmp_path / "model")
    query = [asked("NEW", 12.0), asked("G6", 30.0), asked("G6+G0", 48.0)]
    np.testing.assert_array_equal(again.predict_conditions(query).mean, with_table.predict_conditions(query).mean)
    pd.testing.assert_frame_equal(again.record.likeness, with_table.record.likeness)


def test_without_borrowing_nothing_is_lent(data):
    model = fit(data, replace(QUICK, borrowing="none"))
    assert model.fit.trust[3:].tolist() == [0.0, 0.0, 0.0]
    assert not model.corrected([asked("G6", 12.0)]).borrowed.any()
    assert model.record.likeness.empty


@pytest.mark.parametrize("hours", [33.3, 0.7])
def test_a_time_that_single_precision_does_not_hold_keeps_its_own_amplitude(hours):
    """What is found at 24 h, a fifth of that at the end, is found again where the harvest is at such an hour."""
    data, _ = world()
    moved = replace(data, conditions=tuple(_at(c, hours) if c.hours == 24.0 else c for c in data.conditions))
    table = {"kinship": Kinship(complexes={"table": TABLE})}
    found, before = learn(moved, **table), learn(data, **table)
    np.testing.assert_allclose(found.lender.lent.hours, [hours, 72.0], rtol=1e-6)
    np.testing.assert_allclose(found.lender.lent.amplitude, before.lender.lent.amplitude, rtol=1e-6)
    np.testing.assert_allclose(found.steps, before.steps, atol=1e-9)


def _at(condition_: Condition, hours: float) -> Condition:
    return Condition(history=(*condition_.history[:-1], replace(condition_.history[-1], hours=hours)))
