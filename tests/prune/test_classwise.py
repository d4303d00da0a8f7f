"""Class-wise rules against cases worked by hand, against their definitions, and their promises."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clipcause.prune import by_class, members
from clipcause.prune.by_class import at_most, spread
from clipcause.prune.rules.balance import balance
from clipcause.prune.rules.classes import chosen, of_classes
from clipcause.prune.rules.match import match, targets
from clipcause.prune.rules.quota import quota
from clipcause.prune.rules.scale import scale
from clipcause.prune.rules.threshold import above
from clipcause.prune.rules.trim_tail import trim_tail
from clipcause.prune.sampling import sample
from clipcause.runtime.splitmix64 import outputs

NAMES = ("ant", "bee", "cat", "dog", "elk", "fox")
SEEDS = st.integers(0, 2**63 - 1)


def made(rows, classes=NAMES):
    """Matches of a list with the class ids of each row."""
    row = [row for row, ids in enumerate(rows) for _ in ids]
    ids = [classes.index(key) for ids in rows for key in ids]
    return members.sorted_by_id(classes, np.array(row, np.int64), np.array(ids, np.int32))


def keys(seed, count):
    return outputs(seed, np.arange(count)).tolist()


def rows_of(mask):
    return np.flatnonzero(mask).tolist()


def counted(rows, kept):
    """The class counts of the kept rows."""
    return {key: sum(key in rows[row] for row in kept) for key in NAMES}


@st.composite
def worlds(draw, most=3, outside=True):
    """A base of some rows, the classes of each of its rows (skewed: the first are common)."""
    ids = st.sampled_from([*NAMES[:2] * 4, *NAMES])
    rows = draw(st.lists(st.sets(ids, max_size=most).map(sorted), min_size=1, max_size=60))
    base = np.ones(len(rows), bool)
    if outside:
        base = np.array(draw(st.lists(st.booleans(), min_size=len(rows), max_size=len(rows))))
        base[draw(st.integers(0, len(rows) - 1))] = True
    return [ids if inside else [] for ids, inside in zip(rows, base, strict=True)], base


def taken_in_order(rows, room, seed):
    """The definition: one row after the other, by key."""
    left, kept, key = dict(room), [], keys(seed, len(rows))
    for row in sorted((row for row, ids in enumerate(rows) if ids), key=lambda row: key[row]):
        if all(left[one] > 0 for one in rows[row]):
            kept.append(row)
            for one in rows[row]:
                left[one] -= 1
    return sorted(kept)


@given(worlds(most=6), st.lists(st.integers(0, 9), min_size=6, max_size=6), SEEDS)
def test_rows_that_fit_are_those_of_the_sequential_rule(world, room, seed):
    rows, _ = world
    found = made(rows)
    kept = at_most(found.row_M, found.class_M, np.array(room), seed)
    assert kept.tolist() == taken_in_order(rows, dict(zip(NAMES, room, strict=True)), seed)


def test_long_chains_of_waiting_rows_are_decided():
    # each row shares a class with the next one, in the order of the keys
    count, seed = 200, 3
    order = np.argsort(keys(seed, count))
    ids = np.empty((count, 2), np.int32)
    ids[order] = np.stack([np.arange(count), np.arange(count) + 1], axis=1)
    row = np.repeat(np.arange(count), 2)
    room = np.ones(count + 1, np.int64)
    kept = at_most(row, np.sort(ids, axis=1).ravel(), room, seed)
    assert kept.tolist() == sorted(order[::2].tolist())


def test_trimmed_tail_by_hand():
    rows = [["ant"], ["bee"], ["ant", "bee"], ["ant"], ["cat"], [], ["cat"], ["ant"], ["bee"]]
    base = np.ones(9, bool)
    # ant 4, bee 3, cat 2: the tail of two are cat and bee
    kept, trimmed = trim_tail(base, made(rows), 2, 0, 7)
    assert trimmed == ["bee", "cat"]
    assert rows_of(kept) == [0, 3, 5, 7]
    kept, _ = trim_tail(base, made(rows), 2, 1, 7)
    key = keys(7, 9)
    one = {min(group, key=lambda row: key[row]) for group in ([1, 2, 8], [4, 6])}
    assert rows_of(kept) == sorted({0, 3, 5, 7} | one)
    assert base.all()


def test_equal_classes_of_a_tail_go_by_id_whatever_their_order():
    rows = [["dog"], ["bee"], ["cat"], ["cat"]]
    for order in (NAMES, NAMES[::-1]):
        kept, trimmed = trim_tail(np.ones(4, bool), made(rows, order), 1, 0, 0)
        assert trimmed == ["bee"]
        assert rows_of(kept) == [0, 2, 3]


@given(worlds(), st.data(), st.integers(0, 4), SEEDS)
def test_a_trimmed_tail_loses_only_rows_of_the_tail(world, data, most, seed):
    rows, base = world
    before = counted(rows, range(len(rows)))
    classes = [key for key in NAMES if before[key]]
    if not classes:
        return
    tail = data.draw(st.integers(1, len(classes)))
    kept, trimmed = trim_tail(base, made(rows), tail, most, seed)
    assert trimmed == sorted(sorted(classes, key=lambda key: (before[key], key))[:tail])
    for row in rows_of(base & ~kept):
        assert set(rows[row]) & set(trimmed)
    after = counted(rows, rows_of(kept))
    assert all(after[key] <= min(most, before[key]) for key in trimmed)
    assert (kept <= base).all()
    # one more a class takes nothing away where a row has one class
    if max(map(len, rows)) == 1:
        assert all(after[key] == min(most, before[key]) for key in trimmed)
        assert (kept <= trim_tail(base, made(rows), tail, most + 1, seed)[0]).all()


def test_a_tail_longer_than_the_classes_there_are():
    with pytest.raises(ValueError, match="a tail of 3 classes is more than the 2 that the base"):
        trim_tail(np.ones(2, bool), made([["ant"], ["bee"]]), 3, 1, 0)


def test_scale_by_hand():
    rows = [["ant"], ["ant"], ["ant"], ["ant"], ["bee"], ["bee"], [], []]
    key = keys(5, 8)
    kept, added = scale(np.ones(8, bool), made(rows), 0.25, 5)
    share = set(sorted(range(8), key=lambda row: key[row])[:2])
    first = {min(group, key=lambda row: key[row]) for group in ([0, 1, 2, 3], [4, 5])}
    assert set(rows_of(kept)) == share | first
    assert added == len(first - share)


@given(worlds(), st.lists(st.floats(0.001, 1), min_size=2, max_size=4), SEEDS)
def test_scale_is_nested_and_loses_no_class(world, shares, seed):
    rows, base = world
    found = made(rows)
    before = found.counts
    kept = [scale(base, found, share, seed) for share in sorted(shares)]
    for (smaller, _), (larger, _) in pairwise(kept):
        assert (smaller <= larger).all()
    for share, (one, added) in zip(sorted(shares), kept, strict=True):
        assert (one <= base).all()
        assert ((found.within(one) > 0) == (before > 0)).all()
        size = int(np.floor(share * base.sum() + 0.5))
        assert one.sum() == size + added
        assert added <= (before > 0).sum()
        if size:
            assert (sample(base, size, seed) <= one).all()
    assert (scale(base, found, 1.0, seed)[0] == base).all()


def test_match_by_hand():
    rows = [["ant"], ["ant"], ["ant"], ["bee"], ["cat"], ["bee"], []]
    found = made(rows)
    target = targets(found, {"ant": 2, "bee": 5, "zoo": 9}, None)
    assert target.tolist() == [2, 5, 0, 0, 0, 0]
    kept, short = match(np.ones(7, bool), found, target, 1)
    key = keys(1, 7)
    assert rows_of(kept) == sorted([*sorted([0, 1, 2], key=lambda row: key[row])[:2], 3, 5])
    assert short.tolist() == [0, 3, 0, 0, 0, 0]


def test_targets_by_largest_remainder():
    found = made([["ant"], ["bee"], ["cat"], ["dog"], []])
    # of 4: 1.6, 1.2, 1.2; of 2: .8, .6, .6, the tie by id
    assert targets(found, {"ant": 4, "bee": 3, "cat": 3}, 4).tolist()[:3] == [2, 1, 1]
    assert targets(found, {"ant": 4, "bee": 3, "cat": 3}, 2).tolist()[:3] == [1, 1, 0]
    with pytest.raises(ValueError, match="keep 5 is more than the 4 rows of the base with a class"):
        targets(found, {"ant": 4}, 5)


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"bees": 2, "wasp": 1}, r"none of the 2 classes to match .*'bees': did you mean 'bee'"),
        ({"bee": 0}, r"none of the 0 classes to match is a class here \(they have no rows\)"),
    ],
)
def test_class_counts_of_other_classes(wanted, message):
    with pytest.raises(ValueError, match=message):
        targets(made([["bee"]]), wanted, None)


@given(worlds(), st.dictionaries(st.sampled_from(NAMES), st.integers(1, 2**33)), st.data(), SEEDS)
def test_match_never_passes_a_target(world, wanted, data, seed):
    rows, base = world
    found = made(rows)
    labelled = sum(map(bool, rows))
    if not wanted or not labelled:
        return
    keep = data.draw(st.none() | st.integers(1, labelled))
    target = targets(found, wanted, keep)
    total = sum(wanted.values())
    if keep is not None:
        assert target.sum() == keep
        for key, count in zip(NAMES, target.tolist(), strict=True):
            assert abs(count - keep * wanted.get(key, 0) / total) < 1
    kept, short = match(base, found, target, seed)
    assert (kept <= base).all()
    after = found.within(kept)
    assert (after <= target).all()
    assert (after + short == target).all()
    if max(map(len, rows)) == 1:
        # as many as there are
        assert (after == np.minimum(target, found.counts)).all()
        if (found.counts >= target).all():
            assert kept.sum() == target.sum()


def above_in_parts(base, row, similarity, threshold):
    """The rule on scores that come in two parts, one of them empty."""
    parts = [(row, similarity), (row[:0], similarity[:0])]
    kept, scored = above(base, parts, threshold)
    assert rows_of(scored) == sorted({one for one in row.tolist() if base[one]})
    return kept


@given(worlds(), st.data(), SEEDS)
def test_quota_has_the_size_and_the_classes_of_a_part_of_the_base(world, data, seed):
    rows, base = world
    inside = np.flatnonzero(base).tolist()
    other = np.zeros_like(base)
    other[data.draw(st.sets(st.sampled_from(inside)).map(sorted))] = True
    wanted = made([ids if there else [] for ids, there in zip(rows, other, strict=True)])
    kept = quota(base, made(rows), other, wanted, outputs(seed, np.array(inside)))
    # the definition: of every set of classes as many rows, those with the smallest keys
    expected, key = [], keys(seed, len(rows))
    for ids in {tuple(rows[row]) for row in inside}:
        alike = sorted((r for r in inside if tuple(rows[r]) == ids), key=lambda row: key[row])
        expected += alike[: sum(other[row] for row in alike)]
    assert rows_of(kept) == sorted(expected)


def test_quota_makes_up_for_what_a_base_lacks_with_rows_of_no_class():
    rows = [["ant"], ["ant"], ["bee"], [], [], []]
    base = np.array([False, True, True, True, True, False])
    other = np.array([True, True, False, False, False, True])  # two ants, one of no class
    found = made([ids if there else [] for ids, there in zip(rows, base, strict=True)])
    wanted = made([ids if there else [] for ids, there in zip(rows, other, strict=True)])
    assert rows_of(quota(base, found, other, wanted, outputs(0, np.flatnonzero(base)))) == [1, 3, 4]
    with pytest.raises(ValueError, match="5 rows are wanted, and the base has 4"):
        quota(base, found, np.arange(6) < 5, made(rows[:5]), outputs(0, np.flatnonzero(base)))


def test_above_is_strict_and_takes_the_largest():
    base = np.array([True, True, True, False, True])
    row = np.array([0, 0, 1, 2, 3])
    similarity = np.array([0.1, 0.9, 0.5, 0.75, 0.9], np.float32)
    assert rows_of(above_in_parts(base, row, similarity, 0.5)) == [0, 2]
    assert rows_of(above_in_parts(base, row, similarity, 0.75)) == [0]
    # float32(0.1) is above 0.1
    assert rows_of(above_in_parts(base, row, np.full(5, 0.1, np.float32), 0.1)) == [0, 1, 2]
    assert rows_of(above_in_parts(base, row, similarity, 0.9)) == []


@given(st.lists(st.tuples(st.integers(0, 9), st.floats(-1, 1, width=32))), st.floats(-1, 1))
def test_above_compares_the_largest_of_a_row(scores, threshold):
    scores.sort()
    row = np.array([row for row, _ in scores], np.int64)
    similarity = np.array([value for _, value in scores], np.float32)
    largest = {one: max(value for row, value in scores if row == one) for one, _ in scores}
    expected = sorted(row for row, value in largest.items() if value > threshold)
    assert rows_of(above_in_parts(np.ones(10, bool), row, similarity, threshold)) == expected


def test_classes_by_hand():
    rows = [["ant"], ["bee", "cat"], ["cat"], [], ["ant", "bee"]]
    base = np.ones(5, bool)
    found = made(rows)
    assert chosen(found, "any", None) == ["ant", "bee", "cat"]
    kept, others = of_classes(base, found, ["ant", "bee", "cat"])
    assert (rows_of(kept), others) == ([0, 1, 2, 4], 0)
    assert chosen(found, ["bee", "ant", "dog"], None) == ["ant", "bee", "dog"]
    kept, others = of_classes(base, found, ["bee"])
    assert (rows_of(kept), others) == ([1, 4], 2)
    assert found.without_rows(["ant", "dog"]) == ["dog"]
    assert len(chosen(found, 2, 0)) == 2
    assert len(chosen(found, 0.5, 0)) == 2  # 1.5 classes, rounded to 2


@pytest.mark.parametrize(
    ("take", "seed", "message"),
    [
        (["ant", "bea"], None, "unknown class 'bea'; did you mean 'bee'"),
        (4, 0, "take 4: 4 of the 3 classes with rows in the base"),
        (0.1, 0, "take 0.1: 0 of the 3 classes"),
        (2, None, "need a seed"),
    ],
)
def test_classes_that_cannot_be(take, seed, message):
    found = made([["ant"], ["bee", "cat"]])
    with pytest.raises(ValueError, match=message):
        chosen(found, take, seed)


@given(worlds(), SEEDS, st.data())
def test_drawn_classes_are_nested_and_depend_on_no_other_class(world, seed, data):
    rows, _ = world
    found = made(rows)
    listed = chosen(found, "any", None)
    if not listed:
        return
    size = data.draw(st.integers(1, len(listed)))
    drawn = chosen(found, size, seed)
    assert len(drawn) == size
    assert set(chosen(found, data.draw(st.integers(1, size)), seed)) <= set(drawn)
    more = made([*rows, ["gnu"]], (*NAMES, "gnu"))
    assert set(chosen(more, size, seed)) <= {*drawn, "gnu"}


@given(worlds(), st.integers(1, 20), SEEDS)
def test_balance_keeps_the_tail_whole_and_nothing_without_a_class(world, most, seed):
    rows, base = world
    found = made(rows)
    kept = balance(base, found, most, seed)
    before = counted(rows, range(len(rows)))
    for row, ids in enumerate(rows):
        if any(before[key] <= most for key in ids):
            assert kept[row]
        if not ids:
            assert not kept[row]
    # whether a match fires depends on no other class, so that a larger t loses no row
    assert (kept <= balance(base, found, most + 1, seed)).all()


def test_balance_fires_as_often_as_it_says():
    # 40,000 rows of ant alone, 10,000 of ant and bee, 100 of cat
    rows = [["ant"]] * 40_000 + [["ant", "bee"]] * 10_000 + [["cat"]] * 100
    found, base = made(rows), np.ones(50_100, bool)
    for seed in (0, 1):
        kept = balance(base, found, 5_000, seed)
        parts = [kept[:40_000].sum(), kept[40_000:50_000].sum(), kept[50_000:].sum()]
        # p(ant) .1, p(bee) .5: a row of both stays with probability 1 - .9 x .5
        assert abs(parts[0] - 4_000) < 5 * 60
        assert abs(parts[1] - 5_500) < 5 * 49.8
        assert parts[2] == 100
    assert (kept != balance(base, found, 5_000, 0)).any()


@given(worlds(), SEEDS, st.permutations(NAMES))
def test_no_rule_depends_on_the_order_of_classes(world, seed, order):
    rows, base = world
    if not any(rows):
        return
    results = []
    for classes in (NAMES, tuple(order)):
        found = made(rows, classes)
        results.append(
            [
                trim_tail(base, found, 1, 1, seed)[0],
                scale(base, found, 0.3, seed)[0],
                balance(base, found, 2, seed),
                match(base, found, found.counts // 2, seed)[0],
                of_classes(base, found, chosen(found, 1, seed))[0],
            ]
        )
    for one, other in zip(*results, strict=True):
        assert (one == other).all()


def test_blocks_of_matches_make_no_difference(monkeypatch):
    rows = [[NAMES[row * row % 6], NAMES[row % 2]] for row in range(50)]
    rows = [sorted(set(ids)) for ids in rows]
    found, base = made(rows), np.ones(50, bool)
    whole = [
        scale(base, found, 0.1, 2)[0],
        balance(base, found, 9, 2),
        match(base, found, found.counts // 3, 2)[0],
    ]
    monkeypatch.setattr(by_class, "BLOCK", 7)
    parts = [
        scale(base, found, 0.1, 2)[0],
        balance(base, found, 9, 2),
        match(base, found, found.counts // 3, 2)[0],
    ]
    for one, other in zip(whole, parts, strict=True):
        assert (one == other).all()


def test_spread_leaves_out_classes_without_rows():
    assert spread(np.array([0, 4, 1, 9, 0])) == {
        "classes": 3,
        "most": 9,
        "median": 4.0,
        "least": 1,
    }
    assert spread(np.zeros(3, np.int64)) == {"classes": 0}


def test_matches_are_checked():
    row = np.array([0, 0, 1])
    with pytest.raises(ValueError, match="1 classes come twice"):
        members.sorted_by_id(("a", "a"), row, np.zeros(3, np.int32))
    with pytest.raises(ValueError, match="do not ascend"):
        members.sorted_by_id(("a",), row[::-1].copy(), np.zeros(3, np.int32))
