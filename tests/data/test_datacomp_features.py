"""DataComp's metadata with features beside them: as a data set, and as the vectors of its tars."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from clipcause.config.datasets import Limits
from clipcause.config.embed import Embed
from clipcause.data import in_place, manifest
from clipcause.data.sources import datacomp_features as features
from clipcause.data.sources import webdataset
from clipcause.data.sources.members import Texts
from clipcause.data.sources.published_embeddings import Embeddings, read_embeddings
from clipcause.embed import published_store
from clipcause.embed.checkpoint import Checkpoint
from tests import web_tars
from tests.artifacts_samples import unit_vectors

SIZES = (4, 3)
VECTORS = unit_vectors(7, 8, seed=1)
# as text the second part comes first
STEMS = ("b" * 32, "a" * 32)
UIDS = [f"{97 * row % 64:032x}" for row in range(7)]


@pytest.fixture
def metadata(tmp_path) -> Path:
    return put(tmp_path / "metadata")


def put(folder: Path, vectors=VECTORS) -> Path:
    """As DataComp's download lays it: a Parquet file and the arrays of its rows, twice."""
    folder.mkdir(exist_ok=True)
    start = 0
    for stem, size in zip(STEMS, SIZES, strict=True):
        rows = slice(start, start + size)
        columns = {
            "uid": UIDS[rows],
            "url": [f"https://example.org/{row}" for row in range(7)[rows]],
            "text": [f"thing {row}" for row in range(7)[rows]],
        }
        pq.write_table(pa.table(columns), folder / f"{stem}.parquet")
        arrays: dict[str, Any] = {"l14_img": vectors[rows], "l14_txt": -vectors[rows]}
        np.savez(folder / f"{stem}.npz", **arrays)
        start += size
    return folder


def tars(tmp_path, rows) -> manifest.Manifest:
    """A download in which some rows are missing, and others in another order."""
    content = {}
    for number, part in enumerate(rows):
        samples = {}
        for at, row in enumerate(part):
            facts = json.dumps({"uid": UIDS[row], "url": f"https://example.org/{row}"})
            samples[f"{at:09d}"] = web_tars.sample(row, json=facts.encode(), txt=b"thing")
        content[f"0000000{number}.tar"] = web_tars.tar_of(samples)
    where = web_tars.put(str(tmp_path / "tars"), content)
    parts = [
        webdataset.read_tar(webdataset.Audit(where, Limits(), Texts()), item)
        for item in webdataset.tars(where, "*.tar")
    ]
    in_place.write(tmp_path / "pool", where, parts, max_drop_fraction=0.0)
    return manifest.read(tmp_path / "pool")


def adopted(tmp_path, where, pool, *, normalise=False, dim=8):
    encoder = Checkpoint(tmp_path, {"embed_dim": dim}, {}, {"fingerprint": "e" * 64})
    settings = Embed(
        batch_size=1, precision="fp32", threads=1, keep_pixels=False, normalise=normalise
    )
    return published_store.adopt(tmp_path / "made", Path(where), pool, encoder, settings)


@pytest.mark.parametrize(("array", "sign"), [("l14_img", 1), ("l14_txt", -1)])
def test_vectors_are_found_by_uid(tmp_path, metadata, array, sign):
    rows = [[6, 0], [3, 5, 1]]
    pool = tars(tmp_path, rows)
    found = adopted(tmp_path, f"{metadata}#{array}", pool)
    assert np.array_equal(found.all(), sign * VECTORS[[6, 0, 3, 5, 1]])
    assert found.dataset == pool.sha256


def test_metadata_are_a_data_set_by_themselves(tmp_path, metadata):
    options = Embeddings(
        source="embeddings", raw="data/none", caption="text", uid="uid", key="none"
    )
    in_place.write(
        tmp_path / "pool",
        str(metadata),
        read_embeddings(str(metadata), options),
        max_drop_fraction=0.0,
    )
    pool = manifest.read(tmp_path / "pool")
    order = [4, 5, 6, 0, 1, 2, 3]
    assert pool.table["pool_uid"].to_pylist() == [UIDS[row] for row in order]
    assert pool.captions == [f"thing {row}" for row in order]
    assert np.array_equal(adopted(tmp_path, f"{metadata}#l14_img", pool).all(), VECTORS[order])


def test_other_lengths_are_rescaled_where_they_may_be(tmp_path):
    longer = (VECTORS.astype(np.float32) * 3).astype(np.float16)
    metadata, pool = put(tmp_path / "metadata", longer), tars(tmp_path, [[2, 6]])
    with pytest.raises(ValueError, match=r"l14_img: float16, 0+\w+ of length 3\.0\d+, expected fl"):
        adopted(tmp_path, f"{metadata}#l14_img", pool)
    found = adopted(tmp_path, f"{metadata}#l14_img", pool, normalise=True)
    wide = longer[[2, 6]].astype(np.float64)
    expected = wide / np.linalg.norm(wide, axis=1, keepdims=True)
    assert np.array_equal(found.all(), expected.astype(np.float16))


def test_what_does_not_fit_is_named(tmp_path, metadata):
    pool = tars(tmp_path, [[2, 6]])
    with pytest.raises(ValueError, match=r"a\.npz: no array 'l14img'; did you mean 'l14_img'"):
        adopted(tmp_path, f"{metadata}#l14img", pool)
    with pytest.raises(ValueError, match=r"l14_img has 8 dimensions, the encoder's have 512"):
        adopted(tmp_path, f"{metadata}#l14_img", pool, dim=512)
    with pytest.raises(FileNotFoundError, match=r"no \.npz beside a \.parquet"):
        adopted(tmp_path, f"{tmp_path / 'tars'}#l14_img", pool)
    (metadata / f"{STEMS[1]}.npz").unlink()
    with pytest.raises(ValueError, match=rf"1 of the 2 rows of .*tar have no uid .*'{UIDS[6]}'"):
        adopted(tmp_path, f"{metadata}#l14_img", pool)
    (metadata / f"{STEMS[0]}.npz").write_bytes(b"<html>")
    with pytest.raises(ValueError, match=r"b\.npz: "):
        list(features.aligned(str(metadata), "l14_img", tars(tmp_path, [[1]]), dim=8,
                              normalise=False))  # fmt: skip
    np.savez(metadata / f"{STEMS[0]}.npz", l14_img=np.full((4, 8), np.nan, np.float16))
    with pytest.raises(ValueError, match=rf"l14_img: {UIDS[1]} is zero, NaN or infinite"):
        adopted(tmp_path, f"{metadata}#l14_img", tars(tmp_path, [[1]]))
