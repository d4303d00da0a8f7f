import io
import resource

import numpy as np
import pytest
import torch
from open_clip.transform import PreprocessCfg, image_transform_v2
from PIL import Image

from clipcause.config.datasets import Limits
from clipcause.data import dataset, in_place
from clipcause.data.sources import webdataset
from clipcause.data.sources.members import Texts
from clipcause.embed import ahead, pixels
from clipcause.embed.pixels import View
from clipcause.runtime import shard_cache as cache
from tests import learning_study, web_tars


@pytest.fixture
def pool(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "shards"))
    made = learning_study.samples(10, 0, labelled=False)
    dataset.write(tmp_path / "pool", made, shard_size=4, max_drop_fraction=0.0)
    return dataset.read(tmp_path / "pool")


def encoded(array, mode="RGB", kind="PNG"):
    stream = io.BytesIO()
    Image.fromarray(array, mode).save(stream, kind)
    return stream.getvalue()


@pytest.mark.parametrize("shape", [(64, 64), (48, 48), (70, 41), (33, 90), (20, 31)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_pixels_are_those_of_open_clip(shape, interpolation):
    array = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    settings = PreprocessCfg(size=32, interpolation=interpolation, mean=(0,) * 3, std=(1,) * 3)
    theirs = image_transform_v2(settings, is_train=False)(Image.fromarray(array))
    assert isinstance(theirs, torch.Tensor)
    expected = (theirs * 255).round().byte().permute(1, 2, 0).numpy()
    found = pixels.decode(encoded(array), View(size=32, interpolation=interpolation))
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("shape", [(64, 64), (32, 32), (70, 41), (20, 31), (9, 400)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_squashed_pixels_are_those_of_open_clip(shape, interpolation):
    """As SigLIP, CLIPA and PE see images: whole, whatever their proportions."""
    array = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    squash = PreprocessCfg(
        size=32, interpolation=interpolation, resize_mode="squash", mean=(0,) * 3, std=(1,) * 3
    )
    theirs = image_transform_v2(squash, is_train=False)(Image.fromarray(array))
    assert isinstance(theirs, torch.Tensor)
    expected = (theirs * 255).round().byte().permute(1, 2, 0).numpy()
    view = View(size=32, interpolation=interpolation, resize="squash")
    assert np.array_equal(pixels.decode(encoded(array), view), expected)


def test_a_view_states_what_it_did_before_it_could_squash():
    """Names of cached pixels and fingerprints of projections are made of it."""
    assert View(size=8).stated() == {"size": 8, "interpolation": "bilinear"}
    assert View(size=8, resize="squash").stated()["resize"] == "squash"


@pytest.mark.parametrize("size", [(8, 200), (300, 20), (4, 90), (500, 33), (9, 10_000)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_of_a_long_image_only_the_middle_is_resized(size, interpolation):
    width, height = size
    array = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    view = View(size=24, interpolation=interpolation)
    picture = Image.fromarray(array)
    whole = [int(24 * side / min(size)) for side in size]
    large = picture.resize((whole[0], whole[1]), pixels.FILTERS[interpolation])
    left, top = (round((side - 24) / 2.0) for side in whole)
    expected = np.asarray(large.crop((left, top, left + 24, top + 24)), np.int64)
    assert np.abs(pixels.decode(encoded(array), view) - expected).max() <= 1


def test_a_very_long_image_takes_no_memory():
    stream = io.BytesIO()
    Image.new("1", (8, 2_000_000), 1).save(stream, "PNG")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert pixels.decode(stream.getvalue(), View(size=96)).min() == 255
    # at its whole length it would have 96 x 24,000,000 pixels
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 512 << 10


def test_a_shard_with_other_rows_is_decoded_again(tmp_path, monkeypatch):
    """One tar, prepared with other limits: as many rows, but not the same ones."""
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "shards"))
    content = {
        f"{n}": {"png": web_tars.encoded(np.full((side, side, 3), n * 60, np.uint8), "PNG"),
                 "txt": b"x"}
        for n, side in enumerate((10, 32, 200))
    }  # fmt: skip
    where = web_tars.put(str(tmp_path / "tars"), {"0.tar": web_tars.tar_of(content)})
    values = []
    for limits in (Limits(most_pixels=2000), Limits(least_side=16)):
        task = webdataset.Audit(where, limits, Texts())
        (item,) = webdataset.tars(where, "*.tar")
        part = webdataset.read_tar(task, item)
        in_place.write(tmp_path / "pool", where, [part], max_drop_fraction=1.0)
        found = pixels.shard(dataset.read(tmp_path / "pool"), 0, View(size=16))
        values.append(found[:, 8, 8, 0].tolist())
    assert values == [[0, 60], [60, 120]]


def test_an_image_of_a_pool_in_place_is_named_by_its_place(tmp_path):
    content = {"a": {"png": web_tars.images(1, "png")[0][:-30], "txt": b"x"}}
    where = web_tars.put(str(tmp_path / "tars"), {"0.tar": web_tars.tar_of(content)})
    (item,) = webdataset.tars(where, "*.tar")
    part = webdataset.read_tar(webdataset.Audit(where, Limits(decode="header"), Texts()), item)
    in_place.write(tmp_path / "pool", where, [part], max_drop_fraction=0.0)
    pool = dataset.read(tmp_path / "pool")
    message = rf"{where}/0\.tar: a: cannot be decoded: .* with prepare\.decode full, which leaves"
    with pytest.raises(ValueError, match=message):
        pixels.shard(pool, 0, View(size=16), keep=False)
    with pytest.raises(ValueError, match=message):
        list(ahead.batches(pool, 0, View(size=16), size=4, decoders=1))


def test_what_is_transparent_is_white():
    array = np.zeros((8, 8, 4), np.uint8)
    array[:4, :, 3] = 255
    found = pixels.decode(encoded(array, "RGBA"), View(size=8))
    assert (found[:4] == 0).all()
    assert (found[4:] == 255).all()


def test_a_data_set_in_row_order(pool):
    view = View(size=24)
    loaded = pixels.load(pool, view, label="pool")
    expected = [pixels.decode(image, view) for _, image in pool.images()]
    assert np.array_equal(loaded, np.stack(expected))


def test_rows_of_a_data_set_open_only_their_shards(pool, monkeypatch):
    view = View(size=24)
    whole = pixels.load(pool, view, label="pool")
    opened = []
    shard = pixels.shard
    monkeypatch.setattr(pixels, "shard", lambda *args: opened.append(args[1]) or shard(*args))
    row_K = np.array([1, 3, 8])
    out = np.empty((3, 24, 24, 3), np.uint8)
    pixels.gather(pool, view, row_K, out, label="pool")
    assert np.array_equal(out, whole[row_K])
    assert opened == [0, 2]


def test_a_shard_is_decoded_once(pool, monkeypatch):
    view = View(size=24)
    first = pixels.shard(pool, 1, view)
    monkeypatch.setattr(pixels, "decode", None)
    assert np.array_equal(pixels.shard(pool, 1, view), first)
    with pytest.raises(TypeError):
        pixels.shard(pool, 1, View(size=16))


@pytest.mark.parametrize("changed", ["code", "version"])
def test_other_code_or_another_version_decodes_again(changed, pool, monkeypatch):
    view = View(size=24)
    first = pixels.shard(pool, 0, view)
    if changed == "code":
        monkeypatch.setattr("clipcause.runtime.code.of", lambda module: "another")
    else:
        monkeypatch.setattr(pixels.versions, "installed", lambda name: f"{name} another")
    assert np.array_equal(pixels.shard(pool, 0, view), first)
    assert len(list(cache.folder().glob("*.npy"))) == 2


def test_a_damaged_cache_is_made_again(pool):
    view = View(size=24)
    first = pixels.shard(pool, 0, view)
    (kept,) = cache.folder().glob("*.npy")
    kept.write_bytes(kept.read_bytes()[:200])
    assert np.array_equal(pixels.shard(pool, 0, view), first)
    np.save(kept, first[:2])
    assert np.array_equal(pixels.shard(pool, 0, view), first)


def test_without_keeping_nothing_is_left(pool):
    pixels.shard(pool, 0, View(size=24), keep=False)
    assert not cache.folder().exists()


def test_an_image_that_cannot_be_decoded_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "shards"))
    made = learning_study.samples(3, 0, labelled=False)
    broken = dataset.Sample("bad", b"no image", "png", "x", None, 1, 1, "made:bad")
    dataset.write(tmp_path / "pool", [*made, broken], shard_size=2, max_drop_fraction=0.0)
    pool = dataset.read(tmp_path / "pool")
    with pytest.raises(ValueError, match=r"00001\.tar: bad: cannot be decoded"):
        pixels.load(pool, View(size=24), label="pool")
    assert len(list(cache.folder().glob("*.npy"))) == 1
