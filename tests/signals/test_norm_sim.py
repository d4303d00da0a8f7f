"""NormSim by hand, against all pairs in float64, and what a target may be."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipcause.signals import kinds
from clipcause.signals.kinds.norm_sim import NormSim
from clipcause.signals.norms import infinity, two
from clipcause.signals.signal import rounded
from tests.signals.small import Small, cosines, unit


def blocks(x, size):
    return lambda: ((a, x[a : a + size]) for a in range(0, len(x), size))


def of(x, target, size=7, threads=1):
    largest, negative = infinity(blocks(x, size), target, len(x), threads)
    return largest, two(blocks(x, size)(), target, len(x)), negative


def test_by_hand():
    # similarities 0.6 and -0.8: the norm takes them by their size
    target = np.eye(2, dtype=np.float16)
    x = np.array([[0.6, -0.8], [1, 0], [0.8, 0.6]], np.float16)
    largest, root, negative = of(x, target)
    np.testing.assert_allclose(largest, [0.8, 1, 0.8], rtol=1e-3)
    assert negative == 1
    np.testing.assert_allclose(root, 1, rtol=1e-3)


@settings(max_examples=15)
@given(st.integers(0, 2**32 - 1), st.integers(1, 70), st.integers(1, 90), st.floats(0, 2))
def test_against_all_pairs(seed, rows, images, shared):
    x, target = unit(rows, 8, seed, shared=shared), unit(images, 8, seed + 1)
    largest, root, negative = of(x, target)
    every = cosines(x, target)
    np.testing.assert_array_equal(largest, np.abs(every).max(1).astype(np.float32))
    assert negative == (-every.min(1) > every.max(1)).sum()
    np.testing.assert_allclose(root, np.linalg.norm(every, axis=1), atol=1e-9)
    # a norm: never above the one of smaller p, never below it by more than the root of the size
    assert (largest <= root + 1e-6).all()
    assert (root <= np.sqrt(images) * largest + 1e-6).all()


@settings(max_examples=8)
@given(st.integers(0, 2**32 - 1))
def test_the_targets_order_does_not_matter_and_two_copies_are_the_root_of_two(seed):
    x, target = unit(20, 8, seed), unit(30, 8, seed + 1)
    chance = np.random.default_rng(seed)
    plain, mixed = of(x, target), of(x, target[chance.permutation(30)])
    twice = of(x, np.concatenate([target, target]))
    np.testing.assert_array_equal(plain[0], mixed[0])
    np.testing.assert_array_equal(plain[0], twice[0])
    np.testing.assert_array_equal(rounded(plain[1]), rounded(mixed[1]))
    np.testing.assert_allclose(twice[1], np.sqrt(2) * plain[1])


@pytest.mark.parametrize("engine", ["bfloat16", "float32"])
@pytest.mark.parametrize("size", [64, 5000])
def test_bytes_do_not_depend_on_threads_blocks_or_engine(monkeypatch, engine, size):
    x, target = unit(1500, 32, 1, shared=0.5), unit(300, 32, 2, shared=0.5)
    monkeypatch.setenv("CLIPCAUSE_ENGINE", "float32")
    expected = of(x, target, 700)
    monkeypatch.setenv("CLIPCAUSE_ENGINE", engine)
    before = torch.get_num_threads()
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            found = of(x, target, size, threads)
        finally:
            torch.set_num_threads(before)
        assert found[0].tobytes() == expected[0].tobytes()
        assert rounded(found[1]).tobytes() == rounded(expected[1]).tobytes()


@pytest.mark.parametrize("p", [2, "infinity"])
def test_a_target_of_all_test_sets_has_seen_them(tmp_path, p):
    pool, val, sketch = unit(50, 8, 1), unit(9, 8, 2), unit(4, 8, 3)
    some = np.arange(3, 50, 2)
    small = Small(tmp_path, pool=pool, tests_val=val, tests_sketch=sketch, reference=val, rows=some)
    signal = NormSim(kind="norm-sim", base="dedup", target="tests", p=p)
    found = signal.score(small)
    every = cosines(pool[some], np.concatenate([val, sketch]))
    order = 2 if p == 2 else np.inf
    np.testing.assert_allclose(found.value_R, np.linalg.norm(every, order, axis=1), atol=1e-6)
    assert found.facts == {"seen_tests": ["tests/val", "tests/sketch"]}
    assert found.numbers["target_rows"] == 13
    assert "has seen the test" in signal.sentence()
    one = signal.model_copy(update={"target": "tests/val"})
    assert one.score(small).facts == {"seen_tests": ["tests/val"]}
    assert "has seen the test" in one.sentence()
    other = signal.model_copy(update={"target": "reference"})
    assert other.score(small).facts == {}
    assert "seen" not in other.sentence()


def test_a_target_that_is_not_there_and_a_wrong_p():
    signal = NormSim(kind="norm-sim", base="dedup", target="test/val", p=2)
    content = {"datasets": {"pool": {}, "reference": {}, "tests/val": {}}, "signals": {}}
    with pytest.raises(ValueError, match=r"unknown data set 'test/val'; did you mean 'tests/val'"):
        signal.check(content, "params.yaml: signals.near")
    with pytest.raises(ValueError, match="p: "):
        kinds.SIGNALS.parse(
            {"kind": "norm-sim", "base": "dedup", "target": "tests", "p": 3}, "signals.near"
        )


def test_the_pool_is_no_target_where_every_row_is_its_own_nearest():
    content = {"datasets": {"pool": {}}}
    NormSim(kind="norm-sim", base="dedup", target="pool", p=2).check(content, "signals.near")
    nearest = NormSim(kind="norm-sim", base="dedup", target="pool", p="infinity")
    with pytest.raises(ValueError, match=r"signals\.near\.target: .* its own nearest image"):
        nearest.check(content, "signals.near")


def test_rows_that_are_no_unit_vectors():
    x, target = unit(8, 4, 1), unit(3, 4, 2)
    x[5] = np.nan
    with pytest.raises(ValueError, match="row 5 is not finite; 1 of the 8 rows"):
        two(blocks(x, 8)(), target, 8)
    with pytest.raises(ValueError, match="target: row 1 has norm 2"):
        two(blocks(x, 8)(), target * np.array([[1], [2], [1]], np.float16), 8)
