"""domain: the classifier and its thresholds, by hand and by brute force; the stage; the rule."""

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from clipcause.check import parameters
from clipcause.config import layout, parse
from clipcause.config.domains import Domain
from clipcause.data import dataset, manifest
from clipcause.embed import embeddings
from clipcause.prune import domain_classifier, domain_learning, domains, rules, split
from clipcause.prune.rules import domain as domain_rule
from clipcause.prune.rules.domain import ByDomain
from clipcause.runtime import metrics
from clipcause.runtime.atomic import write_json
from stages import domain, prune
from tests.artifacts_samples import contents, make_dataset, unit_vectors
from tests.real_images import drawings, encoded

SLOTS = {"base": "all", "of": "none", "with": "none"}
ENTRY = {
    "first": "glyphs",
    "second": "renditions",
    "precision": 0.95,
    "held_out": 0.4,
    "regularisation": [0.001, 0.1],
}


def by_brute_force(score_N, own_N, prior, precision):
    """The least of all candidates that is precise enough, each looked at by itself and exactly."""
    best, wanted = None, Fraction(str(precision))
    own, other = int(own_N.sum()), int((~own_N).sum())
    first = Fraction(str(prior)) if prior else Fraction(own, own + other)
    weights = first / own, (1 - first) / other  # of a row of the first domain, of one of the other
    for threshold in sorted({np.float32(0), *score_N[score_N > 0]}, reverse=True):
        above_N = score_N > threshold
        if above_N.sum() >= domain_classifier.LEAST:
            right, wrong = int((above_N & own_N).sum()), int((above_N & ~own_N).sum())
            right, wrong = right * weights[0], wrong * weights[1]
            if right / (right + wrong) >= wanted:
                best = float(threshold)
    return best


@example(seed=51, rows=51, precision=0.8, prior=0.7)  # exactly the wanted one
@given(
    st.integers(0, 10_000), st.integers(20, 120), st.sampled_from([0.6, 0.8, 0.95, 1.0]),
    st.sampled_from([None, 0.1, 0.7]),
)  # fmt: skip
def test_the_threshold_is_the_least_that_is_precise_enough(seed, rows, precision, prior):
    rng = np.random.default_rng(seed)
    own_N = rng.random(rows) < 0.6
    own_N[:2] = [True, False]
    # few values: many ties
    score_N = (rng.integers(-4, 9, rows) + 3 * own_N).astype(np.float32) / 2
    weight_N = domain_classifier.weights(own_N, prior)
    expected = by_brute_force(score_N, own_N, prior, precision)
    if expected is None:
        with pytest.raises(ValueError, match=r"the best is|are needed"):
            domain_classifier.choose(score_N, own_N, weight_N, precision)
    else:
        found = domain_classifier.choose(score_N, own_N, weight_N, precision)
        assert found.threshold == expected
        assert found.called == (score_N > np.float32(expected)).sum()


def test_a_threshold_by_hand():
    # thirty own rows at 3, two others at 2, ten own at 1, one other at -1
    score_N = np.repeat([3, 2, 1, -1], [30, 2, 10, 1]).astype(np.float32)
    own_N = np.repeat([True, False, True, False], [30, 2, 10, 1])
    ones_N = np.ones(43)
    # above 0 are 40 of 42: 0.952; above 1 30 of 32: 0.9375; above 2 30 of 30
    assert domain_classifier.choose(score_N, own_N, ones_N, 0.95) == (0.0, 42, 40 / 42)
    assert domain_classifier.choose(score_N, own_N, ones_N, 0.96) == (2.0, 30, 1.0)
    mistaken_N = np.where(score_N == 2, np.float32(4), score_N)  # the others are the surest
    with pytest.raises(ValueError, match=r"best is 0\.9524, of the 42 rows above 0\.000"):
        domain_classifier.choose(mistaken_N, own_N, ones_N, 0.96)


def test_few_rows_above_show_no_precision():
    score_N = np.repeat([5, -1], [domain_classifier.LEAST - 1, 40]).astype(np.float32)
    with pytest.raises(ValueError, match="19 rows are called so at even odds, 20 are needed"):
        domain_classifier.choose(score_N, score_N > 0, np.ones(len(score_N)), 0.9)


