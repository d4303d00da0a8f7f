"""Training on pictures with several captions: one is drawn every time, by seed, pass and row."""

import dataclasses
import itertools
from collections import Counter, defaultdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcause.captions.classes import ClassNames
from clipcause.config.captions import Captions
from clipcause.config.train import Optimiser
from clipcause.data import dataset
from clipcause.embed import models, pixels, tokens
from clipcause.prune import split
from clipcause.runtime import shard_cache as cache
from clipcause.train import order, texts
from clipcause.train.distributed import ALONE, World
from clipcause.train.feed import Asked, Data, Several, Streamed
from clipcause.train.reading import Reader, Source
from clipcause.train.streams import Streams
from tests import learning_study

ROWS, SEED = 48, 3
KEPT = [row for row in range(ROWS) if row % 5]
# of 1, 2, 3, 4 captions in turn
SAID = [[f"ball {row} {index}" for index in range(1 + row % 4)] for row in range(ROWS)]
NUMBERED = {
    label: ClassNames(name=name, names=[name]) for label, name in learning_study.CLASSES.items()
}


def written(folder, captions, extra=None):
    """The rows with these captions; memory and streams read them back from shards of ten."""
    made = [
        dataclasses.replace(
            one, caption=said[0], captions=said if len(said) > 1 else None, extra=extra or {}
        )
        for one, said in zip(learning_study.samples(ROWS, 0, labelled=True), captions, strict=True)
    ]
    dataset.write(folder, made, shard_size=10, max_drop_fraction=0.0)
    return dataset.read(folder)


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    return written(tmp_path_factory.mktemp("several") / "pool", SAID)


@pytest.fixture(scope="module")
def tokenizer():
    return models.create({**learning_study.LAYER_NORM}, None, image_size=32, seed=0).tokenizer


def asked(world=ALONE, samples=16 * 15):
    values = {**learning_study.OPTIMISER, "samples_seen": samples, "batch_size": 16, "shift": 0}
    return Asked(Optimiser.model_validate(values), SEED, world, pinned=False)


def streamed(pool, tokenizer, loaders=0, made=None):
    sources = (Source(pool, split.from_rows(KEPT), 0, None, made),)
    streams = Streams(sources[0].parts(0), 4, SEED, 8)
    return Streamed(sources, streams, pixels.View(size=32), tokenizer, {}, loaders)


def in_memory(pool, tokenizer, made=None):
    rows = split.from_rows(KEPT)
    found = texts.of_rows(made, pool, rows)
    images = np.empty((len(KEPT), 32, 32, 3), np.uint8)
    pixels.gather(pool, pixels.View(size=32), rows.rows, images, label="pool")
    several = Several(found.starts, found.count_N, rows.rows) if found.several else None
    return Data(images, tokens.encode(tokenizer, found.texts), several)


def batches(feed, asked, first=0):
    for pieces in feed.batches(asked, first):
        yield tuple(np.concatenate([piece[i].numpy() for piece in pieces]) for i in (0, 1))


def equal(some, others):
    return all(
        np.array_equal(a, b)
        for one, other in zip(some, others, strict=True)
        for a, b in zip(one, other, strict=True)
    )


@given(
    st.integers(0, 2**31),
    st.lists(st.tuples(st.integers(0, 9), st.integers(0, 99), st.integers(1, 6)), min_size=1),
)
def test_a_draw_is_of_seed_pass_and_row(seed, samples):
    epoch_B, row_B, count_B = np.array(samples).T
    found_B = order.drawn(seed, epoch_B, row_B, count_B)
    assert ((found_B >= 0) & (found_B < count_B)).all()
    back_B = order.drawn(seed, epoch_B[::-1], row_B[::-1], count_B[::-1])
    assert np.array_equal(back_B[::-1], found_B)
    for index, sample in enumerate(samples):
        alone = order.drawn(seed, *(np.array([word]) for word in sample))
        assert alone[0] == found_B[index]


