import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcause.train import order
from clipcause.train.order import Order


@given(rows=st.integers(1, 40), seed=st.integers(0, 2**32), epoch=st.integers(0, 5))
def test_every_row_comes_once_per_epoch(rows, seed, epoch):
    row_B, epoch_B = Order(rows, seed).samples(epoch * rows, (epoch + 1) * rows)
    assert sorted(row_B) == list(range(rows))
    assert set(epoch_B) == {epoch}


@given(rows=st.integers(1, 30), batch=st.integers(1, 50), total=st.integers(1, 100))
def test_batches_cut_one_sequence(rows, batch, total):
    whole = Order(rows, 3).samples(0, total)
    parts = [
        Order(rows, 3).samples(start, min(start + batch, total)) for start in range(0, total, batch)
    ]
    for column in (0, 1):
        joined = np.concatenate([part[column] for part in parts])
        assert np.array_equal(joined, whole[column])


def test_epochs_and_seeds_differ():
    orders = [tuple(Order(50, seed).samples(0, 50)[0]) for seed in (0, 1)]
    orders += [tuple(Order(50, 0).samples(50, 100)[0])]
    assert len(set(orders)) == 3


def test_nothing_to_train_on():
    with pytest.raises(ValueError, match="0 rows"):
        Order(0, 0)


def test_steps_count_the_short_last_batch():
    assert order.steps(160, 16) == 10
    assert order.steps(162, 16) == 11
    assert order.steps(5, 16) == 1


def test_a_last_batch_of_one_is_refused():
    with pytest.raises(ValueError, match="take 160"):
        order.steps(161, 16)


@given(seed=st.integers(0, 2**32), rows=st.lists(st.integers(0, 2**40), min_size=1, max_size=20))
def test_random_numbers_belong_to_the_sample_not_to_its_batch(seed, rows):
    row_B = np.array(rows)
    epoch_B = row_B % 7
    whole = order.uniform(seed, epoch_B, row_B, 3)
    for index in range(len(rows)):
        alone = order.uniform(seed, epoch_B[index : index + 1], row_B[index : index + 1], 3)
        assert np.array_equal(alone[0], whole[index])


def test_random_numbers_are_spread_evenly():
    row_B = np.arange(20_000)
    random_BC = order.uniform(0, np.zeros_like(row_B), row_B, 2)
    share_BC = random_BC / 2.0**64
    assert np.allclose(share_BC.mean(axis=0), 0.5, atol=0.01)
    assert abs(np.corrcoef(share_BC.T)[0, 1]) < 0.02
    counts = np.bincount((random_BC[:, 0] % np.uint64(5)).astype(int))
    assert (abs(counts - 4000) < 250).all()
    later = order.uniform(0, np.ones_like(row_B), row_B, 2)
    assert not (later == random_BC).any()
