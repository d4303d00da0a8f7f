"""The search engine against float64 brute force, and against itself in every configuration."""

import itertools
import tracemalloc

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from clipcause.search import decide, device, engine, nearest, reverse, score_pool
from clipcause.search.decide import Best, Columns
from clipcause.search.engine import accumulation, choose, half_ulp, workers
from clipcause.search.neighbour import Nearest
from clipcause.search.pool import Scan, queries
from clipcause.search.vectors import dot, prepare

ENGINES = ("bfloat16", "float32")


def unit(rows, dim, seed=0, dtype=np.float16, shared=0.0, spread=1.0):
    """Unit vectors around a shared direction, as an encoder's embeddings are."""
    chance = np.random.default_rng(seed)
    x = spread * chance.standard_normal((rows, dim)) + shared
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(dtype)


def brute(pool, query, threshold):
    """Float64, all pairs."""
    sim = pool.astype(np.float64) @ query.astype(np.float64).T
    return sim.max(1).astype(np.float32), sim.argmax(1), (sim - threshold).max(1).astype(np.float32)


def same(got, expected):
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("search", ENGINES)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
@pytest.mark.parametrize(
    ("rows", "queries", "dim"),
    [(1, 1, 1), (3, 1, 7), (700, 65, 33), (300, 200, 512), (50, 129, 96)],
)
def test_score_pool_is_brute_force(search, dtype, rows, queries, dim):
    pool, query = unit(rows, dim, 1, dtype, 0.3), unit(queries, dim, 2, dtype, 0.3)
    threshold = np.random.default_rng(3).uniform(0.1, 0.9, queries)
    got = score_pool(pool, query, threshold, engine=search)
    expected = brute(pool, query, threshold)
    if dtype == np.float16:  # exact in any order, so in NumPy's too
        same(got, expected)
    else:
        for a, b in zip(got, expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
    assert [part.dtype for part in got] == [np.float32, np.int32, np.float32]


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_bytes_do_not_depend_on_batches_threads_or_engine(dtype):
    pool, query = unit(2300, 40, 1, dtype, 0.4), unit(150, 40, 2, dtype, 0.4)
    threshold = np.random.default_rng(0).uniform(0.5, 0.9, 150)
    whole = score_pool(pool, query, threshold, threads=1)
    for search, threads, batch in [
        ("bfloat16", 1, 7),
        ("bfloat16", 2, 1000),
        ("float32", 2, 1000),
        ("float32", 2, 2300),
        ("bfloat16", 3, 2300),
    ]:
        parts = [
            score_pool(pool[a : a + batch], query, threshold, engine=search, threads=threads)
            for a in range(0, len(pool), batch)
        ]
        for joined, one in zip(zip(*parts, strict=True), whole, strict=True):
            assert np.concatenate(joined).tobytes() == one.tobytes()
    one_by_one = [score_pool(pool[i : i + 1], query, threshold) for i in range(40)]
    for joined, one in zip(zip(*one_by_one, strict=True), whole, strict=True):
        assert np.concatenate(joined).tobytes() == one[:40].tobytes()


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_nearest_bytes_do_not_depend_on_batches_threads_or_engine(dtype):
    base, query = unit(2300, 40, 1, dtype, 0.4), unit(150, 40, 2, dtype, 0.4)
    similarity, index = nearest(query, base, threads=1)
    sim = query.astype(np.float64) @ base.astype(np.float64).T
    np.testing.assert_array_equal(index, sim.argmax(1))
    np.testing.assert_allclose(similarity, sim.max(1), rtol=1e-15)
    for search, threads, batch in itertools.product(ENGINES, (1, 2), (7, 1000, 2300)):
        running = Nearest(query, engine=search, threads=threads)
        for a in range(0, len(base) if batch > 7 else 700, batch):
            running.update(base[a : a + batch])
        if batch == 7:
            running.update(base[700:])
        got = running.result()
        assert got[0].tobytes() == similarity.tobytes()
        assert got[1].tobytes() == index.tobytes()
    one = Nearest(query)
    for i in range(30):
        one.update(base[i : i + 1])
    np.testing.assert_array_equal(one.result()[1], sim[:, :30].argmax(1))


@pytest.mark.parametrize("search", ENGINES)
def test_nearest_among_chosen_rows_keeps_their_numbers(search):
    base, query = unit(5000, 16, 1), unit(20, 16, 2)
    chosen = np.random.default_rng(0).random(5000) < 0.3
    running = Nearest(query, engine=search)
    running.update(base, chosen)
    sim = query.astype(np.float64) @ base.astype(np.float64).T
    sim[:, ~chosen] = -2
    same(running.result(), (sim.max(1), sim.argmax(1)))


def test_nothing_seen_is_nothing_found():
    similarity, index = Nearest(unit(3, 4)).result()
    assert (similarity == -np.inf).all()
    assert (index == -1).all()
    assert len(nearest(unit(3, 4)[:0], unit(5, 4))[1]) == 0
    assert [len(part) for part in score_pool(unit(3, 4)[:0], unit(2, 4), np.zeros(2))] == [0, 0, 0]


# what a search that nominates by approximate values could lose


@pytest.mark.parametrize("search", ENGINES)
@pytest.mark.parametrize("thresholds", ["equal", "wild", "none", "all"])
def test_adversarial_thresholds(search, thresholds):
    pool, query = unit(400, 24, 5, shared=1.0), unit(130, 24, 6, shared=1.0)
    chance = np.random.default_rng(1)
    threshold = {
        "equal": np.full(130, 0.9),
        "wild": chance.uniform(-2, 2, 130),
        "none": np.full(130, 2.0),
        "all": np.full(130, -2.0),
    }[thresholds]
    got = score_pool(pool, query, threshold, engine=search)
    same(got, brute(pool, query, threshold))
    if thresholds in ("none", "all"):
        assert ((got[2] > 0) == (thresholds == "all")).all()


@pytest.mark.parametrize("search", ENGINES)
def test_near_ties_and_copies(search):
    chance = np.random.default_rng(2)
    centre = unit(5, 64, 1, np.float64)
    # differences of one float16 step: products differ by some 1e-7 or not at all
    query = np.repeat(centre, 40, 0) + chance.choice([0, 2.0**-13], (200, 64), p=[0.99, 0.01])
    query = query.astype(np.float16)
    query[50:60] = query[3]
    pool = np.concatenate([query[:100], np.repeat(query[:1], 100, 0), unit(100, 64, 4)])
    threshold = np.repeat([0.9, 0.95, 0.95, 0.99, 1.0], 40)
    same(score_pool(pool, query, threshold, engine=search), brute(pool, query, threshold))
    sim = query.astype(np.float64) @ pool.astype(np.float64).T
    same(nearest(query, pool, engine=search), (sim.max(1), sim.argmax(1)))


@pytest.mark.parametrize("search", ENGINES)
@pytest.mark.parametrize("kind", ["opposite", "identical", "one-hot", "subnormal"])
def test_adversarial_pools(search, kind):
    query = unit(70, 32, 1, shared=2.0)
    pool = {
        "opposite": -query,
        "identical": np.repeat(query[9:10], 300, 0),
        "one-hot": np.eye(32, dtype=np.float16),
        "subnormal": unit(90, 32, 2),
    }[kind]
    if kind == "subnormal":
        query, pool = query.copy(), pool.copy()
        for x in (query, pool):
            x[:, 1:20] = np.float16(2.0**-24) * np.arange(1, 20)
            x[:, 0] = np.sqrt(1 - (x[:, 1:].astype(np.float64) ** 2).sum(1))
    threshold = np.linspace(-0.5, 0.5, 70)
    same(score_pool(pool, query, threshold, engine=search), brute(pool, query, threshold))
    sim = query.astype(np.float64) @ pool.astype(np.float64).T
    same(nearest(query, pool, engine=search), (sim.max(1), sim.argmax(1)))


def test_candidates_are_decided_in_bounded_pieces(monkeypatch):
    monkeypatch.setattr(decide, "PAIRS", 50)
    monkeypatch.setattr(decide, "CANDIDATES", 128)
    pool, query = unit(300, 24, 1, shared=3.0), unit(200, 24, 2, shared=3.0)
    pool[100:200] = pool[7]
    threshold = np.linspace(0.7, 1.0, 200)
    for search in ENGINES:
        same(score_pool(pool, query, threshold, engine=search), brute(pool, query, threshold))


def test_many_tiles(monkeypatch):
    monkeypatch.setattr("clipcause.search.pool.COLUMNS", 256)
    monkeypatch.setattr("clipcause.search.engine.TILE_COLUMNS", 128)
    monkeypatch.setattr("clipcause.search.neighbour.TILE_COLUMNS", 192)
    monkeypatch.setattr("clipcause.search.pool.ROWS", 100)
    pool, query = unit(500, 24, 1, shared=0.5), unit(400, 24, 2, shared=0.5)
    pool[300:] = pool[:200]
    query[200:300] = query[:100]
    threshold = np.random.default_rng(0).uniform(0.5, 0.95, 400)
    same(score_pool(pool, query, threshold, threads=2), brute(pool, query, threshold))
    sim = query.astype(np.float64) @ pool.astype(np.float64).T
    same(nearest(query, pool, threads=2), (sim.max(1), sim.argmax(1)))


# properties

seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=25, deadline=None)
@given(seeds, st.sampled_from(ENGINES), st.integers(1, 80), st.integers(1, 90), st.integers(1, 70))
def test_any_shape_is_brute_force(seed, search, rows, queries, dim):
    chance = np.random.default_rng(seed)
    shared = chance.uniform(0, 3)
    pool, query = unit(rows, dim, seed, shared=shared), unit(queries, dim, seed + 1, shared=shared)
    # copies, so that ties are exact
    pool[chance.integers(0, rows, rows // 2)] = query[chance.integers(0, queries)]
    threshold = chance.uniform(-1, 1, queries)
    same(score_pool(pool, query, threshold, engine=search), brute(pool, query, threshold))


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_a_copy_of_the_image_that_sets_the_threshold_is_exactly_at_it(seed):
    reference, query = unit(60, 48, seed, shared=0.6), unit(40, 48, seed + 1, shared=0.6)
    threshold, row = nearest(query, reference)
    pool = reference[row]
    margin = score_pool(pool, query, threshold)[2]
    assert (margin == 0).all()  # no reference image is above any threshold, each sets one


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_monotone_in_the_reference(seed):
    reference, query = unit(80, 16, seed), unit(30, 16, seed + 1)
    pool = unit(100, 16, seed + 2)
    few, many = nearest(query, reference[:40])[0], nearest(query, reference)[0]
    assert (many >= few).all()
    removed_few = score_pool(pool, query, few)[2] > 0
    removed_many = score_pool(pool, query, many)[2] > 0
    assert (removed_few | ~removed_many).all()


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_permuting_queries_permutes_nearest(seed):
    pool, query = unit(60, 12, seed), unit(50, 12, seed + 1)
    order = np.random.default_rng(seed).permutation(50)
    similarity, index = nearest(query, pool)
    same(nearest(query[order], pool), (similarity[order], index[order]))
    threshold = similarity - 0.1
    before = score_pool(pool, query, threshold)
    after = score_pool(pool, query[order], threshold[order])
    same((after[0], order[after[1]], after[2]), before)


# the bounds themselves


@pytest.mark.parametrize("shared", [0.0, 2.0])
@pytest.mark.parametrize("search", ["bfloat16", "float32", "bfloat16, centred"])
def test_the_fast_pass_stays_within_its_bound(search, shared):
    search, _, centred = search.partition(", ")
    rows, columns = unit(200, 512, 1, shared=shared), unit(128, 512, 2, shared=shared)
    centre = prepare("y", columns, "float32").single_ND.mean(0) if centred else None
    if centre is not None:
        # as far from the centre as a unit vector can be, seen from both ends
        away = (-centre / torch.linalg.vector_norm(centre)).numpy().astype(np.float16)
        columns[5], rows[7], rows[8] = away, away, -away
    x, y = prepare("x", rows, search), prepare("y", columns, search, centre_D=centre)
    group = Columns.group(y, np.arange(128), np.zeros(128), centre)
    if centre is not None and shared:
        assert group.length > 1.8
    bound = decide._Improvement(Best.none(200, margin=False), x, group, search)
    exact = (columns.astype(np.float64) @ rows.astype(np.float64).T).reshape(2, 64, 200).max(1)
    excess = bound.table_GN + bound.row_error_N - exact
    assert excess.min() >= 0
    assert excess[:, exact.min(0) > 0].max() < 0.03  # not for being idle


def test_accumulation_is_bounded_for_usable_dimensions():
    # g = D u / (1 - D u) by hand: D = 512, u = 2^-23
    assert accumulation(512) == pytest.approx(1.02 * 512 / (2**23 - 512), rel=1e-12)
    assert accumulation(engine.DIMENSIONS) < 1e-3
    with pytest.raises(ValueError, match="8193 dimensions: the search takes at most 8192"):
        accumulation(8193)


@pytest.mark.parametrize("precision", ["medium", "high"])
def test_a_lower_precision_of_products_is_not_ours(precision):
    pool, query = unit(300, 64, 1, shared=0.5), unit(100, 64, 2, shared=0.5)
    threshold = np.linspace(0.2, 0.9, 100)
    settings = engine._mkldnn.matmul
    try:
        torch.set_float32_matmul_precision(precision)
        before = settings.fp32_precision
        assert before in ("bf16", "tf32")
        for search, threads in itertools.product(ENGINES, (1, 2)):
            got = score_pool(pool, query, threshold, engine=search, threads=threads)
            same(got, brute(pool, query, threshold))
            assert torch.get_float32_matmul_precision() == precision
            with workers(threads):  # not every CPU would use what it may
                assert settings.fp32_precision == "ieee"
            assert settings.fp32_precision == before
    finally:
        torch.set_float32_matmul_precision("highest")


def test_half_ulp_by_hand():
    top = np.array([0.0, 0.25, 0.49, 0.5, 0.99, 1.0], np.float32)
    np.testing.assert_array_equal(
        half_ulp(top, "bfloat16")[1:], np.array([2**-10, 2**-10, 2**-9, 2**-9, 2**-8], np.float32)
    )
    assert (half_ulp(top, "float32") == 0).all()


def test_a_broken_engine_is_noticed(monkeypatch):
    real = decide.group_maxima
    monkeypatch.setattr(decide, "group_maxima", lambda *given: real(*given) * np.float32(0.5))
    with pytest.raises(RuntimeError, match="broke its error bound"):
        score_pool(unit(50, 32, 1), unit(50, 32, 1), np.zeros(50), engine="float32")


def test_dot_is_exact_for_float16():
    x, y = unit(40, 768, 1), unit(40, 768, 2)
    pairs = np.arange(40)
    got = dot(prepare("x", x, "float32"), pairs, prepare("y", y, "float32"), pairs)
    # integers in units of 2^-24: Python's sums have no rounding at all
    whole = [
        sum(int(a) * int(b) for a, b in zip(p, q, strict=True))
        for p, q in zip(x.astype(float) * 2**24, y.astype(float) * 2**24, strict=True)
    ]
    assert [int(value) for value in got * 2.0**48] == whole


# bad input


def test_bad_rows_are_named():
    pool, query = unit(3000, 8, 1), unit(4, 8, 2)
    for value, words in [(np.nan, "not finite"), (np.inf, "not finite"), (3.0, "has norm")]:
        bad = pool.copy()
        bad[2500, 1] = bad[2600, 1] = value
        with pytest.raises(ValueError, match=f"row 2500 .*{words}.*2 of the"):
            score_pool(bad, query, np.zeros(4), threads=1)
        with pytest.raises(ValueError, match="queries: row 2500"):
            nearest(bad, query, threads=1)
    with pytest.raises(ValueError, match="row 1 has norm 0"):
        nearest(query, np.eye(2, 8, dtype=np.float16) * np.array([[1], [0]], np.float16))


def test_bad_rows_of_a_later_tile_keep_their_numbers():
    base, query = unit(5000, 8, 1), unit(4, 8, 2)
    base[4600] *= np.float16(2)
    with pytest.raises(ValueError, match=r"base: row 4600 has norm 2; .* from 4096 to 4999 "):
        nearest(query, base)
    running = Nearest(query)
    running.update(unit(10, 8, 3))
    every_other = np.arange(5000) % 2 == 0
    with pytest.raises(ValueError, match=r"base: row 4610 has norm 2; .* from 4106 to 5008 "):
        running.update(base, every_other)


@pytest.mark.parametrize(
    ("query", "threshold", "words"),
    [
        (unit(3, 8), np.array([0.1, np.nan, 0.2]), "1 of 3 are not .*, the first is nan at 1"),
        (
            unit(3, 8),
            np.array([0, 9, -2e6]),
            r"\(within 1e\+06 of 0\), .* is -2000000.0 at 2",
        ),
        (unit(3, 8), np.zeros(2), r"3 queries, but thresholds of shape \(2,\)"),
        (unit(3, 8)[:0], np.zeros(0), "there are none"),
    ],
)
def test_bad_queries(query, threshold, words, monkeypatch):
    # users have no shape annotations that would speak first
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=words):
        score_pool(unit(5, 8), query, threshold)


def test_bad_engine_and_threads(monkeypatch):
    with pytest.raises(ValueError, match="valid are auto, bfloat16, float32"):
        choose("float64")
    monkeypatch.setenv("CLIPCAUSE_ENGINE", "float32")
    assert choose() == "float32"
    with pytest.raises(ValueError, match="at least 1"), workers(-1):
        pass
    with pytest.raises(ValueError, match="no rows"):
        nearest(unit(2, 4), unit(2, 4)[:0])


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with pytest.raises(ValueError, match="has norm"):
        nearest(unit(2, 4), unit(9, 4) * np.float16(0.5), threads=2)
    assert torch.get_num_threads() == before


def test_memory_does_not_grow_with_the_pool(tmp_path, monkeypatch):
    monkeypatch.setattr("clipcause.search.pool.ROWS", 512)
    query = unit(64, 32, 2)
    peaks = []
    for rows in (4_000, 32_000):
        np.save(tmp_path / "pool.npy", unit(rows, 32, 1))
        pool = np.load(tmp_path / "pool.npy", mmap_mode="r")
        tracemalloc.start()
        score_pool(pool, query, np.full(64, 0.4), threads=1)
        peaks.append(tracemalloc.get_traced_memory()[1] - 12 * rows)  # less the three outputs
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 100_000


def test_tiles_are_whole_groups():
    assert engine.TILE_COLUMNS % engine.GROUP == 0


# the other side of the same products


def scanned(pool, query, threshold, *, search="bfloat16", threads=2, block=None):
    """A scan of the pool, in blocks."""
    block = block or max(len(pool), 1)
    scan = Scan(queries(query, threshold, search), len(pool), threads)
    scan.read((a, pool[a : a + block]) for a in range(0, len(pool), block))
    return scan.max_sim_N, scan.nearest_N, scan.margin_N, *scan.result()


def on_device(pool, query, threshold, *, block=None):
    """The path of a GPU, on what there is."""
    block = block or max(len(pool), 1)
    scan = device.Scan(device.queries(query, threshold, "cpu"), len(pool))
    scan.read((a, pool[a : a + block]) for a in range(0, len(pool), block))
    return scan.max_sim_N, scan.nearest_N, scan.margin_N, *scan.result()


def both(pool, query, threshold):
    """Float64, all pairs, both sides."""
    sim = query.astype(np.float64) @ pool.astype(np.float64).T
    return *brute(pool, query, threshold), sim.max(1), sim.argmax(1)


WAYS = {
    "bfloat16": lambda *given: scanned(*given),
    "float32": lambda *given: scanned(*given, search="float32"),
    "blocks": lambda *given: scanned(*given, block=70),
    "device": on_device,
    "device, blocks": lambda *given: on_device(*given, block=70),
}


@settings(max_examples=40, deadline=None)
@given(seeds, st.sampled_from(sorted(WAYS)), st.integers(1, 200), st.integers(1, 90))
def test_one_product_answers_both_questions(seed, way, rows, count):
    chance = np.random.default_rng(seed)
    dim, shared = int(chance.integers(1, 70)), chance.uniform(0, 3)
    pool, query = unit(rows, dim, seed, shared=shared), unit(count, dim, seed + 1, shared=shared)
    # copies, so that ties are exact, on both sides
    pool[chance.integers(0, rows, rows // 2)] = query[chance.integers(0, count)]
    query[chance.integers(0, count, count // 3)] = query[0]
    threshold = chance.uniform(-1, 1, count)
    same(WAYS[way](pool, query, threshold), both(pool, query, threshold))


@pytest.mark.parametrize("way", sorted(WAYS))
def test_many_tiles_of_both_sides(way, monkeypatch):
    monkeypatch.setattr("clipcause.search.pool.ROWS", 256)
    monkeypatch.setattr("clipcause.search.pool.COLUMNS", 256)
    monkeypatch.setattr("clipcause.search.engine.TILE_COLUMNS", 128)
    monkeypatch.setattr("clipcause.search.engine.TILE_ROWS", 128)
    monkeypatch.setattr("clipcause.search.reverse.TILE_ROWS", 128)
    monkeypatch.setattr(device, "COLUMNS", 128)
    monkeypatch.setattr(device, "ROWS", 200)
    monkeypatch.setattr(device, "GROUPS", 50)
    monkeypatch.setattr(device, "PAIRS", 30)
    pool, query = unit(1500, 24, 1, shared=0.5), unit(400, 24, 2, shared=0.5)
    pool[1000:1300] = pool[:300]
    pool[1400:1450] = query[100:150]
    query[200:300] = query[:100]
    threshold = np.random.default_rng(0).uniform(0.5, 0.95, 400)
    same(WAYS[way](pool, query, threshold), both(pool, query, threshold))


@pytest.mark.parametrize("way", sorted(WAYS))
@pytest.mark.parametrize("kind", ["opposite", "identical", "one-hot", "near ties"])
def test_adversarial_pools_from_both_sides(way, kind, monkeypatch):
    monkeypatch.setattr(reverse, "MANY", 300)
    query = unit(70, 32, 1, shared=2.0)
    chance = np.random.default_rng(4)
    steps = chance.choice([0, 2.0**-13], (300, 32), p=[0.95, 0.05])
    pool = {
        "opposite": -query,
        "identical": np.repeat(query[9:10], 300, 0),
        "one-hot": np.eye(32, dtype=np.float16),
        # products differ by some 1e-7 or not at all
        "near ties": (query[9:10].astype(np.float64) + steps).astype(np.float16),
    }[kind]
    threshold = np.linspace(-0.5, 0.5, 70)
    same(WAYS[way](pool, query, threshold), both(pool, query, threshold))


def test_copies_among_many_rows_are_computed_once(monkeypatch):
    pool, query = np.repeat(unit(3, 32, 1), 500, 0), unit(20, 32, 2)
    pairs = []
    real = reverse.dot

    def counted(x, row, y, column):
        pairs.append(len(row))
        return real(x, row, y, column)

    monkeypatch.setattr(reverse, "dot", counted)
    same(scanned(pool, query, np.zeros(20), threads=1), both(pool, query, np.zeros(20)))
    assert sum(pairs) <= 3 * 20 * 2  # two tiles


@pytest.mark.parametrize("shared", [0.0, 2.0])
def test_rows_are_arranged_along_the_centre_and_each_once(shared):
    along = unit(1, 2500, 1, np.float32, shared)[0]
    order = reverse.arranged(along)
    assert sorted(order) == list(range(2500))
    # a group's rows are neighbours: the first tile's first group has its sixteen lowest
    group = along[order[:1024].reshape(16, 64)[:, 0]]
    np.testing.assert_array_equal(np.sort(group), np.sort(along[:1024])[:16])


@pytest.mark.parametrize("side", ["reverse", "device"])
def test_a_broken_bound_of_the_other_side_is_noticed(side, monkeypatch):
    pool, query = unit(200, 32, 1, shared=1.0), unit(60, 32, 2, shared=1.0)
    if side == "device":
        monkeypatch.setattr(device, "accumulation", lambda dim: -(2.0**-12))
        with pytest.raises(RuntimeError, match="the device broke its error bound"):
            on_device(pool, query, np.zeros(60))
        return
    monkeypatch.setattr(reverse, "dot", lambda *given: dot(*given) + 0.1)
    with pytest.raises(RuntimeError, match="the fast pass broke its error bound"):
        scanned(pool, query, np.zeros(60))


def test_a_device_takes_float16_unit_vectors():
    with pytest.raises(ValueError, match="a device takes float16 vectors, got float32"):
        device.queries(unit(3, 4, dtype=np.float32), np.zeros(3), "cpu")
    bad = unit(200, 8, 1)
    bad[130, 1] = np.nan
    with pytest.raises(ValueError, match=r"pool: row 130 is not finite; .* from 100 to 199 "):
        on_device(bad, unit(3, 8), np.zeros(3), block=100)
    with pytest.raises(ValueError, match="queries: row 130"):
        device.queries(bad, np.zeros(200), "cpu")


def test_a_devices_precision_is_given_back():
    backend = torch.backends.cuda.matmul
    before = backend.allow_fp16_reduced_precision_reduction
    with device.exact_products():
        assert not backend.allow_fp16_reduced_precision_reduction
        assert not backend.allow_tf32
    assert backend.allow_fp16_reduced_precision_reduction == before