def test_a_prior_weighs_the_domains():
    own_N = np.array([True] * 30 + [False] * 10)
    weight_N = domain_classifier.weights(own_N, 0.2)
    assert weight_N[own_N].sum() / weight_N.sum() == pytest.approx(0.2)
    stated = domain_classifier.described(
        domain_classifier.Stated(right=18, wrong=1, rows=20, others=20), 0.2
    )
    # 0.2 * 0.9 / (0.2 * 0.9 + 0.8 * 0.05)
    assert stated["precision"]["value"] == pytest.approx(0.18 / 0.22)
    plain = domain_classifier.described(
        domain_classifier.Stated(right=18, wrong=1, rows=20, others=20), None
    )
    assert plain["precision"]["value"] == 18 / 19
    assert plain["recall"]["value"] == 0.9


def test_scores_are_exact_sums_in_any_order_and_any_block():
    image_ND = unit_vectors(200, dim=64, seed=1)
    weight_D, offset = domain_classifier.exact(
        np.random.default_rng(2).standard_normal(64) * 7, 0.3
    )
    made = domain_classifier.Classifier(weight_D, offset, 0.1, {}, 0)
    whole_N = made.scores(image_ND)
    exact_N = [
        np.float32(
            float(sum(Fraction(float(x)) * Fraction(w) for x, w in zip(row, weight_D, strict=True)))
            + offset
        )
        for row in image_ND
    ]
    assert whole_N.tolist() == exact_N
    backwards = domain_classifier.Classifier(weight_D[::-1].copy(), offset, 0.1, {}, 0)
    assert backwards.scores(image_ND[:, ::-1].copy()).tolist() == exact_N
    for size in (1, 3, 64):
        parts = [made.scores(image_ND[at : at + size]) for at in range(0, 200, size)]
        assert np.concatenate(parts).tobytes() == whole_N.tobytes()


def test_parts_are_of_the_image_alone():
    keys = [f"{number:032x}" for number in range(4000)]
    part_N = domain_classifier.parts(keys, 0, 0.3)
    counts = Counter(part_N.tolist())
    assert counts[domain_classifier.FIT] == pytest.approx(2800, abs=120)
    assert counts[domain_classifier.CHOOSE] == pytest.approx(600, abs=90)
    # other rows and another order move none; copies stay together; another seed deals anew
    assert (
        domain_classifier.parts(keys[1000:][::-1], 0, 0.3).tolist() == part_N[1000:][::-1].tolist()
    )
    assert len(set(domain_classifier.parts([keys[5]] * 9, 0, 0.3).tolist())) == 1
    assert domain_classifier.parts(keys, 1, 0.3).tolist() != part_N.tolist()


@given(
    st.lists(st.integers(1, 40) | st.sampled_from([0.5, 1.25, 3.3]), min_size=1, max_size=3),
    st.integers(0, 300),
)
def test_apportioned_rows_add_up_and_never_fall(ratio, size):
    ratio = dict(enumerate(ratio))
    given, more = (domain_rule.apportion(ratio, rows) for rows in (size, size + 1))
    assert sum(given.values()) == size
    assert all(more[part] >= given[part] for part in ratio)
    # one row after the other, from none
    slow = dict.fromkeys(ratio, 0)
    for _ in range(size):
        slow[max(ratio, key=lambda part: Fraction(ratio[part]) / (2 * slow[part] + 1))] += 1
    assert given == slow
    whole = sum(Fraction(value) for value in ratio.values())
    for part, value in ratio.items():
        assert abs(given[part] - size * Fraction(value) / whole) < 1


def test_two_domains_are_the_largest_remainder():
    assert domain_rule.apportion({0: 3, 1: 1}, 4000) == {0: 3000, 1: 1000}
    assert domain_rule.apportion({0: 3, 1: 1}, 10) == {0: 8, 1: 2}  # 7.5 and 2.5: the first
    assert domain_rule.apportion({0: 2, 1: 1}, 10) == {0: 7, 1: 3}  # 6.67 and 3.33
    assert domain_rule.apportion({1: 0.3, 0: 0.7}, 10) == {1: 3, 0: 7}
    # LAION-scale sizes need no loop over rows
    assert sum(domain_rule.apportion({0: 7, 1: 5, 2: 3}, 400_000_001).values()) == 400_000_001


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(1, 5), st.integers(0, 9))
@settings(max_examples=60)
def test_mixes_have_the_size_and_are_nested(seed, one, other, draw):
    rng = np.random.default_rng(seed)
    base_N, answer_N = rng.random(400) < 0.8, rng.integers(0, 3, 400).astype(np.int8)
    ratio = {0: one, 2: other}
    names = ("a", "b", "ambiguous")
    have = domain_rule.counts(base_N, answer_N, names)
    most = domain_rule.largest(ratio, {0: have["a"], 2: have["ambiguous"]})
    whole_N = domain_rule.mix(base_N, answer_N, ratio, None, draw, names)
    assert whole_N.sum() == most
    before_N = np.zeros(400, bool)
    for size in range(1, most + 1, 7):
        kept_N = domain_rule.mix(base_N, answer_N, ratio, size, draw, names)
        found = domain_rule.counts(kept_N, answer_N, names)
        assert found == {
            "a": domain_rule.apportion(ratio, size)[0],
            "b": 0,
            "ambiguous": domain_rule.apportion(ratio, size)[2],
        }
        assert not (kept_N & ~base_N).any()
        assert not (before_N & ~kept_N).any()
        before_N = kept_N
    told = rf"{have['a']} a, \d+ of the {have['ambiguous']} ambiguous in the base; at most {most}"
    with pytest.raises(ValueError, match=told):
        domain_rule.mix(base_N, answer_N, ratio, most + 1, draw, names)


