from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from semimech._errors import ConfigError
from semimech.fit.archive import read_leaves, write_leaves

TREE = {"weight": jnp.arange(6.0).reshape(2, 3), "step": np.array(3), "rest": [np.zeros(0), None]}


def test_arrays_come_back_bit_for_bit_in_their_place(tmp_path):
    tree = TREE | {"weight": jnp.asarray([[np.pi, np.nan, -0.0], [np.inf, 1e-38, 1 / 3]], jnp.float32)}
    write_leaves(tmp_path / "a.npz", tree)
    back = read_leaves(tmp_path / "a.npz", TREE)
    assert np.asarray(back["weight"]).tobytes() == np.asarray(tree["weight"]).tobytes()
    assert int(back["step"]) == 3
    assert isinstance(back["weight"], jax.Array)
    assert isinstance(back["step"], np.ndarray)
    assert back["rest"][1] is None


def test_nothing_is_left_beside_the_file(tmp_path):
    write_leaves(tmp_path / "deep" / "a.npz", TREE)
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["a.npz"]


@pytest.mark.parametrize("content", [b"", b"not an archive", b"PK\x03\x04 cut short"])
def test_a_file_that_is_no_archive_is_refused_by_its_name(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ConfigError, match=r"a\.npz: not an archive of arrays, or damaged .*fit again"):
        read_leaves(tmp_path / "a.npz", TREE)


def test_a_truncated_archive_is_refused(tmp_path):
    write_leaves(tmp_path / "a.npz", TREE)
    whole = (tmp_path / "a.npz").read_bytes()
    (tmp_path / "a.npz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ConfigError, match="damaged"):
        read_leaves(tmp_path / "a.npz", TREE)


def test_an_archive_that_holds_objects_is_not_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", weight=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ConfigError, match=r"a\.npz: not an archive of arrays"):
        read_leaves(tmp_path / "a.npz", TREE)


def test_arrays_of_another_shape_are_named(tmp_path):
    write_leaves(tmp_path / "a.npz", TREE)
    with pytest.raises(ConfigError, match=r"a\.npz: made for other data or settings; .*weight"):
        read_leaves(tmp_path / "a.npz", TREE | {"weight": jnp.zeros((2, 4))})


def test_arrays_that_have_no_place_are_named(tmp_path):
    write_leaves(tmp_path / "a.npz", TREE | {"extra": np.ones(2)})
    with pytest.raises(ConfigError, match="made for other data or settings; .*extra"):
        read_leaves(tmp_path / "a.npz", TREE)


def test_arrays_that_are_missing_are_named(tmp_path):
    write_leaves(tmp_path / "a.npz", TREE)
    with pytest.raises(ConfigError, match="made for other data or settings; .*extra"):
        read_leaves(tmp_path / "a.npz", TREE | {"extra": np.ones(2)})
