import dataclasses
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from clipcause.config import layout
from clipcause.config.train import Optimiser
from clipcause.data import dataset
from clipcause.embed import pixels, tokens
from clipcause.prune import split
from clipcause.train import augment
from clipcause.train.distributed import ALONE, World
from clipcause.train.feed import Asked, Streamed
from clipcause.train.reading import Reader, Source
from clipcause.train.streams import Part, Streams
from tests import learning_study

WORDS = tokens.tokenizer(None, 8)
KEPT = [row for row in range(60) if row % 7 and row not in range(16, 32)]  # nothing of shard 1


def parts(sizes):
    return [Part(0, shard, rows) for shard, rows in enumerate(sizes)]


@st.composite
def orders(draw):
    """Sizes of shards, a number of streams that fits, a seed and a window."""
    sizes = draw(st.lists(st.integers(0, 9), min_size=1, max_size=12).filter(any))
    count = draw(st.integers(1, sum(size > 0 for size in sizes)))
    return sizes, count, draw(st.integers(0, 2**32)), draw(st.integers(1, 12))


@given(orders())
def test_the_streams_share_out_all_rows_evenly(order):
    sizes, count, seed, window = order
    streams = Streams(parts(sizes), count, seed, window)
    dealt = [part for parts in streams.parts for part in parts]
    assert sorted(part.shard for part in dealt) == [i for i, size in enumerate(sizes) if size]
    rows = [streams.rows(stream) for stream in range(count)]
    # the largest first to the least filled: none exceeds another by more than a shard
    assert max(rows) - min(rows) <= max(sizes)
    assert streams.parts == Streams(parts(sizes), count, seed, window).parts


@given(orders())
def test_windows_cut_every_pass_and_are_found_without_reading(order):
    sizes, count, seed, most = order
    streams = Streams(parts(sizes), count, seed, most)
    for stream in range(count):
        rows = streams.rows(stream)
        window, taken = streams.place(stream, 0)
        assert taken == 0
        at = 0
        while window.turn < 2:
            assert streams.place(stream, at) == (window, 0)
            assert streams.place(stream, at + window.rows - 1) == (window, window.rows - 1)
            assert sorted(streams.drawn(stream, window)) == list(range(window.rows))
            at += window.rows
            window = window.following(rows, most)
        assert at == 2 * rows


@given(orders(), st.integers(0, 60))
def test_reading_begins_at_the_windows_shard(order, samples):
    sizes, count, seed, most = order
    streams = Streams(parts(sizes), count, seed, most)
    window, _ = streams.place(0, samples)
    turn, part, skip = next(streams.reading(0, window))
    before = 0
    for first_turn, other, _ in streams.reading(0, streams.place(0, 0)[0]):
        if (first_turn, other) == (turn, part):
            break
        before += other.rows
    assert turn * streams.rows(0) + window.number * most == before + skip
    assert 0 <= skip < part.rows


