from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pandas as pd
import pytest
from small_fits import QUICK, asked

from semimech._errors import ConfigError
from semimech.experiment import Compound, parse_experiment, read_experiments
from semimech.fit import FittedModel, is_model, load, package_versions
from semimech.fit import folder as saving

QUERY = [
    asked("G0", 24.0),
    asked("G6", 24.0),
    asked("G1+G2", np.inf),
    asked("control", 30.0, medium="M"),
    asked("X", 7.0),
]


@pytest.fixture
def folder(fitted, tmp_path) -> Path:
    fitted.save(tmp_path / "model")
    return tmp_path / "model"


def same_predictions(a: FittedModel, b: FittedModel) -> bool:
    one, other = a.predict_conditions(QUERY), b.predict_conditions(QUERY)
    return all(np.array_equal(getattr(one, what), getattr(other, what)) for what in ("mean", "lower", "upper"))


def test_a_model_that_was_saved_predicts_the_same_bits(fitted, folder):
    again = load(folder)
    assert same_predictions(fitted, again)
    leaves = zip(jax.tree.leaves(fitted.fit), jax.tree.leaves(again.fit), strict=True)
    assert all(type(x) is type(y) and np.array_equal(x, y) for x, y in leaves)


def test_what_belongs_to_a_model_comes_back(fitted, folder):
    again = load(folder)
    for name in ("genes", "roster", "system", "training", "name", "assumptions"):
        assert getattr(again, name) == getattr(fitted, name)
    for name in ("config", "chosen", "dataset", "fingerprint", "notes"):
        assert getattr(again.record, name) == getattr(fitted.record, name)
    pd.testing.assert_frame_equal(again.record.selection, fitted.record.selection)
    pd.testing.assert_frame_equal(again.record.history, fitted.record.history, check_dtype=False)
    pd.testing.assert_frame_equal(again.record.likeness, fitted.record.likeness)
    pd.testing.assert_frame_equal(again.network(), fitted.network())


def test_a_model_that_was_loaded_is_saved_as_it_was(folder, tmp_path):
    load(folder).save(tmp_path / "second")
    assert same_predictions(load(folder), load(tmp_path / "second"))
    assert sorted(f.name for f in (tmp_path / "second").iterdir()) == sorted(f.name for f in folder.iterdir())


_IN_A_NEW_PROCESS = """
import sys
import numpy as np
from small_fits import asked
from semimech.fit import load
query = [asked("G0", 24.0), asked("G6", 24.0), asked("G1+G2", np.inf), asked("control", 30.0, medium="M"), asked("X", 7.0)]
found = load(sys.argv[1]).predict_conditions(query)
np.save(sys.argv[2], np.stack([found.mean, found.lower, found.upper]))
"""


def test_a_new_process_predicts_the_same_bits(fitted, folder, root, tmp_path):
    path = os.pathsep.join([str(root / "src"), str(root / "tests")])
    subprocess.run(
        [sys.executable, "-c", _IN_A_NEW_PROCESS, folder, tmp_path / "found.npy"],
        check=True,
        env=os.environ | {"PYTHONPATH": path},
    )
    here = fitted.predict_conditions(QUERY)
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), np.stack([here.mean, here.lower, here.upper]))


def test_the_folder_holds_plain_files_that_people_can_read(folder, fitted):
    assert {f.name for f in folder.iterdir()} == {
        "model.json", "settings.toml", "experiments.tsv", "selection.tsv", "history.tsv", "likeness.tsv", "network.tsv", "arrays.npz",
    }  # fmt: skip
    about = json.loads((folder / "model.json").read_text())
    assert about["roster"]["genes"] == list(fitted.genes)
    assert about["versions"] == package_versions()
    assert tomllib.loads((folder / "settings.toml").read_text())["seed"] == QUICK.seed
    assert len(read_experiments(folder / "experiments.tsv")) == len(fitted.training)
    with np.load(folder / "arrays.npz", allow_pickle=False) as arrays:
        assert "control" in arrays.files


def test_a_model_that_is_there_is_replaced_and_nothing_is_left_beside(fitted, folder):
    (folder / "old.txt").write_text("of the model before")
    fitted.save(folder)
    assert not (folder / "old.txt").exists()
    assert [f.name for f in folder.parent.iterdir()] == ["model"]
    assert same_predictions(fitted, load(folder))


def test_a_folder_that_is_no_model_is_not_overwritten(fitted, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="thesis: is there and is not a saved model; name another place"):
        fitted.save(tmp_path / "thesis")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="file: is there and is not a saved model"):
        fitted.save(tmp_path / "file")
    assert (tmp_path / "thesis" / "chapter1.tex").read_text() == "years of work"


