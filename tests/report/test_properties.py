"""Which property: effects averaged over test sets, what splits are made up of, and what is said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import yaml

from clipcause.captions import frequency
from clipcause.captions.frequency import Frequency
from clipcause.config import layout
from clipcause.data import manifest
from clipcause.embed import embeddings
from clipcause.evaluate import predictions
from clipcause.prune import rules, split
from clipcause.report import figures, which_property
from clipcause.report.outline import Sized
from clipcause.report.sections import properties as section
from clipcause.report.tables import accuracy, comparisons, makeup, properties, relations
from clipcause.search import diversity, gap, scores
from clipcause.signals import artifact
from clipcause.stats import regression
from clipcause.stats.comparison import Interval, compare, holm, left, pooled
from clipcause.stats.logistic import Undefined
from clipcause.stats.regression import Part, Regression
from tests.report_study import RUNS, SPLITS, TESTS, collected, inputs, write_study
from tests.test_diversity import by_pairs

SLOTS = {"of": "none", "with": "none"}
MORE = {
    "near": {"rule": "near", "base": "dedup", "tests": ["val"], "keep": 0.5, **SLOTS},
    "random-near-0": {"rule": "random", "base": "dedup", "of": "near", "with": "none", "seed": 0},
    "random-near-1": {"rule": "random", "base": "dedup", "of": "near", "with": "none", "seed": 1},
    "quota-near": {
        "rule": "quota", "base": "dedup", "of": "near", "with": "none", "by": "label", "seed": 0,
    },
}  # fmt: skip
SEEDS = {
    f"{split}-{seed}": {"split": split, "objective": "clip", "seed": seed}
    for split in ("full", "hull-sketch", "random-hull-sketch", "near", "quota-near")
    for seed in (0, 1)
}
DRAWS = {
    f"random-near-{seed}": {"split": f"random-near-{seed}", "objective": "clip", "seed": seed}
    for seed in (0, 1)
}
CLUSTERED = {"signals": {"plain": {}, "clusters": {}}}


def chosen(entry, base, _):
    # as many rows, of which one is the same
    return np.union1d(base[:1], base[1::2]) if entry["rule"] == "quota" else base[::2]


def add(sections):
    """Put sections into the parameters."""
    path = Path("params.yaml")
    content = yaml.safe_load(path.read_text()) | sections
    path.write_text(yaml.safe_dump(content, sort_keys=False))


def write():
    """Two rules with controls, of which one has classes too; two runs a condition; mentions, and
    clusters of two sizes."""
    write_study(
        splits={**SPLITS, **MORE},
        runs={**SEEDS, **DRAWS, "supervised": RUNS["supervised"]},
        chosen=chosen,
    )
    pool = manifest.read(layout.dataset("pool"))
    names = ("cat", "key", "sun")
    class_M = np.array([names.index(label) for label in pool.labels])
    counts = Frequency(names, names, np.bincount(class_M[::2], minlength=3).astype(np.int64))
    row_M = np.arange(len(pool))
    frequency.write(layout.frequency("shapes"), counts, [(row_M[::2], class_M[::2])], {})
    add({"classes": "shapes"} | CLUSTERED)
    base = split.read(layout.split("dedup"))
    clustered((base.rows % 7 == 0).astype(np.int32))


def clustered(cluster_R):
    """A signal that puts the rows of `dedup` into clusters, as its stage writes it."""
    pool = manifest.read(layout.dataset("pool"))
    card = {"pool": pool.sha256, "kind": "clusters", "parameters": {"base": "dedup"}}
    value_N = np.zeros(len(pool), np.float32)
    artifact.write(layout.signal("clusters"), value_N, {"cluster": cluster_R}, card)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """That study, analysed."""
    folder = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write()
        yield inputs(), collected()


def right(runs, test):
    """The mean over runs of the share of images that each has right."""
    tables = [predictions.read(layout.predictions(run), test) for run in runs]
    return np.mean([(table["rank"].to_numpy() == 1).mean() for table in tables])


def test_an_effect_is_the_mean_over_test_sets_of_the_difference_from_the_control(study):
    found = properties.rows(study[0])
    averages = [row for row in found if row.on == properties.AVERAGE]
    assert {(row.split, row.control, row.alike) for row in averages} == {
        ("hull-sketch", "random-hull-sketch", "size"),
        ("near", "random-near", "size"),
        ("near", "quota-near", "size and class content"),
        ("quota-near", "random-near", "size"),
    }
    for row in found:
        tests = TESTS if row.on == properties.AVERAGE else [row.on]
        sides = [
            np.mean([right([f"{name}-0", f"{name}-1"], test) for test in tests])
            for name in (row.split, row.control)
        ]
        assert row.difference == pytest.approx(100 * (sides[0] - sides[1]), abs=1e-3)
        assert row.low <= row.difference <= row.high
        assert (row.runs, row.control_runs) == (2, 2)
    corrected = holm(np.array([row.p for row in averages]))
    assert [row.p_holm for row in averages] == pytest.approx(corrected, rel=1e-3)


def test_conditions_of_the_same_seeds_are_compared_within_seeds_and_others_are_not(study):
    """Whatever the order of a condition's runs; the noise is of all conditions on splits."""
    content = study[0].study
    of = {name: one for name, one in content.conditions.items() if not one.is_supervised}
    rights = {name: content.outcomes[name, "val"].right_SQ for name in of}
    seeds = [one.seeds for one in of.values()]
    sides = [rights["random-near"], rights["near"]]
    for noise, changed in (
        (left([*rights.values()], seeds), {}),
        (left([*rights.values()], seeds), {"seeds": (1, 0), "runs": ("near-1", "near-0")}),
        (None, {"seeds": (0, 2)}),
    ):
        near = replace(of["near"], **changed)
        conditions = {**content.conditions, "near": near}
        known = [conditions[name].seeds for name in of]
        outcome = content.outcomes["near", "val"]
        if changed.get("seeds") == (1, 0):  # as the runs are
            outcome = replace(outcome, right_SQ=outcome.right_SQ[::-1])
        outcomes = {**content.outcomes, ("near", "val"): outcome}
        one = replace(
            study[0], study=replace(content, conditions=conditions, outcomes=outcomes), _made={}
        )
        found = accuracy.beside(one, near, ["random-near"], "val")
        used = noise or pooled([*rights.values()], known)
        assert found == compare(*sides, **one.draws, noise=used).reversed()


