"""The benchmark over real sets: what its tables and verdicts say of known scores, and that a run goes on from its files."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import small_data
from benchmarks import real_sets
from benchmarks.real_sets_scores import COVERAGE, score_group
from benchmarks.real_sets_tables import best_simple, coverage, groups, ranking
from benchmarks.real_sets_targets import TARGETS, Target, target_table, verdict
from benchmarks.real_sets_tasks import MODEL, SHUFFLED, Plan, Task, shuffled

from semimech.data import Split
from semimech.evaluate import Method, baseline_methods
from semimech.predictor import AbstractPredictor, Prediction


def rows(dataset: str, split: str, predictor: str, values: dict[str, float], metric: str = "mse") -> list[dict]:
    common = {"dataset": dataset, "split": split, "predictor": predictor, "metric": metric, "scope": "excl"}
    common |= {"mode": "roll-out", "seed": 0, "fold": 0, "stratum": "large", "reason": "", "label": "extrapolated"}
    common |= {"hours": 24.0, "medium": "m", "held_out": "A", "task": "t", "group": "g", "seconds": 1.0}
    return [common | {"condition": c, "perturbation": c, "value": v} for c, v in values.items()]


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    edits = "ABCDEF"
    return pd.DataFrame(
        [
            *rows("CellBox melanoma", "random_70_30", MODEL, dict.fromkeys(edits, 0.9)),
            *rows("CellBox melanoma", "random_70_30", "ridge", dict.fromkeys(edits, 1.0)),
            *rows("CellBox melanoma", "random_70_30", "no change", dict.fromkeys(edits, 2.0)),
            *rows("CellBox melanoma", "random_70_30", "CellBox equations", dict.fromkeys(edits, 0.6)),
            *rows("CellBox melanoma", "unseen_combination", MODEL, dict.fromkeys(edits, 0.033)),
            *rows("CellBox melanoma", "unseen_combination", "ridge", dict.fromkeys(edits, 0.1)),
            *rows(
                "CellBox melanoma",
                "random_70_30",
                MODEL,
                dict(zip(edits, np.linspace(0.8, 1, 6), strict=True)),
                COVERAGE,
            ),
        ]
    )


def test_the_ranking_tells_the_ratio_to_the_best_simple_baseline(scores):
    name, part = next(iter(groups(scores)))
    table = ranking(part).set_index("predictor")
    assert name.startswith("CellBox melanoma") and best_simple(part) == "ridge"
    assert list(table.index) == ["CellBox equations", MODEL, "**ridge**", "no change"]
    assert table.loc[MODEL, "/ best simple"] == "0.90 [0.90, 0.90]"
    assert table.loc["no change", "won"] == "0%"


def test_targets_are_met_missed_or_not_run_by_what_was_measured(scores):
    table = target_table(scores).set_index(["set", "held out", "target"])["verdict"]
    assert len(table) == len(TARGETS) + 1
    of = lambda split, words: table["CellBox melanoma", split, words]
    assert of("random 70 30", "MSE ≤ .97 × ridge") == "met, by interval"
    assert of("random 70 30", "ahead of CellBox equations") == "missed"
    # 0.033 over the 87 measured nodes is 0.029 over all 99, whose 12 inputs are given.
    assert of("unseen combination", "MSE over 99 nodes ≤ .0290") == "met, by interval"
    assert of("unseen edit", "MSE over 99 nodes ≤ .0955") == "not run"
    assert of("random 70 30", "90 % intervals cover 87–93 %") == "met"


def test_the_noise_ceiling_of_a_target_is_in_its_own_terms():
    """A replicate errs by 0.2 where ridge errs by 1, and correlates by 0.9 where the mean of edits does by 0.4."""
    mean, ridge, no_error = "mean of edits", "ridge", "replicate ceiling"
    table = target_table(
        pd.DataFrame(
            [
                *rows("renge", "unseen_time", MODEL, dict.fromkeys("AB", 0.9)),
                *rows("renge", "unseen_time", ridge, dict.fromkeys("AB", 1.0)),
                *rows("renge", "unseen_time", no_error, dict.fromkeys("AB", 0.2)),
                *rows("MorPhiC PrS", "unseen_edit", MODEL, dict.fromkeys("AB", 0.5), "pearson_control"),
                *rows("MorPhiC PrS", "unseen_edit", mean, dict.fromkeys("AB", 0.4), "pearson_control"),
                *rows("MorPhiC PrS", "unseen_edit", no_error, dict.fromkeys("AB", 0.9), "pearson_control"),
            ]
        )
    )
    found = table[table["noise ceiling"].isin(["0.2", "0.5"])]
    assert list(found["set"]) == ["renge", "MorPhiC PrS"]
    assert list(found["noise ceiling"]) == ["0.2", "0.5"]


@pytest.mark.parametrize(
    ("measured", "kind", "expected"),
    [
        ((0.9, 0.8, 1.1), {"strict": True}, "missed (not by interval)"),
        ((1.0, 1.0, 1.0), {"strict": True}, "missed"),
        ((0.9, 0.8, 1.1), {}, "met"),
        ((1.1, 1.05, 1.2), {"predictor": SHUFFLED}, "missed"),
        ((1.1, 0.95, 1.2), {"predictor": SHUFFLED}, "met"),
    ],
)
def test_a_control_arm_fails_only_beyond_noise_and_a_strict_target_needs_the_interval(measured, kind, expected):
    assert verdict(*measured, Target(dataset="", split="", words="", bound=1.0, reference="x", **kind)) == expected


def test_more_correlation_than_the_reference_is_met_and_less_or_the_same_is_missed():
    target = Target(dataset="", split="", words="", bound=0.0, metric="rank", reference="x")
    found = [
        verdict(*measured, target) for measured in ((0.1, 0.05, 0.2), (0.1, -0.1, 0.2), (-0.1, -0.2, 0.1), (0, 0, 0))
    ]
    assert found == ["met, by interval", "met", "missed", "missed"]


def test_the_coverage_table_averages_conditions_by_label(scores):
    table = coverage(scores)
    assert list(table["covered"]) == ["90.0%", "90.0%"]
    assert list(table["worst condition"]) == ["80%", "90%"]


def test_a_shuffled_prior_has_as_many_edges_of_each_source_onto_each_target_but_others():
    edges = pd.DataFrame({"source": list("AAABBBCC"), "target": list("defdghzi")})
    other = shuffled(edges, list("defghi"), seed=0)
    inside = edges[edges["target"] != "z"]
    for column in ("source", "target"):
        pd.testing.assert_series_equal(other[column].value_counts(), inside[column].value_counts(), check_like=True)
    assert not other.reset_index(drop=True).equals(inside.reset_index(drop=True))


class _Half(AbstractPredictor):
    """Says zero for all genes, give or take one."""

    def predict_conditions(self, conditions):
        zero = np.zeros((len(conditions), len(self.genes)))
        return Prediction(mean=zero, lower=zero - 1.0, upper=zero + 1.0)


@pytest.fixture(scope="module")
def task() -> Task:
    conditions = [small_data.condition(name, 24.0) for name in ("control", "G0", "G1", "G2")]
    mean = np.zeros((4, 5))
    mean[3] = [0.5, 2.0, 9.0, 0.0, -0.5]
    data = small_data.dataset(conditions, mean)
    split = Split(name="unseen_edit", train=np.arange(3), test=np.array([3]), held_out=("G2",))
    assumptions = baseline_methods()[0].fit(data.subset(split.train), 0).assumptions
    method = Method(name=MODEL, fit=lambda train, seed: _Half(name=MODEL, genes=train.genes, assumptions=assumptions))
    return Task(dataset=data, split=split, methods={"model": (method,), "baselines": baseline_methods()[:2]})


def test_coverage_counts_the_genes_inside_the_interval_without_the_edited_one(task):
    table = score_group(task, "model")
    covered = table[table["metric"] == COVERAGE]
    assert list(covered["value"]) == [0.75] and list(covered["label"]) == ["extrapolated"]
    assert COVERAGE not in set(score_group(task, "baselines")["metric"])


def test_a_run_goes_on_from_its_files(task, tmp_path, monkeypatch):
    made = []

    def plans(root, *, n_seeds):
        for name in ("one-0", "two-0"):
            yield Plan(name=name, groups=("baselines", "model"), make=lambda name=name: made.append(name) or task)

    monkeypatch.setattr("benchmarks.real_sets_tasks.plans", plans)
    monkeypatch.setattr(real_sets, "shared_data", lambda: tmp_path)
    real_sets.main(["run", "--cache", str(tmp_path / "c"), "--only", "one", "--groups", "model"])
    real_sets.main(["run", "--cache", str(tmp_path / "c")])
    real_sets.main(["run", "--cache", str(tmp_path / "c")])
    assert made == ["one-0", "one-0", "two-0"]
    assert len(list((tmp_path / "c").glob("*.tsv"))) == 4
