"""``python -m clipcause compare A B [--test NAME …]``: how two models or conditions differ.

A and B are names of runs, of conditions as the report calls them, or of splits, each optionally
``REV:name`` as it was at a git revision; its predictions then come from git and the DVC cache,
without touching the workspace. The table is A minus B on every test set that both have, with its p
values corrected over these test sets, and sentences say which differences are beyond noise.
"""

import argparse
import io
import tempfile
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jaxtyping import Bool

from clipcause.config import FILE, layout, nearest, objectives, section, study, unknown, yaml12
from clipcause.config.report import Report
from clipcause.config.runs import NONE, Run, of_today
from clipcause.data import manifest
from clipcause.evaluate import predictions
from clipcause.prune import rules as prune_rules
from clipcause.prune import split
from clipcause.report import publish, verdicts
from clipcause.report.conditions import Condition, group, on_splits
from clipcause.report.decimals import points
from clipcause.report.tables import comparisons
from clipcause.runtime import revisions
from clipcause.runtime.columns import aligned
from clipcause.stats.comparison import compare

WIDTH = 96  # letters a line of the sentences
ALIKE = 0.01  # by which share numbers of rows may differ and be called the same


@dataclass(frozen=True)
class Place:
    """A study as its parameters name it, here or at a revision."""

    files: revisions.Workspace | revisions.Revision

    @cached_property
    def content(self) -> dict[str, Any]:
        """The parameters as plain values."""
        try:
            text = self.files.read(FILE)
        except KeyError:
            raise FileNotFoundError(f"{self.where}: not found") from None
        found = yaml12.load(text, self.where)
        if not isinstance(found, dict) or not isinstance(found.get("runs"), dict):
            raise ValueError(f"{self.where}: section 'runs' is missing or empty")  # noqa: TRY004
        return found

    @property
    def where(self) -> str:
        """The parameter file, for messages."""
        return self.files.where(FILE)

    @cached_property
    def runs(self) -> dict[str, Run]:
        """The entries of `runs`."""
        entries = self.content["runs"].items()
        return {
            str(name): objectives.parse(of_today(entry), f"{self.where}: runs.{name}")
            for name, entry in entries
        }

    @cached_property
    def conditions(self) -> dict[str, Condition]:
        """The conditions that the report makes of the runs."""
        entries = self.content.get(prune_rules.SECTION) or {}
        rules = {
            str(name): prune_rules.parse(entry, f"{self.where}: {prune_rules.SECTION}.{name}")
            for name, entry in entries.items()
        }
        adds = (self.content.get("train") or {}).get("add_reference", True)
        without = {
            name
            for name, run in self.runs.items()
            if run.split != NONE and not (adds if run.add_reference is None else run.add_reference)
        }
        # sizes say which random split belongs to which, which is not asked here
        encoder = str((self.content.get("encoder") or {}).get("run"))
        runs = on_splits(self.runs, rules, encoder)
        return group(runs, rules, {name: row for row, name in enumerate(rules)}, without)

    @property
    def tests(self) -> list[str]:
        """The test sets whose images models name the class of."""
        tests = self.content.get("tests") or {}
        return [
            str(name)
            for name, entry in tests.items()
            if not isinstance(entry, dict) or entry.get("task", study.TASKS[0]) == study.TASKS[0]
        ]


@dataclass(frozen=True)
class Side:
    """One of the two: how it was named, and the runs that it is."""

    words: str
    place: Place
    runs: tuple[str, ...]


def command(*words: str) -> str:
    """What `python -m clipcause compare` does."""
    done = main(words)
    print()
    return done