def test_rows_at_a_threshold_are_ambiguous():
    score_M = np.array([2, 1.5, 0, -1, -1.5], np.float32)
    assert domains.called(score_M, 1.5, -1.0).tolist() == [0, 2, 2, 2, 1]
    assert domains.called(score_M, 0.0, 0.0).tolist() == [0, 0, 2, 1, 1]
    with pytest.raises(ValueError, match="cross"):
        domains.called(score_M, -1.0, 1.0)


# ---- the stage, on real drawings: coloured ones, and their silhouettes


COUNT = 200  # drawings; three quarters are labelled rows, each as it is and as its silhouette


def described(pixels):
    """A stand-in for an encoder: a coarse picture, of length one, in 48 dimensions."""
    side = 4
    cut = pixels[: len(pixels) // side * side, : pixels.shape[1] // side * side].astype(np.float64)
    coarse = cut.reshape(side, len(cut) // side, side, -1, 3).mean((1, 3)).ravel() / 255 - 0.6
    return (coarse / np.linalg.norm(coarse)).astype(np.float16)


def silhouette(pixels):
    return np.where(pixels.min(-1, keepdims=True) < 250, 0, 255).repeat(3, -1).astype(np.uint8)


def write_set(name, items):
    samples = [
        dataset.Sample(
            key=f"{kind}_{icon}",
            image=encoded(pixels, "PNG"),
            extension="png",
            caption=icon,
            label=None,
            width=pixels.shape[1],
            height=pixels.shape[0],
            source=f"{kind}:{icon}",
        )
        for kind, icon, pixels in items
    ]
    dataset.write(layout.dataset(name), samples, shard_size=50, max_drop_fraction=0.0)
    made = manifest.read(layout.dataset(name))
    vectors = np.stack([described(pixels) for _, _, pixels in items])
    cuts = [vectors[at : at + 50] for at in range(0, len(vectors), 50)]
    embeddings.write(layout.embeddings("clip", name), cuts, made, "e" * 64)
    return made


def write_parameters(entry=ENTRY, **items):
    content = {
        "versions": yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())[
            "versions"
        ],
        "encoder": {"name": "clip", "run": "full-0"},
        "tests": {"val": {}},
        "datasets": {"pool": {}, "glyphs": {}, "renditions": {}},
        "domains": {"style": entry},
        "splits": {name: {"rule": "domain", "domain": "style", **SLOTS, **rule}
                   for name, rule in items.items()},
    }  # fmt: skip
    Path("params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


RULES = {
    "kept": {"keep": "glyphs"},
    "dropped": {"drop": ["renditions", "ambiguous"]},
    "without": {"drop": "second"},
    "mixed": {"mix": {"glyphs": 3, "renditions": 1}, "size": 20, "seed": 0},
    "smaller": {"mix": {"first": 3, "second": 1}, "size": 12, "seed": 0},
}


@pytest.fixture(scope="module")
def drawn():
    """Coloured icons, as they are and mirrored."""
    found = drawings(COUNT // 2)
    return [*found, *((f"{name} mirrored", pixels[:, ::-1]) for name, pixels in found)]


@pytest.fixture
def house(tmp_path, monkeypatch, drawn):
    """A pool of coloured drawings and silhouettes, and labelled rows of both."""
    monkeypatch.chdir(tmp_path)
    flat = [("flat", name, silhouette(pixels)) for name, pixels in drawn]
    colour = [("colour", name, pixels) for name, pixels in drawn]
    labelled = len(drawn) * 3 // 4
    write_set("glyphs", flat[:labelled])
    write_set("renditions", colour[:labelled])
    pool = write_set("pool", [*flat[labelled:], *colour[labelled:]])
    card = {"pool": pool.sha256, "pool_rows": len(pool)}
    split.write(layout.split("all"), np.arange(len(pool)), card=card)
    write_parameters(**RULES)
    return pool


def test_a_pool_is_told_apart_and_its_domains_are_kept_dropped_and_mixed(house):
    domain.main("style")
    found = domains.read(layout.domains("style"), pool=house.sha256)
    card = found.card
    assert sum(card["called"].values()) == len(house)
    answer_N = domain_rule.collect(len(house), found.called(rows=7))
    half = len(house) // 2
    # the pool's first half are silhouettes
    assert (answer_N[:half] != domains.SECOND).mean() > 0.8
    assert (answer_N[half:] != domains.FIRST).mean() > 0.8
    assert metrics.read(layout.metrics("domain", "style"))["called"] == card["called"]
    for name in RULES:
        prune.main(name)
    rows = {name: set(split.read(layout.split(name)).rows.tolist()) for name in RULES}
    assert rows["kept"] == rows["dropped"] == set(np.flatnonzero(answer_N == 0).tolist())
    assert rows["without"] == set(np.flatnonzero(answer_N != 1).tolist())
    assert Counter(answer_N[sorted(rows["mixed"])].tolist()) == {0: 15, 1: 5}
    assert rows["smaller"] < rows["mixed"]
    made = split.read(layout.split("mixed")).card
    assert made["domains"]["after"] == {"glyphs": 15, "renditions": 5, "ambiguous": 0}
    assert made["domains"]["before"] == card["called"]
    assert made["domains"]["stated"] == card["stated"]
    assert made["classifier"]["classifier"] == card["classifier"]
    assert metrics.read(layout.metrics("prune", "kept"))["domains"]["after"]["renditions"] == 0


def test_the_bytes_depend_on_no_block_and_no_second_run(house, monkeypatch):
    domain.main("style")
    first = contents(layout.domains("style"))
    monkeypatch.setattr(domain_learning, "BLOCK", 7)
    domain.main("style")
    assert contents(layout.domains("style")) == first


def test_stating_rows_decide_nothing(house):
    """Labels of the stating half turned around: the same classifier and thresholds."""
    stores = [embeddings.read(layout.embeddings("clip", name)) for name in ("glyphs", "renditions")]
    keys = [key for store in stores for key in domain_learning.identities(store)]
    image_ND = np.concatenate([store.all() for store in stores])
    first_N = np.arange(len(keys)) < len(stores[0])
    wanted = parse(ENTRY, Domain, "x")
    one, facts = domain_learning.learn(image_ND, first_N, keys, wanted)
    stating_N = (
        domain_classifier.parts(keys, wanted.seed, wanted.held_out) == domain_classifier.STATE
    )
    other, changed = domain_learning.learn(image_ND, first_N ^ stating_N, keys, wanted)
    assert (one.weight_D == other.weight_D).all()
    assert facts["thresholds"] == changed["thresholds"]
    assert facts["stated"] != changed["stated"]


def learnt(turned=0.0):
    """The stage's own step, with a share of the labels turned around."""
    stores = [embeddings.read(layout.embeddings("clip", name)) for name in ("glyphs", "renditions")]
    keys = [key for store in stores for key in domain_learning.identities(store)]
    first_N = np.arange(len(keys)) < len(stores[0])
    wrong_N = np.random.default_rng(0).random(len(keys)) < turned
    image_ND = np.concatenate([store.all() for store in stores])
    return domain_learning.learn(image_ND, first_N ^ wrong_N, keys, parse(ENTRY, Domain, "x"))


def test_noisy_labels_are_an_error_with_the_best_that_there_is(house):
    assert learnt()[1]["thresholds"]["first"] >= 0
    told = (
        r"first \(glyphs\), on \d+ held-out rows: no threshold has precision 0\.95; the best is 0\."
    )
    with pytest.raises(ValueError, match=told):
        learnt(turned=0.35)


def test_labelled_rows_that_are_too_few(house, drawn):
    write_set("glyphs", [("flat", name, silhouette(pixels)) for name, pixels in drawn[:40]])
    with pytest.raises(
        ValueError, match=r"\d+ choosing rows of glyphs, 20 are needed \(fitted: \d+ glyphs"
    ):
        domain.main("style")


def test_an_image_in_both_domains_is_an_error(house, drawn):
    write_set("glyphs", [("x", name, pixels) for name, pixels in drawn[:50]])
    with pytest.raises(ValueError, match=r"50 images are labelled rows of both glyphs \(50 rows\)"):
        domain.main("style")


def test_embeddings_of_another_encoder(house):
    other = manifest.read(layout.dataset("glyphs"))
    folder = layout.embeddings("clip", "glyphs")
    vectors = embeddings.read(folder).all()
    cuts = [vectors[at : at + 50] for at in range(0, len(vectors), 50)]
    embeddings.write(folder, cuts, other, "f" * 64)
    with pytest.raises(
        ValueError,
        match=r"glyphs: the embeddings. encoder is ffffffffffff…|of encoder ffffffffffff…",
    ):
        domain.main("style")


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("pool", "made from another pool"),
        ("classifier", r"classifier.json has hash .* the card says"),
        ("rows", "rows, the card says 1; run"),
        ("missing", "classifier.json: not found"),
    ],
)
def test_damaged_answers_are_not_used(house, fault, words):
    domain.main("style")
    folder = layout.domains("style")
    card = json.loads((folder / domains.CARD).read_text())
    if fault == "pool":
        write_json(folder / domains.CARD, {**card, "pool": "0" * 64})
    elif fault == "classifier":
        linear = (folder / domains.CLASSIFIER).read_text()
        (folder / domains.CLASSIFIER).write_text(linear.replace("1", "2", 1))
    elif fault == "rows":
        write_json(folder / domains.CARD, {**card, "pool_rows": 1})
    else:
        (folder / domains.CLASSIFIER).unlink()
    with pytest.raises((ValueError, FileNotFoundError), match=words):
        prune.main("kept")


def test_a_mix_of_more_rows_than_there_are(house):
    domain.main("style")
    write_parameters(big={"mix": {"glyphs": 1, "renditions": 1}, "size": 999, "seed": 0})
    with pytest.raises(
        ValueError, match=r"splits\.big: a mix of 999 rows takes 500 of the \d+ gly"
    ):
        prune.main("big")


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"keep": "glyphz"}, r"keep: unknown domain 'glyphz'; did you mean 'glyphs'"),
        ({"keep": "glyphs", "drop": "second"}, "has keep and drop"),
        ({}, "has none of them"),
        ({"keep": "glyphs", "size": 3}, "size and seed are of a mix"),
        ({"mix": {"glyphs": 1, "renditions": 1}, "size": 3}, "needs a seed"),
        ({"mix": {"glyphs": 0}, "seed": 0}, "greater than 0"),
        ({"drop": ["first", "second", "ambiguous"]}, "leaves nothing"),
        ({"keep": ["first", "glyphs"]}, "a domain comes twice"),
        ({"keep": "glyphs", "domain": "stile"}, "unknown entry 'stile'; did you mean 'style'"),
    ],
)
def test_wrong_rules_are_found_before_any_work(tmp_path, monkeypatch, rule, said):
    monkeypatch.chdir(tmp_path)
    write_parameters(wrong=rule)
    with pytest.raises(ValueError, match=said):
        rules.load("wrong")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"second": "glyphs"}, "two domains differ"),
        ({"second": "ambiguous"}, "has the name of an answer"),
        ({"precision": 0.5}, "greater than 0.5"),
        ({"regularisation": [0.1, 0.1]}, "twice"),
        ({"prior": 1.0}, "less than 1"),
    ],
)
def test_wrong_entries(change, said):
    with pytest.raises(ValueError, match=said):
        parse({**ENTRY, **change}, Domain, "params.yaml: domains.style")


