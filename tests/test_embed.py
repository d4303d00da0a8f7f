import numpy as np
import pytest
import torch

from stages import embed, encoder
from stages.artifacts import cache, checkpoint, dataset, embeddings, layout
from stages.learning import models, pixels
from stages.parameters import section
from stages.parameters.embed import Embed
from tests import learning_study
from tests.artifacts_samples import contents


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    with learning_study.made(root):
        encoder.main()
    return root


@pytest.fixture
def here(study, tmp_path, monkeypatch):
    monkeypatch.chdir(study)
    monkeypatch.setenv(cache.ENVIRONMENT, str(tmp_path / "shards"))
    return study


FOLDER = layout.embeddings("clip", "pool")


def test_the_store_has_a_part_per_shard(here):
    assert "40 rows of 16 dimensions" in embed.main("pool")
    manifest = dataset.read(layout.dataset("pool"))
    stored = checkpoint.read(layout.model("encoder"))
    store = embeddings.read(FOLDER, encoder=stored.fingerprint, dataset=manifest.sha256)
    assert [part.shape for part in store.parts] == [(16, 16), (16, 16), (8, 16)]
    assert store.metadata()["uid"].to_pylist() == manifest.table["uid"].to_pylist()


def test_rows_belong_to_their_images(here):
    embed.main("pool")
    clip = models.load(layout.model("encoder"))
    manifest = dataset.read(layout.dataset("pool"))
    one_13D = embeddings.read(FOLDER).take(np.array([0, 17, 39]))
    images = np.stack([pixels.decode(image, clip.view) for image in manifest.image([0, 17, 39])])
    expected = models.encode_images(
        clip, images, batch_size=1, precision="fp32", device=torch.device("cpu")
    )
    assert np.allclose(one_13D, expected, atol=1e-3)


def test_repeated_and_resumed_runs_give_the_same_bytes(here, monkeypatch):
    embed.main("pool")
    first = contents(FOLDER)
    embed.main("pool")
    assert contents(FOLDER) == first
    # one part of three is lost: the others are not computed again
    arrays = [path for path in cache.folder().glob("*.npy") if np.load(path).ndim == 2]
    arrays[0].unlink()
    calls = []
    part = embed.part
    monkeypatch.setattr(embed, "part", lambda *args: calls.append(args[2]) or part(*args))
    embed.main("pool")
    assert len(calls) == 1
    assert contents(FOLDER) == first


@pytest.mark.parametrize("changed", ["code", "version"])
def test_other_code_or_another_version_embeds_again(changed, here, monkeypatch):
    embed.main("pool")
    calls = []
    part = embed.part
    monkeypatch.setattr(embed, "part", lambda *args: calls.append(args[2]) or part(*args))
    if changed == "code":
        monkeypatch.setattr(embed, "CODE", embed.CODE[:1])
    else:
        monkeypatch.setattr(embed.versions, "used", lambda *names: {"timm": "another"})
    embed.main("pool")
    assert calls == [0, 1, 2]


def test_batches_do_not_cross_shards(here):
    """The rows of a shard are the same bits when the shard is embedded alone."""
    embed.main("pool")
    clip = models.load(layout.model("encoder"))
    manifest = dataset.read(layout.dataset("pool"))
    alone = embed.part(clip, manifest, 1, section("embed", Embed))
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
        embed.check(image_ND, manifest, 2)


def test_a_data_set_that_is_not_there(here):
    with pytest.raises(FileNotFoundError, match="data/poll"):
        embed.main("poll")
