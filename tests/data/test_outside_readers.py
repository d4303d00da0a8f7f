"""What other tools read of our shards and exports: every sample whole, by the tools themselves.

Rows differ in all that they may: labels, URLs, several captions, types of pictures, and begin with
what the later ones do not have.
"""

import functools
import gc
import importlib.metadata
import io
import json
from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml
from PIL import Image
from webdataset.compat import WebDataset

from clipcause.config import layout
from clipcause.config.datasets import Limits
from clipcause.data import dataset, manifest
from clipcause.data.sources import webdataset
from clipcause.data.sources.members import Texts
from clipcause.prune import split
from stages import export
from tests.artifacts_samples import make_dataset, sample
from tests.real_images import drawings, encoded

COUNT, SIZE = 24, 5  # rows, and rows a shard
LABELS = ["dog house", None, "cat", "ant"]
# webdataset leaves its files open for the garbage collector
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")


def rows(first: int, kinds: tuple[str, ...]) -> list[dataset.Sample]:
    """Rows whose labels begin with the ``first`` of the list and whose pictures begin with six of
    the first type."""
    made = []
    for number, (_, pixels) in enumerate(drawings(COUNT)):
        kind = kinds[0] if number < 6 else kinds[number % len(kinds)]
        several = [f"caption {number}", "another"] if number % 7 == 6 else None
        changes = {
            "image": encoded(pixels, {"jpg": "JPEG", "png": "PNG", "webp": "WEBP"}[kind]),
            "extension": kind,
            "label": LABELS[first] if number < 6 else LABELS[(number + first) % 4],
            "captions": several,
            "published": number > 6,
            "width": pixels.shape[1],
            "height": pixels.shape[0],
        }
        made.append(sample(number, **changes))
    return made


@pytest.fixture(params=[(0, ("jpg", "png", "webp")), (1, ("png", "jpg")), (1, ("webp",))], ids=str)
def expected(request, tmp_path, monkeypatch) -> list[dataset.Sample]:
    """The pool's rows; beside it lies an export of all of them but the last."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(Path(export.__file__).parents[1]))
    items = rows(*request.param)
    pool = make_dataset(layout.dataset("pool"), items=items, shard_size=SIZE)
    split.write(layout.split("some"), range(COUNT - 1), card={"pool": pool.sha256})
    exports = {"mine": {"split": "some", "shard_size": SIZE}}
    parameters = {"splits": {"some": {"rule": "none"}}, "exports": exports}
    Path("params.yaml").write_text(yaml.safe_dump(parameters))
    export.main("mine")
    return items


def tars(folder: Path) -> list[str]:
    return [str(path) for path in sorted(folder.glob("*.tar"))]


def both(items):
    """Our shards and the export, with the rows of each."""
    return [(layout.dataset("pool"), items), (layout.export("mine"), items[:-1])]


def check(found, items, folder):
    """Samples as a reader gives them, with pictures, texts, JSON and classes decoded."""
    assert [one["txt"] for one in found] == [item.caption for item in items]
    names = folder / "classnames.txt"
    classes = names.read_text().splitlines() if names.exists() else []
    for one, item in zip(found, items, strict=True):
        facts = one["json"] if isinstance(one["json"], dict) else json.loads(one["json"])
        assert facts["clipcause"]["label"] == (item.label or "")
        assert facts["captions"] == list(item.captions or [item.caption])
        if classes:
            position = one["cls"]
            assert (classes[position] if position >= 0 else None) == item.label
        (picture,) = [one[kind] for kind in ("jpg", "png", "webp") if one.get(kind) is not None]
        if isinstance(picture, io.BytesIO):  # wids knows no WebP, and gives the file as it is
            picture = Image.open(picture)
        assert picture.size == (item.width, item.height)
    # of our own shards the first sample decides: nothing is known of the later ones
    asked = items if folder == layout.export("mine") else items[:1]
    assert bool(classes) == any(item.label for item in asked)


def test_webdatasets_own_decoder(expected):
    for folder, items in both(expected):
        found: Any = WebDataset(tars(folder), shardshuffle=False).decode("pil")
        check(list(found), items, folder)
        gc.collect()


@pytest.mark.parametrize("workers", [0, 1])
def test_open_clip_in_evaluation_sees_every_sample_once(expected, workers):
    pytest.importorskip("pandas", reason="open_clip's training code reads CSV with it")
    data = importlib.import_module("open_clip_train.data")
    for folder, items in both(expected):
        seen = Counter(trained(data, folder, items, training=False, workers=workers, batch=4))
        assert seen == Counter(item.caption for item in items)
        gc.collect()


@pytest.mark.skipif(
    importlib.metadata.version("webdataset") >= "0.2.87",
    reason="open_clip's training pins webdataset <= 0.2.86, and ends in KeyError 'fname' with 1.0",
)
@pytest.mark.parametrize("told", [True, False], ids=["told", "by sizes.json"])
def test_open_clip_in_training_sees_every_sample(expected, told):
    pytest.importorskip("pandas", reason="open_clip's training code reads CSV with it")
    data = importlib.import_module("open_clip_train.data")
    for folder, items in both(expected):
        if told or (folder / "sizes.json").exists():
            count = len(items) if told else None
            seen = trained(data, folder, items, training=True, workers=1, batch=1, count=count)
            assert sorted(seen) == sorted(item.caption for item in items)
        gc.collect()


def trained(data, folder, items, *, training, workers, batch, count=None):
    """The captions that open_clip's loader hands out, by the numbers that stand for them."""
    last = len(tars(folder)) - 1
    where = str(folder / f"{{00000..{last:05d}}}.tar")
    args = SimpleNamespace(
        train_data=where, val_data=where, train_num_samples=count, val_num_samples=len(items),
        dataset_resampled=False, train_data_upsampling_factors=None, batch_size=batch,
        workers=workers, seed=0, world_size=1, rank=0, distributed=False,
    )  # fmt: skip
    number = {item.caption: at for at, item in enumerate(items)}
    info = data.get_wds_dataset(
        args, lambda picture: picture.width, training, tokenizer=lambda text: [number[text]]
    )
    info.set_epoch(0)
    widths = {}
    for image, text in info.dataloader:
        for one, at in zip(image, text, strict=True):
            widths.setdefault(int(at), int(one))
            yield items[int(at)].caption
    assert all(items[at].width == width for at, width in widths.items())


