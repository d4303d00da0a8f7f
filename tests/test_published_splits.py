"""The committed splits are what their parameters say: read from the repository, by other means.

Nothing here asks the rules that made them. Random numbers are made anew, of plain integers; rows
that a rule ranks are looked at in two studies that cut the same order elsewhere. What needs
captions or vectors, which are not in the repository, is not seen: `tests/prune` has that.
"""

import json
from functools import cache
from itertools import combinations, pairwise
from math import sqrt
from pathlib import Path

import pytest
import yaml
from pyroaring import BitMap

ROOT = Path(__file__).parents[1]
BLOBS = ROOT / "published/files/md5"
DEFAULT, CURATION, SHARES = ".", "studies/icons-curation", "studies/icons-curation-shares"
STUDIES = (DEFAULT, CURATION, SHARES)
WORD = 2**64 - 1
GAMMA = 0x9E3779B97F4A7C15


def blob(md5):
    path = BLOBS / md5[:2] / md5[2:]
    assert path.exists(), f"{md5}: run `python -m clipcause publish` in its study's folder"
    return path.read_bytes()


@cache
def items(study):
    """The entries of `splits`."""
    return yaml.load((ROOT / study / "params.yaml").read_text(), yaml.CSafeLoader)["splits"]


@cache
def splits(study):
    """Rows and card of every split of the pool, the bases too, by name."""
    stages = yaml.load((ROOT / study / "dvc.lock").read_text(), yaml.CSafeLoader)["stages"]
    found = {}
    for stage in stages.values():
        for out in stage.get("outs", ()):
            top, name, data = [*Path(out["path"]).parts, "", ""][:3]
            if (top, data) == ("splits", "pool"):
                files = {one["relpath"]: one["md5"] for one in json.loads(blob(out["md5"]))}
                rows = BitMap.deserialize(blob(files["rows.roaring"]))
                found[name] = rows, json.loads(blob(files["card.json"]))
    return found


def rows(study, name):
    return splits(study)[name][0]


def of_rule(study, *rules):
    return [(name, item) for name, item in items(study).items() if item["rule"] in rules]


def mixed(word):
    """SplitMix64's finaliser (Steele, Lea, Flood, OOPSLA 2014)."""
    word = ((word ^ word >> 30) * 0xBF58476D1CE4E5B9) & WORD
    word = ((word ^ word >> 27) * 0x94D049BB133111EB) & WORD
    return word ^ word >> 31


@cache
def shuffled(seed):
    """The base in the order of the keys of a seed."""
    start = mixed((seed * GAMMA + GAMMA) & WORD)
    return sorted(rows(DEFAULT, "dedup"), key=lambda row: mixed((start + (row + 1) * GAMMA) & WORD))


@pytest.mark.parametrize("study", STUDIES)
def test_every_split_is_there_in_its_base_and_as_its_card_and_metrics_say(study):
    assert rows(study, "dedup") == rows(DEFAULT, "dedup")
    assert {*items(study)} <= {*splits(study)}
    for name, item in items(study).items():
        kept, card = splits(study)[name]
        base = rows(study, item["base"])
        assert kept <= base, name
        assert (card["kept"], card["removed"]) == (len(kept), len(base) - len(kept)), name
        metrics = json.loads((ROOT / study / f"metrics/prune/{name}.json").read_text())
        assert metrics.items() <= card.items(), name


@pytest.mark.parametrize("study", STUDIES)
def test_random_controls_are_the_first_rows_of_a_shuffled_base(study):
    for name, item in of_rule(study, "random"):
        drawn = shuffled(item["seed"])[: len(rows(study, item["of"]))]
        assert rows(study, name) == BitMap(drawn), name


