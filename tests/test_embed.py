import numpy as np
import pytest
import torch

from clipcause.config import layout, section
from clipcause.config.datasets import Dataset
from clipcause.config.embed import Embed
from clipcause.config.engine import Engine
from clipcause.data import dataset
from clipcause.embed import ahead, checkpoint, embedding, embeddings, models, pixels
from clipcause.runtime import shard_cache as cache
from stages import embed, train
from tests import learning_study
from tests.artifacts_samples import contents


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    with learning_study.made(root):
        train.main("full-0")
    return root


@pytest.fixture
def here(study, tmp_path, monkeypatch):
    return learning_study.enter(study, monkeypatch, tmp_path / "shards")


FOLDER = layout.embeddings("clip", "pool")


def test_the_store_has_a_part_per_shard(here):
    assert "40 rows of 16 dimensions" in embed.main("pool")
    manifest = dataset.read(layout.dataset("pool"))
    stored = checkpoint.read(layout.model("full-0"))
    store = embeddings.read(FOLDER, encoder=stored.fingerprint, dataset=manifest.sha256)
    assert [part.shape for part in store.parts] == [(16, 16), (16, 16), (8, 16)]
    assert store.metadata()["uid"].to_pylist() == manifest.table["uid"].to_pylist()


def test_rows_belong_to_their_images(here):
    embed.main("pool")
    clip = models.load(layout.model("full-0"))
    manifest = dataset.read(layout.dataset("pool"))
    one_13D = embeddings.read(FOLDER).take(np.array([0, 17, 39]))
    images = np.stack([pixels.decode(image, clip.view) for image in manifest.image([0, 17, 39])])
    expected = models.encode_images(
        clip, images, batch_size=1, precision="fp32", device=torch.device("cpu")
    )
    assert np.allclose(one_13D, expected, atol=1e-3)


@pytest.fixture
def calls(monkeypatch):
    """The positions of the shards that are embedded, in this process."""
    made = []
    part = embedding.part
    monkeypatch.setattr(embedding, "part", lambda *args: made.append(args[2]) or part(*args))
    return made


def test_repeated_and_resumed_runs_give_the_same_bytes(here, calls):
    embed.main("pool")
    first = contents(FOLDER)
    embed.main("pool")
    assert contents(FOLDER) == first
    assert calls == [0, 1, 2]
    # one part of three is lost: the others are not computed again
    next(cache.folder().rglob(f"*{cache.ARRAYS.suffix}")).unlink()
    embed.main("pool")
    assert len(calls) == 4
    assert contents(FOLDER) == first


@pytest.mark.parametrize("changed", ["code", "version", "settings"])
def test_other_code_version_or_settings_embed_again(changed, here, calls, monkeypatch):
    embed.main("pool")
    calls.clear()
    if changed == "code":
        monkeypatch.setattr("clipcause.runtime.code.of", lambda module: "another")
    elif changed == "version":
        monkeypatch.setattr(embedding.versions, "used", lambda *names: {"timm": "another"})
    else:
        monkeypatch.setattr(embed, "section", changed_section(batch_size=8))
    embed.main("pool")
    assert calls == [0, 1, 2]


def changed_section(**values):
    """The parameters with some of `embed` changed."""

    def read(name, model):
        found = section(name, model)
        return found.model_copy(update=values) if name == "embed" else found

    return read


def test_pixels_that_are_not_kept_give_the_same_bytes(here, monkeypatch):
    """Decoded ahead in threads, a few batches in memory: no bit differs."""
    embed.main("pool")
    first = contents(FOLDER)
    monkeypatch.setenv(cache.ENVIRONMENT, str(cache.folder().with_name("other")))
    monkeypatch.setattr(embed, "section", changed_section(keep_pixels=False))
    embed.main("pool")
    assert contents(FOLDER) == first
    assert not list(cache.folder().glob("*.npy"))


def test_two_processes_give_the_same_bytes(here, monkeypatch):
    embed.main("pool")
    first = contents(FOLDER)
    monkeypatch.setenv(cache.ENVIRONMENT, str(cache.folder().with_name("other")))
    monkeypatch.setattr(embed.engine, "current", lambda: Engine(workers=2))
    embed.main("pool")
    assert contents(FOLDER) == first


@pytest.mark.parametrize("decoders", [1, 3])
def test_batches_are_read_ahead_in_order(here, decoders):
    manifest = dataset.read(layout.dataset("pool"))
    view = pixels.View(size=32)
    whole = pixels.shard(manifest, 1, view, keep=False)
    made = list(ahead.batches(manifest, 1, view, size=5, decoders=decoders))
    assert [len(batch) for batch in made] == [5, 5, 5, 1]
    assert np.array_equal(np.concatenate(made), whole)