def main(arguments: Sequence[str]) -> str:
    """Print table and sentences for the words after the command; one line says what was done."""
    parser = argparse.ArgumentParser(prog="python -m clipcause compare", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("a", metavar="A", help="a run, condition or split; REV:name at a revision")
    parser.add_argument("b", metavar="B", help="what it is compared with")
    parser.add_argument("--test", metavar="NAME", nargs="+", action="extend", help="only these")
    given = parser.parse_args(arguments)
    a, b = sides(given.a, given.b)
    tests = chosen(a, b, given.test)
    return told(a, b, tests, section("report", Report))


def sides(a: str, b: str) -> tuple[Side, Side]:
    """The two that are named; a revision that both name is read once.

    Raises ``ValueError`` for a name that neither a run, a condition nor a split has, models that
    name no class, and two names for the same run.
    """
    places: dict[str | None, Place] = {None: Place(revisions.Workspace())}
    found = _side(a, places), _side(b, places)
    shared = sorted(set(found[0].runs) & set(found[1].runs))
    if found[0].place is found[1].place and shared:
        raise ValueError(
            f"{a} and {b}: the same run {', '.join(shared)} is on both sides; nothing to compare"
        )
    return found


def chosen(a: Side, b: Side, asked: Sequence[str] | None) -> list[str]:
    """The test sets of the comparison: those that were asked for, else those of both."""
    both = [test for test in a.place.tests if test in b.place.tests]
    for test in asked or ():
        if test not in both:
            for side in (a, b):
                if test not in side.place.tests:
                    raise unknown("test set", test, side.place.tests, f"{side.place.where}: tests")
    if asked:
        return list(dict.fromkeys(asked))
    for side in (a, b):
        if alone := [test for test in side.place.tests if test not in both]:
            print(f"Only of {side.words}, and not compared: {', '.join(alone)}\n")
    if not both:
        raise ValueError(f"{a.words} and {b.words} have no test set in common")
    return both


def told(a: Side, b: Side, tests: Sequence[str], parameters: Report) -> str:
    """Compare on all test sets and print what was found."""
    found, accuracy, same = [], [], True
    for test in tests:
        check_images(a, b, test)
        a_SQ, b_TQ = answers(a, b, test)
        same = same and np.array_equal(a_SQ, b_TQ)
        one = compare(a_SQ, b_TQ, resamples=parameters.resamples, seed=parameters.seed)
        found.append((a.words, b.words, test, one))
        accuracy.append((f"{one.images:,}", points(float(a_SQ.mean())), points(float(b_TQ.mean()))))
    family = comparisons.corrected(found)
    head = (
        "test", "images", "A / %", "B / %", "A - B", "95 % interval", "p", "p (Holm)",
        "detectable", "beyond noise",
    )  # fmt: skip
    rows = [
        (one.test, *three, *verdicts.cells(one))
        for one, three in zip(family, accuracy, strict=True)
    ]
    for letter, side in zip("AB", (a, b), strict=True):
        runs = "" if side.runs == (side.words,) else f" ({', '.join(side.runs)})"
        print(f"{letter} = {side.words}{runs}")
    print(f"\n{aligned([head, *rows])}")
    texts = [*sizes(a, b), *verdicts.sentences(family, b.words)]
    if same:
        texts.insert(0, "Both have the same images right.")
    for text in [*texts, verdicts.method(family)]:
        print(f"\n{textwrap.fill(text, WIDTH)}")
    sure = sum(one.is_sure for one in family)
    return f"{len(tests)} test {'set' if len(tests) == 1 else 'sets'}, {sure} beyond noise"


def answers(a: Side, b: Side, test: str) -> tuple[Bool[np.ndarray, "S Q"], Bool[np.ndarray, "T Q"]]:
    """Whether each run has each image right; rows and labels must be the same in all."""
    tables = [
        (side.place.files.where(_predictions(run, test)), _table(side, run, test))
        for side in (a, b)
        for run in side.runs
    ]
    where, first = tables[0]
    for other, table in tables[1:]:
        for column in ("row", "label"):
            if table[column].to_pylist() != first[column].to_pylist():
                raise ValueError(
                    f"{where} and {other}: {column}s of the {first.num_rows} and {table.num_rows} "
                    "test images differ; one of them is of an older test set: evaluate it again"
                )
    right = np.stack([table["rank"].to_numpy() == 1 for _, table in tables])
    return right[: len(a.runs)], right[len(a.runs) :]


def sizes(a: Side, b: Side) -> list[str]:
    """A sentence where the two learnt from unlike numbers of the pool's rows, and what one of them
    is to be compared with instead. Nothing where a number is not known here."""
    rows = [count for side in (a, b) if (count := _rows(side)) is not None]
    if len(rows) < 2 or max(rows) <= (1 + ALIKE) * min(rows):
        return []
    if not min(rows):
        other, none = (a, b) if rows[0] else (b, a)
        return [
            f"{none.words} was trained on no row of the pool, {other.words} on {max(rows):,}: a "
            "difference is one of all that sets them apart, not of one property of the data."
        ]
    told = [f"{side.words} {count:,}" for side, count in zip((a, b), rows, strict=True)]
    text = (
        f"Of unlike size: {told[0]} rows of the pool, {told[1]}. A difference is one of the number "
        f"of images as well, {max(rows) / min(rows):.2f} times as many."
    )
    fair = [f"{side.words} with {name}" for side in (a, b) for name in _controls(side)]
    return [f"{text} Of one size: {', '.join(fair)}." if fair else text]


def _rows(side: Side) -> int | None:
    """Rows of the pool in the splits of a side's runs, the mean over draws; None where one is
    not here, or what a run saw is not known."""
    found = []
    for run in (side.place.runs[name] for name in side.runs):
        if run.split == NONE and run.objective != "supervised":
            return None
        if run.split == NONE:
            found.append(0)
            continue
        try:
            folder, read = layout.split(run.split), side.place.files.read
            found.append(len(split.decode(folder, read(folder / split.ROWS), {})))
        except (KeyError, OSError, ValueError):
            return None
    return round(sum(found) / len(found))


def _controls(side: Side) -> list[str]:
    """The conditions on random splits of the size of a side's."""
    own = {side.place.runs[run].split for run in side.runs}
    entries = side.place.content.get(prune_rules.SECTION) or {}
    random = {name for name, one in entries.items() if one["rule"] == "random" and one["of"] in own}
    return [title for title, one in side.place.conditions.items() if random & set(one.splits)]


def check_images(a: Side, b: Side, test: str) -> None:
    """Raise where the test set's images at one revision are not those at the other, with counts."""
    if a.place is b.place:
        return
    try:
        uids = [_identities(side, test) for side in (a, b)]
    except FileNotFoundError:
        # the images of a published study are not in a clone; that they are the same is in the locks
        first, second = (_recorded(side, test) for side in (a, b))
        if first is not None and first == second:
            return
        raise
    if uids[0] != uids[1]:
        common = len(set(uids[0]) & set(uids[1]))
        raise ValueError(
            f"{test}: its images are not the same: {len(uids[0]):,} in that of {a.words}, "
            f"{len(uids[1]):,} in that of {b.words}, {common:,} in both"
            f"{', in another order' if sorted(uids[0]) == sorted(uids[1]) else ''}; a difference "
            "of accuracy would be that of the images as well. Choose other test sets with --test"
        )


def _side(words: str, places: dict[str | None, Place]) -> Side:
    here = places[None]
    # a condition's name may have a colon, which a revision's end is otherwise
    revision, name = None, words
    if words not in here.runs and words not in here.conditions:
        revision, name = revisions.parse(words, "run, condition or split")
    if revision not in places:
        places[revision] = Place(revisions.Revision(str(revision)))
    place = places[revision]
    runs = (name,) if name in place.runs else _of_condition(name, place)
    for run in runs:
        if place.runs[run].objective == "dino":
            raise ValueError(
                f"{words}: {run} learns without names or captions and names no class; a probe of "
                "its features has an accuracy (`probes` in params.yaml)"
            )
    return Side(words, place, runs)


def _of_condition(name: str, place: Place) -> tuple[str, ...]:
    if name in place.conditions:
        return place.conditions[name].runs
    on = {title: one for title, one in place.conditions.items() if name in one.splits}
    if len(on) == 1:
        return next(iter(on.values())).runs
    if on:
        raise ValueError(
            f"{place.where}: several conditions were trained on split {name!r}; name one of "
            f"{', '.join(map(repr, on))}, or a run"
        )
    if name in (place.content.get(prune_rules.SECTION) or {}):
        raise ValueError(f"{place.where}: no run was trained on split {name!r}")
    raise ValueError(
        f"{place.where}: unknown run, condition or split {name!r}; "
        f"{nearest(name, {*place.runs, *place.conditions})}"
    )


def _recorded(side: Side, test: str) -> str | None:
    """The hash that dvc.lock has of a test set; None where it has none."""
    files, lock = side.place.files, Path("dvc.lock")
    try:
        stages = yaml12.load(files.read(lock), files.where(lock))["stages"]
    except (KeyError, TypeError, ValueError):
        return None
    path = layout.dataset(layout.test(test)).as_posix()
    outs = (out for stage in stages.values() for out in stage.get("outs", ()))
    return next((out.get("md5") for out in outs if out.get("path") == path), None)


def _predictions(run: str, test: str) -> Path:
    return layout.predictions(run) / f"{test}.parquet"


def _table(side: Side, run: str, test: str) -> pa.Table:
    """Validated predictions, here or at a revision."""
    path = _predictions(run, test)
    where = side.place.files.where(path)
    try:
        content = side.place.files.read(path)
    except KeyError:
        pull = f", {publish.PULL} what the repository keeps" if publish.is_served() else ""
        raise FileNotFoundError(
            f"{where}: not found: `dvc checkout` brings what was made here{pull}; where {run} was "
            f"never evaluated on {test}, `dvc repro evaluate@{run}` does it"
        ) from None
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(content)
        try:
            return predictions.read(copy.parent, test)
        except ValueError as error:
            raise ValueError(str(error).replace(str(copy), where)) from None


def _identities(side: Side, test: str) -> list[str]:
    """What tells the images of a test set apart: the hash of their bytes, else their source."""
    path = layout.dataset(layout.test(test)) / manifest.MANIFEST
    where = side.place.files.where(path)
    try:
        table = pq.read_table(
            io.BytesIO(side.place.files.read(path)), columns=["uid", "source_id"]
        )  # fmt: skip
    except KeyError:
        raise FileNotFoundError(
            f"{where}: not found, so whether the images of {test} are the same cannot be told"
        ) from None
    except pa.ArrowInvalid as error:
        raise ValueError(f"{where}: not a readable Parquet file: {error}") from None
    columns = table["uid"].to_pylist(), table["source_id"].to_pylist()
    return [uid or f"source {source}" for uid, source in zip(*columns, strict=True)]
