"""The prune stage's class-wise rules on a small pool: what they read, their cards, bad input."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from clipcause.captions import frequency, relevance
from clipcause.config import layout
from clipcause.prune import members, rules, split
from clipcause.prune.by_class import spread
from clipcause.runtime import metrics
from clipcause.runtime.splitmix64 import outputs
from stages import prune
from tests.artifacts_samples import contents, make_dataset

SLOTS = {"base": "all", "of": "none", "with": "none"}
ANT, BEE, CAT, ELK = "ant", "bee", "cat", "elk"
LABELS = [ANT, ANT, ANT, ANT, ANT, ANT, BEE, BEE, BEE, CAT, None, None]
REFERENCE = [ANT, BEE, BEE, CAT, CAT, CAT]
# captions mention: rows and classes, in the order of a list that does not go by id
LISTED = (CAT, ANT, ELK, BEE)
MENTIONS = [(0, ANT), (1, ANT), (2, CAT), (2, ANT), (3, BEE), (6, CAT), (10, BEE), (11, ANT)]
SIMILARITY = [0.9, 0.2, 0.1, 0.8, 0.5, 0.7, 0.4, 0.6]
LABEL = {"by": "label", "seed": 3}
MENTION = {"by": "mention", "seed": 3}


def write_parameters(items, **changes):
    content = {
        "reference": "reference",
        "classes": "few",
        "encoder": {"name": "clip", "run": "full-0"},
        "tests": {},
        "splits": {name: {**SLOTS, **item} for name, item in items.items()},
        **changes,
    }
    Path("params.yaml").write_text(yaml.safe_dump(content))


def arrays(listed=LISTED):
    pairs = sorted((row, listed.index(key)) for row, key in MENTIONS)
    row, at = (np.array(part) for part in zip(*pairs, strict=True))
    return row, at


@pytest.fixture
def house(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    pool = make_dataset(layout.dataset("pool"), labels=LABELS).sha256
    make_dataset(layout.dataset("reference"), labels=REFERENCE)
    card = {"pool": pool, "pool_rows": len(LABELS)}
    split.write(layout.split("all"), np.arange(len(LABELS)), card=card)
    write_mentions(pool)
    return pool


def write_mentions(pool, listed=LISTED):
    row, at = arrays(listed)
    counts = frequency.Frequency(listed, listed, np.bincount(at, minlength=4))
    card = {"pool": pool, "classes": "few", "matcher": "bag", "wordnet": "w" * 64}
    frequency.write(layout.frequency("few"), counts, [(row, at)], card)


def write_relevance(pool):
    row, at = arrays()
    part = relevance.Part(row, at, np.array(SIMILARITY, np.float32))
    card = {"pool": pool, "definitions": "wordnet", "encoder": "e" * 64, "wordnet": "w" * 64}
    relevance.write(layout.relevance("few"), LISTED, [part], card)


def made(**items):
    """Write the splits in order; the last one."""
    write_parameters(items)
    for name in items:
        prune.main(name)
    return split.read(layout.split(list(items)[-1]))


def first(rows, count, seed=3):
    """The rows with the smallest keys."""
    key = outputs(seed, np.arange(len(LABELS))).tolist()
    return sorted(rows, key=lambda row: key[row])[:count]


def test_a_tail_is_trimmed_and_named(house):
    found = made(trimmed={"rule": "trim_tail", "tail": 2, "most": 1, **LABEL})
    assert found.rows.tolist() == sorted([*range(6), *first([6, 7, 8], 1), 9, 10, 11])
    assert found.card["trimmed"] == [BEE, CAT]
    assert found.card["class_counts"] == {
        "before": {"classes": 3, "most": 6, "median": 3.0, "least": 1},
        "after": {"classes": 3, "most": 6, "median": 1.0, "least": 1},
    }
    assert metrics.read(layout.metrics("prune", "trimmed")) == {
        "kept": 10,
        "removed": 2,
        "share_of_base": 0.833333,
        "share_of_pool": 0.833333,
        "class_counts": found.card["class_counts"],
        "trimmed": 2,
    }


def test_a_tail_by_mention_of_a_split_of_labelled_rows(house):
    labelled = {"rule": "classes", "by": "label", "take": "any"}
    trimmed = {"rule": "trim_tail", "tail": 1, "most": 0, **MENTION, "base": "labelled"}
    # the labelled rows mention ant three times, cat twice, bee once (row 3)
    found = made(labelled=labelled, trimmed=trimmed)
    assert found.rows.tolist() == [0, 1, 2, 4, 5, 6, 7, 8, 9]
    assert found.card["base"] == "labelled"
    assert found.card["base_rows"] == 10
    assert found.card["trimmed"] == [BEE]
    assert found.card["frequency"] == {"classes": "few", "matcher": "bag", "wordnet": "w" * 64}
    assert found.card["pool"] == house


def test_scale_keeps_a_row_of_each_class(house):
    found = made(quarter={"rule": "scale", "share": 0.25, **LABEL})
    groups = [range(6), range(6, 9), [9]]
    ones = {row for group in groups for row in first(group, 1)}
    assert set(found.rows.tolist()) == set(first(range(12), 3)) | ones
    assert found.card["added_for_classes"] == len(found) - 3
    assert found.card["class_counts"]["after"]["classes"] == 3
    whole = made(whole={"rule": "scale", "share": 1, **LABEL})
    assert len(whole) == 12


def test_match_with_the_reference(house, capsys):
    found = made(matched={"rule": "match", "to": "reference", **LABEL})
    # the reference has 1 ant, 2 bees, 3 cats; the pool has one cat
    assert found.rows.tolist() == sorted([*first(range(6), 1), *first([6, 7, 8], 2), 9])
    assert {key: found.card[key] for key in ("target", "shortfall", "short_classes")} == {
        "target": 6,
        "shortfall": 2,
        "short_classes": {CAT: 2},
    }
    assert "1 of 3 classes are 2 rows short of their targets" in capsys.readouterr().err


def test_match_with_a_split_scaled(house, capsys):
    half = {"rule": "random", "keep": 0.5, "seed": 1}
    found = made(half=half, matched={"rule": "match", "of": "half", "keep": 3, **LABEL})
    assert len(found) == 3 - found.card["shortfall"]
    assert found.card["target"] == 3
    assert found.card["unknown_classes"] == 0
    same = made(half=half, matched={"rule": "match", "of": "half", **LABEL})
    names = [LABELS[row] for row in split.read(layout.split("half")).rows if LABELS[row]]
    assert sorted(str(LABELS[row]) for row in same.rows) == sorted(names)
    assert capsys.readouterr().err.count("short") == bool(found.card["shortfall"])


def test_quota_has_the_size_and_class_counts_of_a_split(house):
    half = {"rule": "random", "keep": 0.5, "seed": 1}
    quota = {"rule": "quota", "of": "half", "by": "label"}
    found = made(half=half, same={**quota, "seed": 0})
    other = split.read(layout.split("half")).rows
    assert len(found) == len(other)
    assert sorted(str(LABELS[row]) for row in found.rows) == sorted(str(LABELS[r]) for r in other)
    assert (found.card["difference"], found.card["difference_by_class"]) == (0, {})
    assert found.card["shared_rows"] == len({*found.rows.tolist()} & {*other.tolist()})


def test_a_quota_that_draws_the_split_itself_is_told(house):
    """`match` and `quota` draw by the same keys of a seed, so that a quota of its seed, and of its
    classes alone, is the very split, and no control of it."""
    matched = {"rule": "match", "keep": 4, "to": "reference", **LABEL}
    make_dataset(layout.dataset("reference"), labels=[ANT, BEE])
    quota = {"rule": "quota", "of": "matched", "by": "label"}
    with pytest.raises(ValueError, match=r"splits\.same: the draw of seed 3 is matched itself"):
        made(matched=matched, same={**quota, "seed": 3})
    assert made(matched=matched, same={**quota, "seed": 1}).card["shared_rows"] < 4
    # a class that is kept whole leaves no choice
    whole = {"rule": "classes", "by": "label", "take": [BEE]}
    assert len(made(whole=whole, same={**quota, "of": "whole", "seed": 0})) > 0


def test_match_counts_classes_that_the_pool_has_not(house, capsys):
    make_dataset(layout.dataset("reference"), labels=[BEE, "wasp", "gnu"])
    found = made(matched={"rule": "match", "to": "reference", **LABEL})
    assert found.rows.tolist() == first([6, 7, 8], 1)
    assert found.card["unknown_classes"] == 2
    assert (
        "2 of 3 classes to match are no classes of the pool, first gnu" in capsys.readouterr().err
    )


def test_classes_by_mention(house, capsys):
    found = made(any={"rule": "classes", "by": "mention", "take": "any"})
    assert found.rows.tolist() == [0, 1, 2, 3, 6, 10, 11]
    assert found.card["taken"] == [ANT, BEE, CAT]
    assert found.card["rows_of_others_too"] == 0
    found = made(some={"rule": "classes", "by": "mention", "take": [CAT, ELK]})
    assert found.rows.tolist() == [2, 6]
    assert found.card["rows_of_others_too"] == 1
    assert found.card["taken_without_rows"] == [ELK]
    assert "1 classes of take have no rows in the base, first elk" in capsys.readouterr().err
    found = made(two={"rule": "classes", "take": 2, **MENTION})
    assert len(found.card["taken"]) == 2


def test_balance(house):
    found = made(balanced={"rule": "balance", "most": 3, **LABEL})
    assert {6, 7, 8, 9} <= set(found.rows.tolist()) <= set(range(10))
    assert found.card["classes_kept_whole"] == 2
    assert found.card["class_counts"]["after"]["classes"] >= 2
    found = made(balanced={"rule": "balance", "most": 3, **MENTION})
    assert found.card["classes_kept_whole"] == 2  # elk has no rows


def test_threshold(house):
    write_relevance(house)
    found = made(close={"rule": "threshold", "above": 0.5})
    # row 2 mentions a cat (.1) and an ant (.8); row 3 is at the threshold
    assert found.rows.tolist() == [0, 2, 6, 11]
    assert (found.card["scored"], found.card["above"]) == (7, 4)
    assert found.card["relevance"] == {
        "pool": house,
        "definitions": "wordnet",
        "encoder": "e" * 64,
        "wordnet": "w" * 64,
    }
    found = made(close={"rule": "threshold", "above": 0.5, "keep": 2, "seed": 3})
    assert found.rows.tolist() == sorted(first([0, 2, 6, 11], 2))
    pair = {"rule": "random", "keep": 2, "seed": 1}
    found = made(pair=pair, close={"rule": "threshold", "above": 0.5, "of": "pair", "seed": 3})
    assert found.rows.tolist() == sorted(first([0, 2, 6, 11], 2))


def test_bytes_repeat_and_the_list_has_no_order(house):
    write_relevance(house)
    items = {
        "trimmed": {"rule": "trim_tail", "tail": 2, "most": 1, **MENTION},
        "balanced": {"rule": "balance", "most": 2, **MENTION},
        "quarter": {"rule": "scale", "share": 0.25, **MENTION},
        "two": {"rule": "classes", "take": 2, **MENTION},
        "matched": {"rule": "match", "to": "reference", "keep": 3, **MENTION},
        "close": {"rule": "threshold", "above": 0.3, "keep": 3, "seed": 1},
    }
    made(**items)
    before = contents(Path("splits"))
    write_mentions(house, LISTED[::-1])
    made(**items)
    assert contents(Path("splits")) == before


@pytest.mark.parametrize(
    ("item", "message"),
    [
        (
            {"rule": "trim_tail", "tail": 4, "most": 1, **LABEL},
            r"splits\.x: a tail of 4 classes is more than the 3 that the base has rows of",
        ),
        ({"rule": "trim_tail", "tail": 0, "most": 1, **LABEL}, "greater than or equal to 1"),
        ({"rule": "trim_tail", "tail": 1, "most": -1, **LABEL}, "greater than or equal to 0"),
        ({"rule": "trim_tail", "tail": 1, **LABEL}, r"x\.most: missing"),
        ({"rule": "trim_tial", "tail": 1}, "unknown rule 'trim_tial'; did you mean 'trim_tail'"),
        ({"rule": "scale", "share": 0.0, **LABEL}, "greater than 0"),
        ({"rule": "scale", "share": 1.5, **LABEL}, "less than or equal to 1"),
        (
            {"rule": "scale", "share": 0.5, "by": "lable", "seed": 0},
            "'lable' is not valid; did you mean 'label'",
        ),
        ({"rule": "match", **LABEL}, "either a split .of. or to: reference, not both"),
        ({"rule": "match", "of": "all", "to": "reference", **LABEL}, "not both"),
        (
            {"rule": "match", "to": "reference", "keep": 11, **LABEL},
            "keep 11 is more than the 10 rows of the base with a class",
        ),
        ({"rule": "balance", "most": 0, **LABEL}, "greater than or equal to 1"),
        ({"rule": "classes", "by": "label", "take": 2}, "drawn need a seed"),
        *(
            (
                {"rule": "classes", "take": take, **LABEL},
                r"x\.take: take is any, a number .* but was",
            )
            for take in ("all", True, [], 0, 1.5, [3], None)
        ),
        ({"rule": "classes", "take": 4, **LABEL}, "take 4: 4 of the 3 classes"),
        (
            {"rule": "classes", "take": ["bea"], **LABEL},
            r"x: take: unknown class 'bea'; did you mean 'bee'",
        ),
        ({"rule": "classes", "take": [ANT, ANT], **LABEL}, "a class comes twice in take"),
        ({"rule": "classes", "take": [ELK], **MENTION}, "classes keeps none of the base's 12 rows"),
        ({"rule": "threshold", "above": 0.5, "keep": 1}, "needs a seed"),
        ({"rule": "threshold", "above": 0.5, "keep": 1, "of": "all", "seed": 0}, "not both"),
        (
            {"rule": "threshold", "above": 0.5, "keep": 5, "seed": 0},
            "5 rows are to stay, 4 are above 0.5",
        ),
        ({"rule": "threshold", "above": 0.95}, "threshold keeps none of the base's 12 rows"),
        ({"rule": "none", "base": "al"}, r"x\.base: unknown split 'al'; did you mean 'all'"),
        ({"rule": "none", "base": "none"}, r"x\.base: unknown split 'none'"),
        ({"rule": "none", "base": "x"}, r"x\.base: a split cannot refer to itself"),
    ],
)
def test_bad_parameters_are_named_and_leave_nothing(house, item, message):
    write_relevance(house)
    write_parameters({"x": item})
    with pytest.raises(ValueError, match=message):
        prune.main("x")
    assert not layout.split("x").exists()
    assert not layout.metrics("prune", "x").exists()


def test_circles_through_bases_are_found_and_chains_are_none(house):
    chain = {f"s{at}": {"rule": "none", "base": f"s{at - 1}" if at else "all"} for at in range(30)}
    write_parameters(chain)
    assert len(rules.load_all()) == 30
    write_parameters({**chain, "s0": {"rule": "union", "of": "all", "with": "s3"}})
    with pytest.raises(ValueError, match="refers to itself: s0 -> s3 -> s2 -> s1 -> s0"):
        rules.load_all()


def test_a_threshold_without_definitions_is_found_before_any_work(house):
    items = {"close": {"rule": "threshold", "above": 0.5}}
    write_parameters(items, relevance={"definitions": "none"})
    with pytest.raises(ValueError, match=r"splits\.close: .*relevance\.definitions is none"):
        rules.load_all()
    write_parameters(items, relevance={"definitions": "wordnet"})
    assert list(rules.load_all()) == ["close"]
    relevance.write(layout.relevance("few"), (), [], {"pool": house, "definitions": "none"})
    with pytest.raises(ValueError, match=r"splits\.close: .*set it to wordnet"):
        prune.main("close")


def test_a_pool_without_labels_and_matches_of_another(house):
    base = np.ones(4, bool)
    make_dataset(Path("other"), labels=[None] * 4)
    with pytest.raises(ValueError, match="no row has a label"):
        members.by_label(Path("other"), base)
    with pytest.raises(ValueError, match="pool: 12 rows, the splits are of 4"):
        members.by_label(layout.dataset("pool"), base)
    with pytest.raises(ValueError, match="frequency/few: made from another pool"):
        members.by_mention(layout.frequency("few"), base, "another")
    with pytest.raises(ValueError, match="matches are not of a pool of 4 rows"):
        members.by_mention(layout.frequency("few"), base, house)
    write_parameters({"x": {"rule": "match", "to": "reference", **LABEL}})
    make_dataset(layout.dataset("reference"), labels=["wasp", "gnu"])
    with pytest.raises(ValueError, match=r"splits\.x: none of the 2 classes to match is a class"):
        prune.main("x")


def test_matches_are_those_of_the_base(house):
    base = np.zeros(12, bool)
    base[[1, 2, 7, 10]] = True
    found = members.by_label(layout.dataset("pool"), base)
    assert found.classes == (ANT, BEE, CAT)
    assert found.row_M.tolist() == [1, 2, 7]
    assert found.counts.tolist() == [2, 1, 0]
    found = members.by_mention(layout.frequency("few"), base, house)
    assert found.classes == (ANT, BEE, CAT, ELK)
    pairs = zip(found.row_M.tolist(), found.class_M.tolist(), strict=True)
    assert sorted((row, found.classes[at]) for row, at in pairs) == [
        (1, ANT),
        (2, ANT),
        (2, CAT),
        (10, BEE),
    ]
    assert spread(found.counts)["classes"] == 3


def test_the_command_says_what_is_short(house):
    write_parameters({"matched": {"rule": "match", "to": "reference", **LABEL}})
    environment = {**os.environ, "PYTHONPATH": str(Path(prune.__file__).parents[1])}
    command = [sys.executable, "-m", "stages.prune", "matched"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.stdout.startswith("prune matched: 4 of 12 rows kept (33.3% of all)")
    assert done.stderr == "prune: 1 of 3 classes are 2 rows short of their targets\n"