def test_lines_are_sorted_by_effect_and_are_the_same_on_every_test_set(study):
    found = properties.rows(study[0])
    on = {test: [row for row in found if row.on == test] for test in (properties.AVERAGE, *TESTS)}
    assert [*on] == [*dict.fromkeys(row.on for row in found)]
    beside_random = [row for row in on[properties.AVERAGE] if row.alike == "size"]
    effects = [row.difference for row in beside_random]
    assert effects == sorted(effects, reverse=True)
    for rows in on.values():
        assert [(row.line, row.control) for row in rows] == [
            (row.line, row.control) for row in on[properties.AVERAGE]
        ]
    known = {(one.name, one.other, one.test): one for one in comparisons.family(study[0])}
    for row in (row for row in found if row.on != properties.AVERAGE):
        one = known[row.split, row.control, row.on]
        assert row.p_holm == pytest.approx(one.p_holm, rel=1e-3)


def test_a_row_says_what_was_chosen_by_and_what_a_control_shares(study):
    found = {(row.split, row.control): row for row in properties.rows(study[0])[:4]}
    near = found["near", "random-near"]
    assert near.property_ == "least similar to val (near)"
    assert near.line == "least similar to val (near), 50\u00a0%"
    assert (near.sees, near.kept) == ("val", pytest.approx(59 / 117, abs=1e-4))
    assert found["quota-near", "random-near"].property_ == "class content of near"
    own, *others = (
        set(split.read(layout.split(name)).rows.tolist())
        for name in ("near", "random-near-0", "random-near-1")
    )
    shared = np.mean([len(own & other) / len(other) for other in others])
    assert near.shared == pytest.approx(shared, abs=1e-6)
    assert found["near", "quota-near"].shared == pytest.approx(1 / 59, abs=1e-6)


def test_draws_share_rows_with_the_draws_of_a_control_one_by_one(study):
    """Of as many draws on both sides the first stands beside the first, as their runs do."""
    content = study[0].study
    conditions = {**content.conditions}
    drawn = conditions["random-near"]
    turned = replace(drawn, name="turned", draws=drawn.draws[::-1])
    one = replace(study[0], study=replace(content, conditions={**conditions, "turned": turned}))
    assert properties._shared(one, drawn, ["random-near"]) == 1.0
    first, second = (split.read(layout.split(name)).rows for name in drawn.splits)
    both = len(np.intersect1d(first, second)) / len(first)
    assert properties._shared(one, drawn, ["turned"]) == pytest.approx(both)