def test_datasets_of_hugging_face(expected, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    datasets.disable_progress_bars()
    for folder, items in both(expected):
        loaded = datasets.load_dataset(
            "webdataset", data_files=tars(folder), split="train", cache_dir=str(tmp_path / "cache")
        )
        check(list(loaded), items, folder)


def test_wids(expected, tmp_path):
    wids = pytest.importorskip("wids")
    decode = functools.partial(wids.wids_decode.default_decoder, format="PIL")
    for folder, items in both(expected):
        pool = manifest.read(layout.dataset("pool"))
        sizes = {shard.name: shard.samples for shard in pool.shards}
        if (folder / "sizes.json").exists():
            sizes = json.loads((folder / "sizes.json").read_text())
        listed = [
            {"url": str((folder / name).resolve()), "nsamples": count}
            for name, count in sizes.items()
        ]
        found = wids.ShardListDataset(
            listed, cache_dir=str(tmp_path / folder.name), keep=True, transformations=[decode]
        )
        whole = [
            {name.removeprefix("."): value for name, value in found[at].items()}
            for at in range(len(found))
        ]
        check(whole, items, folder)


def test_our_own_reader_takes_the_labels_back(expected):
    for folder, items in both(expected):
        found = []
        for item in webdataset.tars(str(folder), "*.tar"):
            part = webdataset.read_tar(webdataset.Audit(str(folder), Limits(), Texts()), item)
            assert not part.drops
            found += part.rows.to_pylist()
        assert [row["label"] for row in found] == [item.label for item in items]
        assert [row["caption"] for row in found] == [item.caption for item in items]


def test_pictures_keep_their_bytes_and_say_what_they_are(expected):
    for folder, items in both(expected):
        found = list(WebDataset(tars(folder), shardshuffle=False))
        (name,) = {kind for one in found for kind in one if kind in ("jpg", "png", "webp", "jpeg")}
        assert name == items[0].extension
        assert [one[name] for one in found] == [item.image for item in items]
        kinds = [Image.open(io.BytesIO(one[name])).format for one in found]
        assert [str(kind).lower().replace("jpeg", "jpg") for kind in kinds] == [
            item.extension for item in items
        ]
        gc.collect()


def test_a_label_that_is_no_line_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"classnames\.txt: the label 'a\\nb' is no line of a"):
        make_dataset(tmp_path / "pool", labels=["a\nb"])