def test_more_streams_than_shards():
    with pytest.raises(ValueError, match=r"train\.streams is 3, and only 2 shards have rows"):
        Streams(parts([4, 0, 4]), 3, 0, 8)
    with pytest.raises(ValueError, match="0 rows"):
        Streams(parts([0]), 1, 0, 8)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A pool of four shards, of which one is not in the split, and a reference of two."""
    root = tmp_path_factory.mktemp("streams")
    for name, count, labelled in (("pool", 60, False), ("reference", 21, True)):
        made = learning_study.samples(count, 0, labelled=labelled)
        dataset.write(root / "data" / name, made, shard_size=16, max_drop_fraction=0.0)
    pool, reference = (dataset.read(root / "data" / name) for name in ("pool", "reference"))
    captions = {label: f"a {name}" for label, name in learning_study.CLASSES.items()}
    chosen = Source(pool, split.from_rows(KEPT), 0, None)
    return chosen, Source(reference, None, len(pool), captions)


def order_of(sources, count, seed=0, shuffle=10):
    shards = [part for number, source in enumerate(sources) for part in source.parts(number)]
    return Streams(shards, count, seed, shuffle)


@pytest.mark.parametrize("shuffle", [1, 10, 1000])
def test_a_stream_passes_every_row_once_before_it_starts_again(sources, shuffle):
    expected = Counter([*KEPT, *range(60, 81)])
    streams = order_of(sources, 2, shuffle=shuffle)
    passes = [Counter(), Counter(), Counter()]
    orders = []
    for stream in range(2):
        rows = streams.rows(stream)
        found = list(islice(Reader(sources, streams, stream).samples(0), 3 * rows))
        for turn in range(3):
            part = found[turn * rows : (turn + 1) * rows]
            assert {sample.turn for sample in part} == {turn}
            passes[turn].update(sample.row for sample in part)
            orders.append(tuple(sample.row for sample in part))
    assert passes == [expected] * 3
    if shuffle > 1:
        assert len(set(orders)) == 6
        assert orders[0] != tuple(sorted(orders[0]))


def test_a_sample_is_its_image_and_its_caption(sources):
    reader = Reader(sources, order_of(sources, 1), 0)
    for sample in islice(reader.samples(0), 60):
        index = sample.row if sample.row < 60 else sample.row - 60
        label = sorted(learning_study.CLASSES)[index % 3]
        name = learning_study.CLASSES[label]
        assert sample.image == learning_study.picture(label, index)
        assert sample.text == (f"{name} {index % 5}" if sample.row < 60 else f"a {name}")


@pytest.mark.parametrize("first", [0, 1, 9, 10, 33, 75, 140])
def test_a_stream_goes_on_from_anywhere(sources, first):
    streams = order_of(sources, 2)
    whole = [sample.row for sample in islice(Reader(sources, streams, 1).samples(0), first + 9)]
    later = [sample.row for sample in islice(Reader(sources, streams, 1).samples(first), 9)]
    assert later == whole[first:]


def test_memory_holds_a_window(sources, monkeypatch):
    """Images that were read and not yet drawn, at any time."""
    read = 0
    images = dataset.Manifest.images

    def counted(manifest, shards):
        nonlocal read
        for item in images(manifest, shards):
            read += int(manifest is sources[1].manifest or item[0] in set(KEPT))
            yield item

    monkeypatch.setattr(dataset.Manifest, "images", counted)
    streams = order_of(sources, 1, shuffle=12)
    for drawn, _ in enumerate(islice(Reader(sources, streams, 0).samples(0), 150)):
        assert read - drawn <= 12 + 1


def asked(world=ALONE, **changes):
    values = {**learning_study.OPTIMISER, "samples_seen": 88, "batch_size": 24, "shift": 2}
    settings = Optimiser.model_validate({**values, **changes})
    return Asked(settings, 3, world, pinned=False)


def feed(sources, loaders=0):
    view = pixels.View(size=32)
    return Streamed(sources, order_of(sources, 4, seed=3), view, WORDS, {}, loaders)


def batches(feed, asked, first=0):
    """Global batches as arrays."""
    for pieces in feed.batches(asked, first):
        yield tuple(np.concatenate([piece[i].numpy() for piece in pieces]) for i in (0, 1))


def equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("changes", [{}, {"crop": [0.9, 1.0]}])
def test_processes_share_out_the_batch_of_one(sources, changes):
    whole = list(batches(feed(sources), asked(**changes)))
    assert [len(target) for _, target in whole] == [24, 24, 24, 16]
    for size in (2, 4):
        ranks = [World(rank, size) for rank in range(size)]
        shares = [list(batches(feed(sources), asked(world, **changes))) for world in ranks]
        for step, batch in enumerate(whole):
            joined = tuple(np.concatenate([share[step][i] for share in shares]) for i in (0, 1))
            assert equal(joined, batch)


def test_loaders_change_nothing(sources):
    whole = list(batches(feed(sources), asked()))
    loaded = list(batches(feed(sources, loaders=2), asked()))
    assert len(loaded) == 4
    assert all(equal(a, b) for a, b in zip(whole, loaded, strict=True))


@pytest.mark.parametrize("loaders", [0, 1])
def test_reading_draws_nothing_from_the_generator_of_the_model(sources, loaders):
    before = torch.get_rng_state()
    next(batches(feed(sources, loaders), asked()))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_feed_goes_on_from_any_batch(sources):
    whole = list(batches(feed(sources), asked()))
    for first in (1, 3):
        later = list(batches(feed(sources), asked(), first))
        assert all(equal(a, b) for a, b in zip(whole[first:], later, strict=True))


def test_images_are_moved_as_in_memory(sources):
    """A stream's images are those of the memory path, with the same rows and passes."""
    streamed = feed(sources)
    samples = list(islice(Reader(sources, streamed.streams, 0).samples(0), 40))
    images, _ = streamed.decoded(samples, asked())
    turn_B = np.array([sample.turn for sample in samples])
    row_B = np.array([sample.row for sample in samples])
    view = streamed.view
    plain = np.stack([pixels.decode(sample.image, view) for sample in samples])
    shift_B2 = augment.shifts(3, turn_B, row_B, 2)
    assert np.array_equal(images, augment.shifted(plain, shift_B2, 2))


@pytest.mark.parametrize("loaders", [0, 1])
def test_a_damaged_image_names_shard_and_key(tmp_path, loaders):
    made = learning_study.samples(8, 0, labelled=False)
    made[5] = dataclasses.replace(made[5], image=made[5].image[:60])
    folder = tmp_path / layout.dataset("pool").name
    dataset.write(folder, made, shard_size=4, max_drop_fraction=0.0)
    source = (Source(dataset.read(folder), None, 0, None),)
    streamed = Streamed(source, order_of(source, 1), pixels.View(size=32), WORDS, {}, loaders)
    with pytest.raises(ValueError, match=r"00001\.tar: s0005: cannot be decoded: .*prepare"):
        list(batches(streamed, asked(samples_seen=24)))
