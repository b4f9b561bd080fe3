from __future__ import annotations

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
from small_data import condition, dataset

from semimech._errors import DataError
from semimech.data import (
    Split,
    available_splits,
    check_leakage,
    unseen_combination,
    unseen_edit,
    unseen_edit_time,
    unseen_medium,
    unseen_time,
)

SINGLES = ("A", "B", "C", "D", "E")
DOUBLES = ("A+B", "C+D", "A+F")


def screen(perturbations=("control", *SINGLES, *DOUBLES), hours=(48.0, 72.0, 96.0), media=(None,)):
    conditions = [condition(p, h, medium=m) for p in perturbations for h in hours for m in media]
    named = tuple(sorted(m for m in media if m))
    return dataset(conditions, np.zeros((len(conditions), 3)), media=named)


def carried(data, rows):
    return {gene for r in rows for gene in data.perturbations[r].split("+")} - {"control"}


@hypothesis.given(n_folds=st.integers(2, 7), seed=st.integers(0, 99))
def test_no_training_condition_carries_a_held_out_gene_and_every_gene_is_tested_once(n_folds, seed):
    data = screen()
    splits = unseen_edit(data, n_folds=n_folds, seed=seed)
    assert len(splits) == min(n_folds, len(SINGLES))
    assert sorted(g for s in splits for g in s.held_out) == sorted(SINGLES)
    for split in splits:
        assert carried(data, split.train).isdisjoint(split.held_out)
        assert carried(data, split.test) == set(split.held_out)
        assert all("+" not in data.perturbations[r] for r in split.test)
        assert set(np.flatnonzero(data.is_control)) <= set(split.train)
        check_leakage(data, split)


def test_combinations_of_seen_genes_stay_in_training_and_those_with_an_unseen_gene_are_nowhere():
    data = screen()
    split = next(s for s in unseen_edit(data, n_folds=5) if s.held_out == ("A",))
    assert "C+D" in {data.perturbations[r] for r in split.train}
    assert not {"A+B", "A+F"} & {data.perturbations[r] for r in (*split.train, *split.test)}
    asked = next(s for s in unseen_edit(data, n_folds=5, test_combinations=True) if s.held_out == ("A",))
    assert {data.perturbations[r] for r in asked.test} == {"A", "A+B", "A+F"}
    check_leakage(data, asked)


def test_the_same_seed_gives_the_same_folds_and_another_seed_others():
    data = screen()
    folds = [[s.held_out for s in unseen_edit(data, n_folds=2, seed=seed)] for seed in (1, 1, 2, 3)]
    assert folds[0] == folds[1] and (folds[0] != folds[2] or folds[0] != folds[3])


def test_the_last_time_is_predicted_from_earlier_ones_and_inner_times_from_both_sides():
    data = screen()
    last, inner = unseen_time(data)
    assert last.held_out == ("96 h",) and inner.held_out == ("72 h",)
    assert set(data.hours[last.test]) == {96} and set(data.hours[inner.test]) == {72}
    assert {data.hours[r] for r in inner.train if not data.is_control[r]} == {48, 96}
    for split in (last, inner):
        assert not data.is_control[split.test].any()
        assert set(np.flatnonzero(data.is_control)) <= set(split.train)
        check_leakage(data, split)


def test_an_edit_that_is_seen_at_no_other_time_is_not_scored_on_an_unseen_time():
    late = [condition("control", 48), condition("A", 48), condition("A", 96), condition("B", 96)]
    data = dataset(late, np.zeros((4, 2)))
    (split,) = unseen_time(data)
    assert [data.perturbations[r] for r in split.test] == ["A"]


def test_settled_cells_and_single_times_have_no_unseen_time():
    assert unseen_time(screen(hours=(np.inf,))) == () == unseen_edit_time(screen(hours=(np.inf,)))
    assert unseen_time(screen(hours=(48.0,))) == ()


def test_unseen_edit_and_time_hold_out_both():
    data = screen()
    for split in unseen_edit_time(data, n_folds=5):
        gene = split.held_out[0]
        assert {(data.perturbations[r], data.hours[r]) for r in split.test} == {(gene, 96)}
        assert carried(data, split.train).isdisjoint({gene})
        assert all(data.hours[r] < 96 or data.is_control[r] for r in split.train)
        check_leakage(data, split)


def test_combinations_are_predicted_from_all_singles():
    data = screen()
    (split,) = unseen_combination(data)
    assert {data.perturbations[r] for r in split.test} == {"A+B", "C+D"}  # F is nowhere edited alone
    assert {data.perturbations[r] for r in split.train} == {"control", *SINGLES}
    check_leakage(data, split)


def test_with_folds_the_other_combinations_train():
    data = screen()
    splits = unseen_combination(data, n_folds=2)
    assert sorted(s.held_out for s in splits) == [("A+B",), ("C+D",)]
    for split in splits:
        assert len(carried(data, split.train)) == 6
        check_leakage(data, split)


def test_a_medium_is_predicted_from_its_controls_and_the_edits_in_other_media():
    data = screen(media=(None, "M"))
    (split,) = unseen_medium(data)
    assert {data.conditions[r].medium for r in split.test} == {"M"} and not data.is_control[split.test].any()
    assert any(data.is_control[r] and data.conditions[r].medium == "M" for r in split.train)
    check_leakage(data, split)


def test_only_splits_that_the_data_allow_are_made():
    names = {s.name for s in available_splits(screen())}
    assert names == {"unseen_edit", "unseen_time", "unseen_edit_time", "unseen_combination"}
    assert available_splits(screen(perturbations=("control", "A"), hours=(np.inf,))) == ()
    for split in available_splits(screen(media=(None, "M"))):
        check_leakage(screen(media=(None, "M")), split)


def rows(data, *wanted):
    return np.array([r for r in range(len(data.conditions)) if (data.perturbations[r], data.hours[r]) in wanted])


@pytest.mark.parametrize(
    ("name", "train", "test", "words"),
    [
        ("any", [("A", 48), ("B", 48)], [("A", 48)], "share 1 conditions"),
        ("unseen_edit", [("B", 48), ("A+B", 48), ("A", 72)], [("A", 48)], "A at 72 h, A\\+B at 48 h"),
        ("unseen_time", [("B", 96), ("A", 48)], [("A", 96)], "B at 96 h"),
        ("unseen_edit_time", [("A", 48), ("B", 48)], [("A", 96)], "A at 48 h"),
        ("unseen_combination", [("A+B", 48), ("A", 48)], [("A+B", 96)], "A\\+B at 48 h"),
        ("any", [("A", 48)], [], "no row to score"),
    ],
)
def test_a_split_that_gives_its_test_away_is_refused(name, train, test, words):
    data = screen()
    split = Split(name=name, train=rows(data, *train), test=rows(data, *test).astype(int))
    with pytest.raises(DataError, match=words):
        check_leakage(data, split)


def test_training_in_the_tested_medium_is_a_leak():
    data = screen(media=(None, "M"))
    in_m = np.array(
        [r for r in range(len(data.conditions)) if data.conditions[r].medium == "M" and not data.is_control[r]]
    )
    with pytest.raises(DataError, match="in M"):
        check_leakage(data, Split(name="unseen_medium", train=in_m[1:], test=in_m[:1]))


def test_rows_of_another_data_set_are_refused():
    with pytest.raises(DataError, match="between 0 and"):
        check_leakage(screen(), Split(name="any", train=np.array([0]), test=np.array([999])))


def test_one_fold_holds_out_everything_and_is_refused():
    with pytest.raises(ValueError, match="n_folds"):
        unseen_edit(screen(), n_folds=1)