def test_check_knows_the_data_sets(tmp_path):
    content = yaml.safe_load((Path(__file__).parents[2] / "params.yaml").read_text())
    content["domains"] = {"style": {**ENTRY, "first": "glyps", "second": "reference"}}
    content["datasets"]["glyphs"] = content["datasets"]["pool"]
    path = tmp_path / "params.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    with pytest.raises(ValueError, match=r"domains\.style\.first: unknown data set 'glyps'; did"):
        parameters.check(path)


def test_rules_in_words():
    said = {
        name: parse({"rule": "domain", "domain": "style", **SLOTS, **rule}, ByDomain, "").sentence()
        for name, rule in RULES.items()
    }
    assert said["kept"] == "domain: only rows of glyphs, as the classifier style calls them"
    assert said["dropped"].startswith("domain: all but rows of renditions and ambiguous, as")
    assert said["mixed"].startswith("domain: 20 rows of glyphs and renditions at 3:1, as the")
    assert said["mixed"].endswith("seed 0")


def test_a_store_without_hashes_counts_its_rows(tmp_path):
    made = make_dataset(tmp_path / "data", 3)
    store = embeddings.write(tmp_path / "clip/set", [unit_vectors(3)], made, "e" * 64)
    assert len(set(domain_learning.identities(store))) == 3
