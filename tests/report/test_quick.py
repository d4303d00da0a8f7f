"""A few images of a data set, quickly: the same bytes and errors as the reader of all stages."""

import numpy as np
import pytest

from clipcause.data.manifest import Manifest
from clipcause.report import quick
from tests.artifacts_samples import make_dataset, sample


@pytest.fixture
def unused(monkeypatch):
    """Rows that the other reader was asked for."""
    asked = []
    own = Manifest.image

    def image(self, rows):
        asked.extend(rows := list(rows))
        return own(self, rows)

    monkeypatch.setattr(Manifest, "image", image)
    return asked


def test_images_are_those_of_the_manifest(tmp_path, unused):
    source = make_dataset(tmp_path / "pool", 20, shard_size=6)
    rows = [int(row) for row in np.random.default_rng(0).choice(20, 9, replace=False)]
    assert quick.images(source, rows) == [sample(row).image for row in rows]
    assert quick.images(source, []) == []
    assert unused == []


def test_long_names_are_left_to_the_other_reader(tmp_path, unused):
    items = [sample(0), sample(1, key="set:" + "long" * 40), sample(2)]
    source = make_dataset(tmp_path / "pool", items=items, shard_size=3)
    assert quick.images(source, [0, 1, 2]) == [one.image for one in items]
    assert unused == [1, 2]


def test_damage_is_said_by_the_other_reader(tmp_path):
    source = make_dataset(tmp_path / "pool", 3)
    path = tmp_path / "pool/00000.tar"
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"image 1image", b"image 9image"))
    with pytest.raises(ValueError, match="set:icon-1: the image is not the one"):
        quick.images(source, [1])
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match="bytes, the manifest says"):
        quick.images(source, [1])
    path.unlink()
    with pytest.raises(FileNotFoundError):
        quick.images(source, [1])
