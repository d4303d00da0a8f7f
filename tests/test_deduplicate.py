"""Keep-first by hand, against float64 brute force, and the stage as a whole."""

import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipcause.config import layout
from clipcause.config.deduplicate import Deduplicate
from clipcause.config.engine import Engine
from clipcause.data import deduplicate
from clipcause.data import duplicates as artifact
from clipcause.data.deduplicate import duplicates, keep_first
from clipcause.embed import embeddings
from clipcause.prune import split
from clipcause.runtime import atomic
from clipcause.search import device, earlier
from stages import deduplicate as stage
from tests.test_search import ENGINES, unit


def brute(x, clusters, threshold):
    """The lowest earlier row of the cluster above the threshold, or -1; float64."""
    sim = x.astype(np.float64) @ x.astype(np.float64).T
    above = (sim > threshold) & (clusters[:, None] == clusters)
    above &= np.arange(len(x)) < np.arange(len(x))[:, None]
    return np.where(above.any(1), above.argmax(1), -1), sim


def on_circle(*degrees):
    angle = np.deg2rad(degrees)
    return np.stack([np.cos(angle), np.sin(angle)], 1).astype(np.float32)


def test_chain_keeps_only_its_first():
    # AB = BC = .95, AC = .805: B goes for A, and though B is gone, C goes for B
    step = np.rad2deg(np.arccos(0.95))
    chain = on_circle(0, step, 2 * step)
    np.testing.assert_array_equal(keep_first(chain, np.zeros(3, int), 0.876), [True, False, False])
    found = duplicates(chain, np.zeros(3, int), 0.876)
    np.testing.assert_array_equal(found.of_N, [-1, 0, 1])
    np.testing.assert_allclose(found.similarity_N, [0, 0.95, 0.95], rtol=1e-6)
    # in the order A C B both A and C stay
    order = keep_first(chain[[0, 2, 1]], np.zeros(3, int), 0.876)
    np.testing.assert_array_equal(order, [True, True, False])


def test_clusters_are_strangers():
    copies = np.repeat(on_circle(30), 4, 0)
    np.testing.assert_array_equal(
        keep_first(copies, np.array([7, -1, 7, -1]), 0.9), [True, True, False, False]
    )


def test_at_the_threshold_a_row_stays():
    eye = np.eye(4, dtype=np.float16)
    pair = np.stack([eye[0], (eye[0] + eye[1] + eye[2] + eye[3]) / 2])  # similarity 1/2, exactly
    one = np.zeros(2, int)
    assert keep_first(pair, one, 0.5).tolist() == [True, True]
    assert keep_first(pair, one, np.nextafter(0.5, 0)).tolist() == [True, False]
    copies = eye[[1, 1]]
    assert keep_first(copies, one, 1.0).tolist() == [True, True]
    assert keep_first(copies, one, np.nextafter(1.0, 0)).tolist() == [True, False]


def test_nothing_to_do():
    assert keep_first(unit(3, 4)[:0], np.zeros(0, int), 0.9).tolist() == []
    assert keep_first(unit(1, 4), np.zeros(1, int), -1.0).tolist() == [True]
    assert keep_first(unit(5, 4), np.zeros(5, int), -2.0).tolist() == [True] + 4 * [False]