def test_an_empty_folder_may_be_filled(fitted, tmp_path):
    (tmp_path / "empty").mkdir()
    fitted.save(tmp_path / "empty")
    assert is_model(tmp_path / "empty")


def test_a_place_that_cannot_be_written_to_is_named(fitted, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ConfigError, match="file/model: cannot be written"):
        fitted.save(tmp_path / "file" / "model")


def test_a_save_that_fails_leaves_the_old_model_and_nothing_else(fitted, folder, monkeypatch):
    def fail(path: Path, tree: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(saving, "write_leaves", fail)
    with pytest.raises(ConfigError, match="No space left on device"):
        fitted.save(folder)
    monkeypatch.undo()
    assert [f.name for f in folder.parent.iterdir()] == ["model"]
    assert same_predictions(fitted, load(folder))


def test_a_folder_without_a_model_is_refused_by_its_name(tmp_path):
    with pytest.raises(ConfigError, match=r"none: not a saved model \(no model.json\); name the folder"):
        load(tmp_path / "none")


PARTS = (
    *("model.json", "settings.toml", "experiments.tsv", "selection.tsv", "history.tsv", "likeness.tsv", "arrays.npz"),
)


@pytest.mark.parametrize("part", PARTS[1:])
def test_a_model_with_a_missing_part_is_refused(folder, part):
    (folder / part).unlink()
    with pytest.raises(ConfigError, match="model"):
        load(folder)


@pytest.mark.parametrize("part", ["model.json", "experiments.tsv", "arrays.npz"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_a_model_with_a_part_cut_short_is_refused(folder, part, share):
    whole = (folder / part).read_bytes()
    (folder / part).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(ConfigError, match="model"):
        load(folder)


@pytest.mark.parametrize("part", PARTS)
def test_a_model_with_a_part_of_other_content_is_refused(folder, part):
    (folder / part).write_bytes(b"\x00\xff\xfe nonsense \x01")
    with pytest.raises(ConfigError, match="model"):
        load(folder)


@pytest.mark.parametrize(
    "content", ["{}", "[]", "3", f'{{"format": {saving.FORMAT}, "roster": []}}', '{"format": "1"}']
)
def test_a_folder_of_another_program_is_refused(tmp_path, content):
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "model.json").write_text(content)
    with pytest.raises(ConfigError, match="other.*(damaged|cannot be read)"):
        load(tmp_path / "other")


def test_arrays_of_another_model_are_refused(folder):
    about = json.loads((folder / "model.json").read_text())
    about["roster"]["targets"].append("extra")
    (folder / "model.json").write_text(json.dumps(about))
    with pytest.raises(ConfigError, match="made for other data or settings; arrays that do not fit"):
        load(folder)


def test_a_model_of_a_later_version_is_refused_with_the_mend(folder):
    about = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(about | {"format": about["format"] + 1}))
    with pytest.raises(ConfigError, match=r"format \d+ is newer than this version reads \(\d+\); upgrade"):
        load(folder)


def test_a_copy_of_the_folder_is_the_model(fitted, folder, tmp_path):
    shutil.copytree(folder, tmp_path / "elsewhere" / "copy")
    assert same_predictions(fitted, load(tmp_path / "elsewhere" / "copy"))


def test_a_system_with_compounds_and_its_dosed_conditions_come_back(fitted, tmp_path):
    system = replace(fitted.system, compounds=(Compound(name="Y", targets=("X", "G1"), ic50=2.0, hill=1.5),))
    dosed = "dose Y 1uM > wait 24h > harvest a > dose Y 0uM > wait 24h > harvest b"
    conditions = list(parse_experiment(dosed).conditions.values())
    training = (*(system.resolve(c) for c in conditions), *fitted.training[2:])
    FittedModel(replace(fitted._result, system=system, training=training)).save(tmp_path / "model")
    again = load(tmp_path / "model")
    assert (again.system, again.training) == (system, training)
    assert again.predict_conditions(conditions).mean.shape == (2, len(fitted.genes))


def test_a_declared_system_comes_back(fitted, tmp_path):
    system = replace(
        fitted.system, genes=fitted.genes, environment="in-vivo", start="observed", is_differentiating=True
    )
    FittedModel(replace(fitted._result, system=system)).save(tmp_path / "model")
    assert load(tmp_path / "model").system == system


def test_a_folder_from_before_a_declaration_existed_is_read_with_its_default(fitted, folder):
    about = json.loads((folder / "model.json").read_text())
    for name in ("genes", "environment", "start", "compounds"):
        about["system"].pop(name)
    (folder / "model.json").write_text(json.dumps(about))
    assert load(folder).system == fitted.system
    assert same_predictions(fitted, load(folder))