def test_a_rule_of_ones_own_that_reads_a_signal_says_itself_what_it_chooses_by(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    facts = {"kind": "clip-score", "parameters": {"base": "dedup"}}
    write_study(
        splits={**SPLITS, **MORE},
        runs={**SEEDS, **DRAWS},
        chosen=chosen,
        facts=lambda entry, *_: {"signal": facts} if entry["rule"] == "near" else {},
    )
    found = [row.property_ for row in properties.rows(inputs()) if row.split == "near"]
    assert set(found) == {"least similar to val (near)"}


def test_a_signal_has_its_usual_name_and_says_whether_it_has_seen_the_tests(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    entry = {"rule": "signal", "base": "dedup", "signal": "norm", "stays": "highest", "keep": 0.5}
    own = {
        "norm-50": entry | SLOTS,
        "random-norm": SPLITS["random-hull-sketch"] | {"of": "norm-50"},
    }
    parameters = {"base": "dedup", "target": "tests/val", "p": "infinity"}
    facts = {"kind": "norm-sim", "parameters": parameters, "seen_tests": ["tests/val"]}
    write_study(
        splits={**SPLITS, **own},
        runs={**RUNS, **{f"{name}-0": RUNS["full-0"] | {"split": name} for name in own}},
        facts=lambda entry, *_: {"signal": facts} if entry["rule"] == "signal" else {},
    )
    add({"signals": {"norm": {}}})
    (row,) = (
        row for row in properties.rows(inputs())
        if (row.split, row.on) == ("norm-50", properties.AVERAGE)
    )  # fmt: skip
    assert (row.property_, row.sees) == ("NormSim (p = ∞) to tests/val, highest", "val")


def test_what_is_made_of_splits_that_have_seen_the_tests_has_seen_them():
    norm = {"rule": "signal", "signal": "norm", "stays": "highest", "keep": 0.5}
    both = {"rule": "intersection", "base": "dedup", "of": "norm", "with": "near"}
    draw = {"rule": "random", "keep": 5, "seed": 0}
    entries = {
        "norm": {"base": "dedup", **SLOTS, **norm},
        "near": {"base": "dedup", **SLOTS, "rule": "near", "tests": ["val", "r"], "keep": 0.5},
        "both": both,
        "of-both": {"base": "both", **SLOTS, **draw},
        # its size alone
        "random-both": {"base": "dedup", **SLOTS, "rule": "random", "of": "both", "seed": 0},
    }
    known = {name: rules.parse(one, f"splits.{name}") for name, one in entries.items()}
    cards = {"norm": {"signal": {"seen_tests": ["tests/sketch", "tests/val"]}}}
    splits = {name: Sized(9, card=cards.get(name, {})) for name in known}
    for name in ("both", "of-both"):
        found = dict.fromkeys(properties.sees(name, known, splits))
        assert [*found] == ["sketch", "val", "r"]
    assert not [*properties.sees("random-both", known, splits)]


def test_two_conditions_of_one_property_and_share_have_their_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    twice = {"random-hull-sketch": "random-hull-sketch", "hull-sketch": "hull-sketch"}
    more = {
        f"{name}-long": {"split": of, "objective": "clip", "seed": 0, "epochs": 3}
        for name, of in twice.items()
    }
    write_study(runs={**RUNS, **more})
    lines = [row.line for row in properties.rows(inputs()) if row.on == properties.AVERAGE]
    assert len(set(lines)) == 2
    assert any(line.endswith(": hull-sketch") for line in lines)


def test_what_a_split_is_made_up_of_is_counted_from_its_rows(study):
    found = makeup.rows(study[0])
    assert [row.draw for row in found] == [
        *("full", "hull-sketch", "random-hull-sketch", "near"),
        *("random-near-0", "random-near-1", "quota-near"),
    ]
    pool = manifest.read(layout.dataset("pool"))
    vector_ND = embeddings.read(layout.embeddings("clip", "pool")).all()
    base = split.read(layout.split("dedup")).rows
    for row in found:
        rows = split.read(layout.split(row.draw)).rows
        assert row.rows == len(rows)
        runs = [f"{row.split}-{seed}" for seed in (0, 1)]
        runs = [row.draw] if row.split == "random-near" else runs
        assert row.runs == len(runs)
        of_tests = [right(runs, test) for test in TESTS]
        assert row.accuracy == pytest.approx(100 * np.mean(of_tests), abs=1e-3)
        nearest = [
            gap.read(layout.gap(row.draw), test)["similarity"].to_numpy().mean() for test in TESTS
        ]
        assert row.similarity == pytest.approx(np.mean(nearest), abs=1e-6)
        known = scores.read_all(layout.similarities("clip", "reference"), list(TESTS))
        of_rows = np.max([one.pool.max_sim[rows] for one in known.values()], axis=0)
        assert row.row_similarity == pytest.approx(of_rows.mean(), abs=1e-6)
        assert row.mentions == pytest.approx((rows % 2 == 0).mean(), abs=1e-6)
        said = [len(pool.captions[at].split()) for at in rows]
        assert row.words == pytest.approx(np.mean(said), abs=1e-6)
        spread = row.distance, row.vendi, row.copied
        if len(rows) == 1:
            assert spread == (None, 1.0, 0.0)
        else:
            assert spread == pytest.approx(by_pairs(vector_ND, rows, 0.98), abs=1e-6)
        inside = np.isin(base, rows)
        sizes = np.bincount((base[inside] % 7 == 0).astype(int))
        assert row.clusters == pytest.approx(diversity.effective_number(sizes), abs=1e-6)


def test_clusters_of_another_base_are_an_error(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write()
    clustered(np.zeros(5, np.int32))
    with pytest.raises(ValueError, match=r"clusters of 5 rows, its base has 117; .*signal@clus"):
        makeup.rows(inputs())


def test_too_few_splits_have_no_shares(study):
    (found, content) = study
    known = relations.facts(found)
    assert known is not None
    assert isinstance(known.found, Undefined)
    assert relations.rows(found) == []
    assert content.rows("relations") == []
    said = which_property.explained(content)
    assert said == [
        "What similarity, class content, caption detail, diversity and duplicates each explain is "
        f"not computed: {known.found.reason}."
    ]
    assert known.found.reason.startswith("6 splits and their ")


def test_the_regression_is_over_conditions_and_means_of_their_draws(study, monkeypatch):
    found, _ = study
    monkeypatch.setattr(relations, "PROPERTIES", {"similarity": "nearness", "mentions": "content"})
    monkeypatch.setattr(regression, "PER_PROPERTY", 2)
    known = relations.facts(found)
    assert known is not None
    assert isinstance(known.found, Regression)
    assert known.units == [
        "full", "hull-sketch", "random-hull-sketch", "near", "random-near", "quota-near",
    ]  # fmt: skip
    of = {row.draw: row for row in makeup.rows(found)}
    pairs = [
        [row.similarity, row.mentions, row.accuracy]
        for row in (of[name] for name in known.units if name != "random-near")
    ]
    draws = [of["random-near-0"], of["random-near-1"]]
    mean = [
        np.mean([getattr(row, n) for row in draws]) for n in ("similarity", "mentions", "accuracy")
    ]
    pairs.insert(4, mean)
    design = np.column_stack([np.ones(6), np.array(pairs)[:, :2]])
    value_U = np.array(pairs)[:, 2]
    rest_U = value_U - design @ np.linalg.lstsq(design, value_U, rcond=None)[0]
    share = 1 - rest_U @ rest_U / ((value_U - value_U.mean()) ** 2).sum()
    assert known.found.explained.value == pytest.approx(share)
    monkeypatch.setitem(found._made, relations.facts, known)
    rows = relations.rows(found)
    assert [row.share for row in rows] == sorted((row.share for row in rows), reverse=True)
    assert sum(row.share for row in rows) == pytest.approx(share, abs=1e-3)
    assert {row.closest for row in rows} == {"nearness", "content"}
    assert all(0 < row.chance <= 1 for row in rows)


def test_what_cannot_be_told_apart_is_said(study):
    _, content = study
    part = Part(Interval(0.3, 0.1, 0.5), None, None, 0.2)
    one = {"a": {"a": 1.0, "b": -0.9, "": 0.5}, "b": {"a": -0.9, "b": 1.0, "": 0.1}}
    one[""] = {"a": 0.5, "b": 0.1, "": 1.0}
    made = Regression(21, Interval(0.6, 0.4, 0.8), 0.5, {"a": part, "b": part}, one, ["c"])
    facts = relations.Facts(made, "CLIP", ["x"] * 21, 0.25, ["d"])
    said = which_property.explained(replace(content, relations=facts))
    assert said[0].startswith("Over 21 splits of CLIP, 2 properties together go with 60.0\u00a0%")
    assert "25.0\u00a0% is noise between runs" in said[0]
    assert "one time in twenty or less often for: a (" in said[0]
    assert not any("rests on single splits" in line for line in said)
    assert said[1].startswith("These splits cannot tell apart a and b (r = −0.90)")
    assert said[3].startswith("These splits are not independent of one another: 1 has the classes")
    assert said[2] == (
        "The others together determine a and b to more than 90.0\u00a0%: their slopes cannot be "
        "told."
    )
    assert said[4] == "Left out: c (the same in all) and d (not known of all)."


def test_which_way_a_property_goes_is_said(study):
    _, content = study
    share = Interval(0.3, 0.1, 0.5)
    parts = {
        "unclear": Part(share, Interval(1.0, -0.2, 2.2), 1.5, 0.2),
        "less": Part(share, Interval(-3.42, -4.74, -2.1), 1.5, 0.4, (0, 2)),
        "more": Part(Interval(0.2, 0.1, 0.3), Interval(1.0, 0.5, 1.5), 1.5, 0.1),
        "tied": Part(share, Interval(2.0, 1.0, 3.0), 20.0, 0.4),
    }
    one = {name: dict.fromkeys([*parts, ""], 0.0) for name in [*parts, ""]}
    made = Regression(21, Interval(0.6, 0.4, 0.8), 0.5, parts, one, [])
    facts = relations.Facts(made, "CLIP", ["near", "core", "long", *["x"] * 18], None, [])
    said = which_property.explained(replace(content, relations=facts))
    assert said[1:4] == [
        "Which way: points of accuracy for one standard deviation more of it, the others held, "
        "where the interval leaves out zero: less −3.4 [−4.7, −2.1] and more +1.0 [+0.5, +1.5].",
        "That rests on single splits, without one of which the interval holds zero, for: less "
        "(near or long).",
        "A share has in it what a property has in common with others. With the others held, "
        "nothing of its own can be told for: unclear.",
    ]


def test_rules_that_look_for_the_tests_classes_are_named(study):
    _, content = study
    rows = content.rows("properties")
    named = "does not know the test sets’ classes"
    assert not any(named in line for line in which_property.limits(content, rows))
    balanced = rules.parse(
        {"rule": "balance", "base": "dedup", "by": "mention", "most": 5, "seed": 0, **SLOTS},
        "splits.near",
    )
    knowing = replace(content.study, rules=content.study.rules | {"near": balanced})
    said = which_property.limits(replace(content, study=knowing), rows)
    (line,) = (line for line in said if named in line)
    (subject,) = {row["property"] for row in rows if row["split"] == "near"}
    assert line.endswith(f"in labels or captions: {subject}.")


def test_the_page_and_the_text_have_every_effect_and_what_they_do_not_say(study):
    _, content = study
    rows = content.rows("properties")
    view = section.view(content)
    assert view is not None
    assert len(view["rows"]) == 4
    assert len(view["panels"]) == 1 + len(TESTS)
    assert len(view["makeup"]) == 7
    text = which_property.to_markdown(content, rows)
    lines = text.splitlines()
    assert lines[0] == ("| property | kept | control of the same | runs | average | val | sketch |")
    assert len([line for line in lines if line.startswith("| ")]) == 6
    assert "control is shared by several splits" in text  # of near and of its quota
    assert "all splits are of one pool of 120 images" in text
    assert "“clip”, which is itself" not in text  # no run of this study
    assert "the rule itself looked at images of the tests: " in text
    for one in which_property.by_line(rows):
        of = one[properties.AVERAGE]
        bold = "**" in lines[2 + which_property.by_line(rows).index(one)].split("|")[5]
        assert bold == (of["kind"] == comparisons.SURE)
    assert which_property.to_markdown(content, []) == ""


def test_predicted_less_seen_is_told_with_its_interval_and_its_runs(study):
    _, content = study
    (said,) = which_property.predicted(content)
    assert said.startswith("hull-sketch (2 and 2 runs), predicted less seen: ")
    for (_, test), one in content.predicted.items():
        assert f"{test} {which_property._excess(one)}" in said


def test_effects_are_drawn_but_of_controls_and_the_file_has_the_averages(study):
    _, content = study
    one = figures.load()["properties"]
    panels = one.panels(content)
    assert [panel.title for panel in panels] == [properties.AVERAGE, *TESTS]
    drawn = [row for panel in panels for row in panel.spec["data"]["values"]]
    every = content.rows("properties")
    assert drawn == [row for row in every if row["split"] != "quota-near"]
    assert len(drawn) < len(every)
    widths = [panel.spec["width"] for panel in panels]
    assert widths[0] > widths[1] == widths[2]
    axes = {str(panel.spec["layer"][1]["encoding"]["x"]["scale"]) for panel in panels}
    assert len(axes) == 1
    (spec,) = one.files(content).values()
    assert {row["on"] for row in spec["data"]["values"]} == {properties.AVERAGE}


def test_without_controls_there_is_nothing_to_say(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_study(splits={"full": SPLITS["full"]}, runs={"full-0": RUNS["full-0"]})
    content = collected()
    assert section.view(content) is None
    assert which_property.to_markdown(content, content.rows("properties")) == ""
    assert [row.draw for row in makeup.rows(inputs())] == ["full"]


@pytest.mark.parametrize(
    ("entry", "subject"),
    [
        ({"rule": "hull", "tests": ["a", "b"]}, "not nearer than the reference to a and b (hull)"),
        (
            {"rule": "core", "tests": ["a", "b", "c"], "keep": 0.5, "scores": "pixels"},
            "most similar to 3 test sets (core, measured by the scores “pixels”)",
        ),
        ({"rule": "balance", "by": "mention", "most": 5, "seed": 0}, "balance of classes"),
        (
            {"rule": "match", "by": "label", "to": "reference", "seed": 0},
            "class frequency (matched)",
        ),
        (
            {"rule": "trim_tail", "by": "label", "tail": 3, "most": 2, "seed": 0},
            "class frequency (tail trimmed)",
        ),
        ({"rule": "where", "column": "punsafe", "most": 0.5}, "punsafe"),
        (
            {"rule": "where", "column": "caption_words", "keep": 0.5, "stays": "highest"},
            "words of the caption, highest",
        ),
        (
            {"rule": "signal", "signal": "clip", "keep": 0.5, "stays": "highest"},
            "clip, highest",
        ),
        ({"rule": "given", "file": "mine"}, "given"),
    ],
)  # fmt: skip
def test_a_rule_states_its_property(entry, subject):
    assert rules.parse({"base": "dedup", **SLOTS, **entry}, "splits.x").subject == subject


def effect(line, alike, difference, kind=comparisons.SURE, on=properties.AVERAGE):
    return {
        "line": line, "alike": alike, "on": on, "kind": kind,
        "difference": difference, "low": difference - 1, "high": difference + 1,
    }  # fmt: skip


SIZE, CLASSES = properties.RANDOM, properties.ALIKE


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([], "No split of this study is compared with a control; the table has its accuracies.\n"),
        (
            [effect("near", SIZE, -5.0), effect("core", SIZE, 5.0, comparisons.UNSURE)],
            "**By none of these.** Of 2 choices of rows none is better than its control, beyond "
            "noise.\n",
        ),
        (
            [
                effect("core", SIZE, 7.0),
                effect("balance", SIZE, 17.0),
                effect("balance", CLASSES, 1.0, comparisons.UNSURE),
                effect("core", CLASSES, 2.0),
                effect("score", SIZE, 30.0, on="val"),
            ],
            "**balance**: rows chosen so are worth +17.0 [+16.0, +18.0] points of accuracy more "
            "than as many random ones, the largest estimate of all; beside rows of the same "
            "classes core has the largest, +2.0 [+1.0, +3.0].\n",
        ),
        (
            [effect("core", SIZE, 7.0), effect("core", CLASSES, 2.0)],
            "**core**: rows chosen so are worth +7.0 [+6.0, +8.0] points of accuracy more than as "
            "many random ones, the largest estimate of all; beside rows of the same classes +2.0 "
            "[+1.0, +3.0].\n",
        ),
        (
            [effect("core", SIZE, 7.0), effect("core", CLASSES, 2.0, comparisons.UNSURE)],
            "**core**: rows chosen so are worth +7.0 [+6.0, +8.0] points of accuracy more than as "
            "many random ones, the largest estimate of all; beside rows of the same classes none "
            "is better, beyond noise.\n",
        ),
    ],
)  # fmt: skip
def test_a_study_without_a_hull_has_an_answer(rows, said):
    assert which_property.answer(rows) == said