def test_images_are_read_no_further_than_a_few_batches(here, monkeypatch):
    manifest = dataset.read(layout.dataset("pool"))
    taken = []
    images = type(manifest).images

    def counted(self, shards):
        for row, image in images(self, shards):
            taken.append(row)
            yield row, image

    monkeypatch.setattr(type(manifest), "images", counted)
    batches = ahead.batches(manifest, 0, pixels.View(size=32), size=1, decoders=1)
    next(batches)
    batches.close()
    assert len(taken) <= 1 + ahead.AHEAD


def test_an_image_that_cannot_be_decoded_names_shard_and_key(here, monkeypatch):
    def broken(image, view):
        raise OSError("image file is truncated")

    monkeypatch.setattr(ahead, "decode", broken)
    manifest = dataset.read(layout.dataset("pool"))
    batches = ahead.batches(manifest, 2, pixels.View(size=32), size=4, decoders=2)
    with pytest.raises(ValueError, match=r"00002\.tar: s0032: cannot be decoded: image file is"):
        list(batches)


def test_batches_do_not_cross_shards(here):
    """The rows of a shard are the same bits when the shard is embedded alone."""
    embed.main("pool")
    clip = models.load(layout.model("full-0"))
    manifest = dataset.read(layout.dataset("pool"))
    alone = embedding.part(clip, manifest, 1, section("embed", Embed))
    assert np.array_equal(alone, embeddings.read(FOLDER).parts[1])


def test_a_broken_embedding_names_shard_and_key(here, monkeypatch):
    encode = models.encode_images

    def broken(clip, pixels, **settings):
        image_ND = encode(clip, pixels, **settings)
        image_ND[3] = np.nan
        return image_ND

    monkeypatch.setattr(models, "encode_images", broken)
    before = contents(FOLDER) if FOLDER.exists() else None
    with pytest.raises(ValueError, match=r"00000\.tar: s0003: .* length nan.*1 of 16"):
        embed.main("pool")
    assert (contents(FOLDER) if FOLDER.exists() else None) == before


def test_a_zero_embedding_is_an_error(here):
    manifest = dataset.read(layout.dataset("pool"))
    image_ND = np.zeros((8, 4), np.float32)
    image_ND[:, 0] = 1
    image_ND[5] = 0
    with pytest.raises(ValueError, match=r"00002\.tar: s0037: .*length 0"):
        embedding.check(image_ND, manifest, 2)


def test_a_data_set_that_is_not_there(here):
    with pytest.raises(ValueError, match=r"datasets: unknown dataset 'poll'; did you mean 'pool'"):
        embed.main("poll")


def test_an_encoder_that_changes_while_the_stage_runs(here):
    manifest = dataset.read(layout.dataset("pool"))
    folder = layout.model("full-0")
    task = embedding.Embedding(manifest, folder, "0" * 64, section("embed", Embed), 1)
    with pytest.raises(ValueError, match=r"models/full-0: its fingerprint is .* run it again"):
        task.start()


@pytest.fixture
def published(here, tmp_path, monkeypatch):
    """The pool's embeddings as somebody else's, in parts of 30 rows, and the parameters' words."""
    embed.main("pool")
    image_ND = embeddings.read(FOLDER).all()
    folder = tmp_path / "laion" / "img_emb"
    folder.mkdir(parents=True)
    np.save(folder / "img_emb_0.npy", image_ND[:30])
    np.save(folder / "img_emb_1.npy", image_ND[30:])
    entry = {"source": "icons", "raw": "data/none", "embeddings": str(folder.parent)}
    monkeypatch.setattr(embed, "entry", lambda name: Dataset.model_validate(entry))
    return folder


def test_published_embeddings_are_adopted_where_they_lie(published, calls):
    image_ND = embeddings.read(FOLDER).all()
    assert "40 rows of 16" in embed.main("pool")
    assert calls == []
    assert list(contents(FOLDER)) == ["card.json"]
    store = embeddings.read(FOLDER, encoder=checkpoint.read(layout.model("full-0")).fingerprint)
    assert np.array_equal(store.all(), image_ND)


def test_published_embeddings_of_any_length_are_rescaled_where_asked(published, monkeypatch):
    image_ND = embeddings.read(FOLDER).all()
    np.save(published / "img_emb_0.npy", (image_ND[:30] * 2).astype(np.float16))
    with pytest.raises(ValueError, match=r"img_emb_0\.npy: 30 of 30 rows .*normalise: true"):
        embed.main("pool")
    monkeypatch.setattr(embed, "section", changed_section(normalise=True))
    embed.main("pool")
    store = embeddings.read(FOLDER)
    assert [len(part) for part in store.parts] == [16, 16, 8]
    assert np.abs(store.all().astype(np.float64) - image_ND).max() < 2**-10


def test_published_embeddings_of_other_data_are_named(published):
    np.save(published / "img_emb_1.npy", np.load(published / "img_emb_1.npy")[:-1])
    with pytest.raises(ValueError, match=r"laion: 39 rows"):
        embed.main("pool")