def test_draws_are_uniform_and_independent_of_pass_and_of_moves():
    epoch_B, row_B = (axis.ravel() for axis in np.meshgrid(np.arange(60), np.arange(200)))
    found_B = order.drawn(0, epoch_B, row_B, np.full(len(row_B), 5))
    pairs = Counter(itertools.pairwise(found_B.tolist()))  # of a row and pass, and the one after
    moved_B = order.uniform(0, epoch_B, row_B, 1)[:, 0] % np.uint64(5)
    beside = Counter(zip(found_B.tolist(), moved_B.tolist(), strict=True))
    for counted in (pairs, beside):
        mean = counted.total() / 25
        assert (
            sum(
                (counted[one, other] - mean) ** 2 / mean
                for one, other in itertools.product(range(5), range(5))
            )
            < 51.2
        )


def test_memory_and_streams_draw_the_same(pool, tokenizer):
    feed = streamed(pool, tokenizer)
    heard = {}
    for stream in range(4):
        for sample in itertools.islice(Reader(feed.sources, feed.streams, stream).samples(0), 60):
            assert sample.text in SAID[sample.row]
            heard[sample.turn, sample.row] = sample.text
    data, seen = in_memory(pool, tokenizer), 0
    plan = order.Order(len(KEPT), SEED)
    for step, (_, target_BL) in enumerate(batches(data, asked())):
        row_B, epoch_B = plan.samples(step * 16, step * 16 + 16)
        for row, epoch, target_L in zip(row_B.tolist(), epoch_B.tolist(), target_BL, strict=True):
            if text := heard.get((epoch, KEPT[row])):
                seen += 1
                assert np.array_equal(tokens.encode(tokenizer, [text])[0], target_L)
    assert seen > 150
    # another pass, another caption, in the end each of them
    by_row = defaultdict(set)
    for (_, row), text in heard.items():
        by_row[row].add(text)
    assert len(set().union(*by_row.values())) > 2 * len(KEPT)


def test_resumed_processes_and_loaders_have_the_same_batches(pool, tokenizer):
    for feed in (in_memory(pool, tokenizer), streamed(pool, tokenizer)):
        whole = list(batches(feed, asked()))
        for first in (1, 7):
            assert equal(whole[first:], batches(feed, asked(), first))
        shares = [list(batches(feed, asked(World(rank, 2)))) for rank in range(2)]
        joined = [
            tuple(np.concatenate(parts) for parts in zip(*step, strict=True))
            for step in zip(*shares, strict=True)
        ]
        assert equal(whole, joined)
    assert equal(whole, batches(streamed(pool, tokenizer, loaders=2), asked()))


def test_the_first_alone_by_wish(pool, tokenizer, tmp_path):
    alone = written(tmp_path / "alone", [said[:1] for said in SAID])
    made = texts.make(Captions(several="first"), SEED, {})
    for feed in (in_memory, streamed):
        with_one = batches(feed(alone, tokenizer), asked())
        assert equal(batches(feed(pool, tokenizer, made=made), asked()), with_one)
    drawn = texts.of_rows(
        texts.make(Captions(pieces=["caption"]), SEED, {}), pool, split.everything(ROWS)
    )
    assert drawn.texts == list(itertools.chain(*SAID))


def test_pieces_and_class_stand_beside_each(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "shards"))
    pool = written(tmp_path / "pool", SAID, extra={"title": "Toy"})
    values = Captions(pieces=["title", "caption"], prepend_class=True)
    made = texts.make(values, SEED, NUMBERED)
    assert made is not None
    found = texts.of_rows(made, pool, split.from_rows([2, 4]))
    names = [learning_study.CLASSES[sorted(learning_study.CLASSES)[row % 3]] for row in (2, 4)]
    assert found.texts == [
        *(f"{names[0]} Toy {said}" for said in SAID[2]),
        *(f"{names[1]} Toy {said}" for said in SAID[4]),
    ]
    assert found.count_N.tolist() == [3, 1]
    assert texts.check(made, pool, split.everything(ROWS)) == []