@settings(max_examples=30, deadline=None)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(ENGINES),
    st.sampled_from([np.float16, np.float32]),
    st.integers(1, 300),
    st.integers(1, 20),
    st.floats(-0.2, 1.0),
)
def test_is_brute_force(seed, search, dtype, rows, clusters, threshold):
    chance = np.random.default_rng(seed)
    x = unit(rows, 6, seed, dtype)
    x[chance.integers(0, rows, rows // 3)] = x[chance.integers(0, rows, rows // 3)]
    cluster = chance.integers(0, clusters, rows)
    expected, sim = brute(x, cluster, threshold)
    found = duplicates(x, cluster, threshold, engine=search)
    np.testing.assert_array_equal(found.of_N, expected)
    gone = found.removed
    np.testing.assert_allclose(found.similarity_N[gone], sim[gone, expected[gone]], rtol=1e-14)
    assert (found.similarity_N[found.kept] == 0).all()


def test_bytes_do_not_depend_on_tiles_threads_or_engine(monkeypatch):
    x = unit(900, 24, 1, shared=0.5)
    x[300:600] = x[:300]
    cluster = np.random.default_rng(0).integers(0, 3, 900)
    whole = duplicates(x, cluster, 0.6, threads=1)
    np.testing.assert_array_equal(whole.of_N, brute(x, cluster, 0.6)[0])
    for tile, pairs, search, threads in [
        (64, 8192, "bfloat16", 1),
        (128, 7, "float32", 2),
        (192, 100, "bfloat16", 2),
    ]:
        monkeypatch.setattr("clipcause.search.earlier.TILE_COLUMNS", tile)
        monkeypatch.setattr("clipcause.search.earlier.PAIRS", pairs)
        got = duplicates(x, cluster, 0.6, engine=search, threads=threads)
        assert got.of_N.tobytes() == whole.of_N.tobytes()
        assert got.similarity_N.tobytes() == whole.similarity_N.tobytes()


@pytest.mark.parametrize("held", [0, 1000])
def test_a_cluster_is_read_once_where_it_fits(monkeypatch, held):
    monkeypatch.setattr(earlier, "TILE_COLUMNS", 64)
    monkeypatch.setattr(earlier, "HELD", held)
    x = unit(300, 8, 5, np.float16)
    clusters = np.arange(300) % 2
    asked = []

    def take(rows):
        asked.append(len(rows))
        return x[rows]

    first_N, _ = earlier.first_above(take, clusters, 0.6, threads=1)
    expected, _ = brute(x, clusters, 0.6)
    np.testing.assert_array_equal(first_N, expected)
    assert asked == [150, 150] if held else len(asked) > 6


def test_bad_input():
    with pytest.raises(ValueError, match="row 1 has norm"):
        keep_first(np.array([[1, 0], [0.5, 0]], np.float32), np.zeros(2, int), 0.9)
    with pytest.raises(ValueError, match="not a similarity"):
        keep_first(unit(2, 4), np.zeros(2, int), float("nan"))


def test_a_bad_row_has_the_callers_number(monkeypatch):
    monkeypatch.setattr("clipcause.search.earlier.TILE_COLUMNS", 64)
    x = unit(400, 8, 1, np.float32)
    x[301] *= 0.5
    # it is position 150 of its cluster, so in the third tile
    with pytest.raises(ValueError, match=r"rows: row 301 has norm 0\.5; .* from 257 to 383 "):
        keep_first(x, np.arange(400) % 2, 1.0)


# the stage

PARAMETERS = """
encoder: {name: tiny, run: full-0}
similarity: {block_rows: 100}
versions: {}
deduplicate: {method: METHOD, threshold: 0.9, clusters: 5, seed: 0, iterations: 4}
"""


def store(folder, image_ND, encoder="e" * 64, dataset="d" * 64):
    """An embedding store as `embed` writes it, without the metadata."""
    (folder / "img_emb").mkdir(parents=True)
    half = len(image_ND) // 2
    np.save(folder / "img_emb/img_emb_0000.npy", image_ND[:half])
    np.save(folder / "img_emb/img_emb_0001.npy", image_ND[half:])
    rows, dim = image_ND.shape
    card = {"encoder": encoder, "dataset": dataset, "rows": rows, "dim": dim}
    (folder / "card.json").write_text(json.dumps(card))
    return embeddings.read(folder)


@pytest.fixture
def pool(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("clipcause.config.versions.check", lambda *names: None)
    x = unit(400, 16, 1)
    x[200:250] = x[:50]
    store(layout.embeddings("tiny", "pool"), x)
    return x


@pytest.mark.parametrize("method", ["kmeans", "exact"])
def test_stage(pool, tmp_path, method):
    (tmp_path / "params.yaml").write_text(PARAMETERS.replace("METHOD", method))
    done = stage.main()
    kept = split.read(layout.split("dedup"))
    assert kept.card["kept"] + kept.card["removed"] == 400
    assert kept.card["pool"] == "d" * 64
    centres = np.load("deduplicate/centres.npy")
    assert centres.shape == ((5 if method == "kmeans" else 0), 16)
    assert centres.dtype == np.float16
    table = artifact.read(layout.deduplicate())
    row, of = table["row"].to_numpy(), table["duplicate_of"].to_numpy()
    np.testing.assert_array_equal(np.setdiff1d(np.arange(400), row), kept.rows)
    # copies fall into one cluster, so every one of them goes
    assert np.isin(np.arange(200, 250), row).all()
    exact = (pool[row].astype(np.float64) * pool[of].astype(np.float64)).sum(1)
    np.testing.assert_array_equal(table["similarity"].to_numpy(), exact)
    assert (exact > 0.9).all()
    numbers = json.loads((tmp_path / "metrics/deduplicate.json").read_text())
    assert numbers["removed"] == len(row)
    assert done.startswith(f"{len(kept)} of 400 rows kept")


@pytest.mark.parametrize(("threshold", "is_told"), [(0.9, False), (0.3, True)])
def test_a_pool_of_which_most_goes_is_told_with_what_to_do(
    pool, tmp_path, capsys, threshold, is_told
):
    text = PARAMETERS.replace("METHOD", "exact").replace("0.9", str(threshold))
    (tmp_path / "params.yaml").write_text(text)
    stage.main()
    kept = len(split.read(layout.split("dedup")))
    assert (kept < 200) == is_told
    told = (
        f"deduplicate: {kept} of 400 rows stay, fewer than half: so many are more similar than "
        "0.3 to an earlier one. If they are no copies, raise deduplicate.threshold, or take an "
        "encoder that tells these pictures apart\n"
    )
    assert capsys.readouterr().err == (told if is_told else "")


def test_stage_is_repeatable(pool, tmp_path):
    (tmp_path / "params.yaml").write_text(PARAMETERS.replace("METHOD", "kmeans"))
    seen = []
    for _ in range(2):
        stage.main()
        files = sorted(p for p in tmp_path.rglob("*") if p.is_file() and "embeddings" not in str(p))
        seen.append([path.read_bytes() for path in files])
    assert seen[0] == seen[1]


def test_exact_has_no_clusters(pool, tmp_path):
    text, seen = PARAMETERS.replace("METHOD", "exact"), []
    for changed in (text, text.replace("clusters: 5, seed: 0, iter", "clusters: 9, seed: 3, iter")):
        (tmp_path / "params.yaml").write_text(changed)
        stage.main()
        seen.append({path.name: path.read_bytes() for path in layout.split("dedup").iterdir()})
    assert seen[0] == seen[1]
    card = split.read(layout.split("dedup")).card
    assert card["parameters"] == {"method": "exact", "threshold": 0.9}


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (([3, 2], [0, 1], [0.9, 0.9]), "rows do not ascend in 1 of 2 entries, first for row 2"),
        (([2, 3], [0, 3], [0.9, 0.9]), "duplicate_of is not an earlier row .* first for row 3"),
        (([2, 3], [0, -1], [0.9, 0.9]), "duplicate_of is not an earlier row"),
        (([2, 3], [0, 1], [0.9, np.nan]), "similarity is not finite .* run the deduplicate stage"),
        (([2, 3], [0, None], [0.9, 0.9]), "duplicate_of is missing in 1 of 2 rows"),
    ],
)
def test_damaged_duplicates(tmp_path, columns, words):
    table = pa.table([pa.array(values) for values in columns], schema=artifact.SCHEMA)
    with pytest.raises(ValueError, match=words):
        artifact.write(tmp_path / "out", table, np.empty((0, 4), np.float16))
    assert not (tmp_path / "out").exists()
    atomic.write_table(tmp_path / "out" / artifact.TABLE, table)
    with pytest.raises(ValueError, match=words):
        artifact.read(tmp_path / "out")


def test_more_clusters_than_rows(pool):
    settings = Deduplicate(method="kmeans", threshold=0.9, clusters=500, seed=0, iterations=1)
    with pytest.raises(ValueError, match="500 clusters of 400 pool rows"):
        deduplicate.centres(embeddings.read(layout.embeddings("tiny", "pool")), settings)


def test_without_faiss(pool, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "faiss", None)
    settings = Deduplicate(method="kmeans", threshold=0.9, clusters=5, seed=0, iterations=1)
    with pytest.raises(ValueError, match=r"install clipcause\[cpu\]"):
        deduplicate.centres(embeddings.read(layout.embeddings("tiny", "pool")), settings)


def test_a_device_assigns_the_same_clusters(pool, monkeypatch):
    monkeypatch.setattr("clipcause.search.device.available", lambda name: torch.device("cpu"))
    stored = embeddings.read(layout.embeddings("tiny", "pool"))
    centre_KD = stored.take(np.arange(0, 400, 9))
    centre_KD[30] = centre_KD[4]  # of equal centres the lower
    one, other = (deduplicate.assign(stored, centre_KD, 70, on) for on in ("cpu", "cuda"))
    np.testing.assert_array_equal(one, other)
    assert one.dtype == other.dtype


def test_a_clusters_head_without_a_gpu_searches_by_itself(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device.here(Engine(kind="ray", device="cuda", gpus=1.0)) == "cpu"
    with pytest.raises(ValueError, match="finds no GPU here"):
        device.here(Engine(device="cuda"))


def test_notebooks_find_it_where_it_was():
    assert stage.keep_first is keep_first
    with pytest.raises(AttributeError, match="keep_frist"):
        stage.keep_frist  # noqa: B018