@pytest.mark.parametrize("study", STUDIES)
def test_draws_of_a_control_are_of_other_seeds_and_have_no_more_in_common_than_chance(study):
    families = {}
    for name, item in of_rule(study, "random", "quota"):
        families.setdefault((item["rule"], item["of"]), []).append((name, item["seed"]))
    base = len(rows(study, "dedup"))
    for (rule, of), draws in families.items():
        assert len({seed for _, seed in draws}) == len(draws) >= 3, of
        for (one, _), (other, _) in combinations(draws, 2):
            a, b = rows(study, one), rows(study, other)
            assert a != b, (one, other)
            if rule == "random":
                size = len(a)
                spread = sqrt(size**2 * (base - size) ** 2 / base**2 / (base - 1))
                assert abs(len(a & b) - size * size / base) < 4 * spread, (one, other)


@pytest.mark.parametrize("study", STUDIES)
def test_quota_controls_have_the_size_and_all_draws_the_same_class_counts(study):
    counts = {}
    for name, item in of_rule(study, "quota"):
        kept, card = splits(study)[name]
        other = rows(study, item["of"])
        assert len(kept) == len(other), name
        assert kept != other, name
        assert card["shared_rows"] == len(kept & other), name
        assert card["difference"] == 0, name
        counts.setdefault(item["of"], []).append(card["class_counts"])
    for of, found in counts.items():
        assert found == [found[0]] * len(found), of


def test_no_control_draws_by_the_seed_of_what_it_controls():
    for study in STUDIES:
        for name, item in of_rule(study, "random", "quota"):
            # `balance` mixes the class into its keys, so that its seed is another one's
            of = items(study)[item["of"]]
            assert of["rule"] == "balance" or of.get("seed") != item["seed"], name


def test_a_method_keeps_the_same_rows_and_more_at_a_larger_share():
    for _, item in of_rule(SHARES, "signal", "where", "near", "core"):
        key = {one: item[one] for one in item if one != "keep"}
        found = [
            (other["keep"], rows(study, name))
            for study in (SHARES, CURATION)
            for name, other in items(study).items()
            if other.get("keep") and {one: other[one] for one in other if one != "keep"} == key
        ]
        found.sort(key=lambda pair: pair[0])
        assert [keep for keep, _ in found] == [0.25, 0.5, 0.75]
        assert all(few < more for (_, few), (_, more) in pairwise(found))
        base = len(rows(SHARES, "dedup"))
        assert [len(kept) for _, kept in found] == [base * keep for keep, _ in found]


def test_near_and_core_share_the_base_between_them():
    base = rows(DEFAULT, "dedup")
    shared = [(CURATION, "near", CURATION, "core")]
    shared += [(SHARES, "near-25", SHARES, "core-75"), (SHARES, "near-75", SHARES, "core-25")]
    for one, near, other, core in shared:
        assert rows(one, near) | rows(other, core) == base
        assert not rows(one, near) & rows(other, core)


def test_hulls_hold_one_another_and_each_removes_what_the_card_says():
    assert rows(DEFAULT, "combined") < rows(DEFAULT, "hull-sketch")
    assert rows(DEFAULT, "combined") == rows(CURATION, "combined")
    removed = splits(DEFAULT)["combined"][1]["removed_per_test"]
    alone = splits(DEFAULT)["hull-sketch"][1]
    assert removed["sketch"] == alone["removed"] == alone["removed_per_test"]["sketch"]
    assert max(removed.values()) <= splits(DEFAULT)["combined"][1]["removed"]


@pytest.mark.parametrize("study", STUDIES)
def test_gaps_are_no_wider_where_there_are_more_rows(study):
    for name, item in items(study).items():
        gap = json.loads((ROOT / study / f"metrics/gap/{name}.json").read_text())
        for test, found in gap.items():
            split, both = found["split"]["mean"], found["split_and_reference"]["mean"]
            assert split <= found["pool"]["mean"], (name, test)
            assert both >= max(split, found["reference"]["mean"]), (name, test)
            if item["rule"] == "hull" and test in item["tests"]:
                # what was nearer than the reference is gone, for every image
                assert found["split_and_reference"] == found["reference"], (name, test)
