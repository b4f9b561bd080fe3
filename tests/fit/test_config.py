from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semimech._errors import ConfigError
from semimech.fit import FitConfig, config_from_dict, format_config, read_config

NUMBERS = st.lists(st.floats(0, 100), min_size=1, max_size=3).map(tuple)
CONFIGS = st.builds(
    FitConfig,
    law=st.sampled_from(["semi-mechanistic", "neural"]),
    residual_hidden=st.integers(0, 64),
    likelihood=st.sampled_from(["pseudobulk", "counts", "energy"]),
    steady_state=st.sampled_from(["auto", "none", "point", "mean", "moment"]),
    steady_state_weights=NUMBERS,
    latent_factors=st.lists(st.integers(0, 8), min_size=1, max_size=3).map(tuple),
    sparsities=NUMBERS,
    weight_decays=NUMBERS,
    n_folds=st.integers(2, 10),
    learning_rate=st.floats(1e-6, 1.0),
    seed=st.integers(0, 2**31),
)


@given(CONFIGS)
def test_settings_survive_their_file(tmp_path_factory, config):
    file = tmp_path_factory.mktemp("settings") / "settings.toml"
    file.write_text(format_config(config))
    assert read_config(file) == config


def test_a_file_that_names_some_settings_leaves_the_others_at_their_defaults(tmp_path):
    (tmp_path / "fit.toml").write_text('law = "neural"\nlearning_rate = 1\nsparsities = [0, 1]\n')
    expected = replace(FitConfig(), law="neural", learning_rate=1.0, sparsities=(0.0, 1.0))
    assert read_config(tmp_path / "fit.toml") == expected


def test_a_misspelt_setting_is_refused_with_the_nearest_known_one():
    with pytest.raises(ConfigError, match="unknown setting 'learning_rat'; did you mean 'learning_rate'"):
        config_from_dict({"learning_rat": 0.1})


def test_a_setting_like_no_other_is_refused_with_all_known_ones():
    with pytest.raises(ConfigError) as error:
        config_from_dict({"zzz": 1})
    assert all(name in str(error.value) for name in asdict(FitConfig()))


WRONG_TYPES = {
    "n_steps": 1.5,
    "seed": "zero",
    "learning_rate": "fast",
    "law": 3,
    "residual_hidden": True,
    "sparsities": 0.1,
    "weight_decays": ["a"],
    "steady_state_weights": "10",
    "latent_factors": [2.5],
}


@pytest.mark.parametrize(("name", "value"), WRONG_TYPES.items())
def test_a_value_of_the_wrong_type_is_refused_by_name(name, value):
    with pytest.raises(ConfigError, match=f"{name} must be .*got {value!r}".replace("[", r"\[").replace("]", r"\]")):
        config_from_dict({name: value})


@pytest.mark.parametrize("values", [[float("nan")], [True], [], [-1.0], [float("inf")]])
def test_candidates_are_numbers_from_zero(values):
    with pytest.raises(ConfigError, match="sparsities must be"):
        config_from_dict({"sparsities": values})


OUT_OF_RANGE = {
    "law": "newton",
    "steady_state": "hard",
    "likelihood": "cells",
    "n_members": 0,
    "n_steps": 0,
    "validation_steps": -1,
    "checkpoint_every": 0,
    "n_folds": 1,
    "learning_rate": 0.0,
    "max_step_hours": -1.0,
    "half_life_hours": float("nan"),
    "residual_weight": -0.1,
    "residual_hidden": -1,
    "sparsities": [-1.0],
    "latent_factors": [],
}


@pytest.mark.usefixtures("unchecked_types")
def test_every_value_out_of_its_range_is_named_at_once():
    with pytest.raises(ConfigError) as error:
        config_from_dict(OUT_OF_RANGE, source="fit.toml")
    message = str(error.value)
    assert message.startswith(f"fit.toml: {len(OUT_OF_RANGE)} faults")
    assert all(f"{name} must be" in message for name in OUT_OF_RANGE)


def test_unknown_names_wrong_types_and_ranges_are_listed_together():
    with pytest.raises(ConfigError) as error:
        config_from_dict({"lwa": "neural", "n_folds": "three", "n_steps": 0})
    message = str(error.value)
    assert "3 faults" in message
    assert "did you mean 'law'" in message
    assert "n_folds must be a whole number, got 'three'" in message
    assert "n_steps must be at least 1, got 0" in message


def test_settings_out_of_range_are_refused_in_python_too():
    with pytest.raises(ConfigError, match="n_folds must be at least 2, got 1"):
        FitConfig(n_folds=1)


@pytest.mark.parametrize("content", [b"law = ", b"\xff\xfe", b"law = 'neural'\nlaw = 'neural'"])
def test_a_file_that_is_no_toml_is_refused_by_its_name(tmp_path, content):
    file = tmp_path / "fit.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"fit\.toml: cannot be read as TOML"):
        read_config(file)


def test_a_missing_file_is_refused_by_its_name(tmp_path):
    with pytest.raises(ConfigError, match=r"none\.toml: cannot be read as TOML"):
        read_config(tmp_path / "none.toml")


def test_the_file_is_the_source_of_its_faults(tmp_path):
    (tmp_path / "fit.toml").write_text("n_folds = 1")
    with pytest.raises(ConfigError, match=r"fit\.toml: n_folds must be at least 2"):
        read_config(tmp_path / "fit.toml")
