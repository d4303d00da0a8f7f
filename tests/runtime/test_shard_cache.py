"""What is kept between runs comes back bit by bit, or not at all."""

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcause.runtime import shard_cache as cache


@given(
    st.dictionaries(
        st.text("abcxyz_", min_size=1, max_size=8),
        st.tuples(
            st.sampled_from(["float16", "float32", "float64", "int32", "int64", "uint8", "bool"]),
            st.lists(st.integers(0, 4), min_size=1, max_size=3),
        ),
        max_size=4,
    ),
    st.integers(0, 2**32 - 1),
)
def test_arrays_come_back_bit_by_bit(kinds, seed):
    random = np.random.default_rng(seed)
    arrays = {
        name: np.frombuffer(random.bytes(int(np.prod(shape)) * np.dtype(kind).itemsize), kind)
        .reshape(shape)
        .copy()
        if kind != "bool"
        else random.random(shape) < 0.5
        for name, (kind, shape) in kinds.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "entry"
        cache.ARRAYS.save(path, arrays)
        first = path.read_bytes()
        cache.ARRAYS.save(path, dict(reversed(arrays.items())))
        assert path.read_bytes() == first
        found = cache.ARRAYS.load(path)
    assert found is not None
    assert sorted(found) == sorted(arrays)
    for name, array in arrays.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()
        assert found[name].flags.writeable


def test_arrays_in_any_order_in_memory(tmp_path):
    array = np.arange(12).reshape(3, 4)
    cache.ARRAYS.save(tmp_path / "entry", {"a": array.T, "b": array[:, ::2]})
    found = cache.ARRAYS.load(tmp_path / "entry") or {}
    np.testing.assert_array_equal(found["a"], array.T)
    np.testing.assert_array_equal(found["b"], array[:, ::2])


def test_tables_come_back_with_their_schema(tmp_path):
    schema = pa.schema([("row", pa.int64()), ("key", pa.string())], metadata={"drops": "[1, 2]"})
    table = pa.table({"row": [0, 1], "key": ["a", None]}, schema=schema)
    cache.TABLE.save(tmp_path / "entry", table)
    found = cache.TABLE.load(tmp_path / "entry")
    assert table.equals(found, check_metadata=True)
    empty = table.slice(0, 0)
    cache.TABLE.save(tmp_path / "entry", empty)
    assert empty.equals(cache.TABLE.load(tmp_path / "entry"), check_metadata=True)


@pytest.mark.parametrize("store", [cache.ARRAYS, cache.TABLE], ids=["arrays", "table"])
def test_entries_that_are_absent_or_damaged_are_none(store, tmp_path):
    path = tmp_path / "entry"
    assert store.load(path) is None
    out = {"a": np.arange(5)} if store is cache.ARRAYS else pa.table({"a": [1, 2]})
    store.save(path, out)
    whole = path.read_bytes()
    for length in {0, 1, 31, 32, 33, len(whole) - 1}:
        path.write_bytes(whole[:length])
        assert store.load(path) is None
    for at in range(0, len(whole), 7):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1 :])
        assert store.load(path) is None


def test_entries_lie_in_many_folders(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path))
    name = cache.key("anything")
    assert cache.entry(name, ".arrays") == tmp_path / name[:2] / f"{name}.arrays"


def test_nothing_is_kept_by_a_stage_whose_code_was_edited(tmp_path, monkeypatch):
    def changed():
        raise ValueError("edited")

    monkeypatch.setattr(cache.unchanged, "check", changed)
    with pytest.raises(ValueError, match="edited"):
        cache.ARRAYS.save(tmp_path / "entry", {"a": np.arange(3)})
    assert list(tmp_path.iterdir()) == []
