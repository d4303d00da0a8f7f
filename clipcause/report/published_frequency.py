"""Draw class frequencies and accuracies that were published:

    python -m clipcause published --counts NAME=FILE [NAME=FILE …]
        [--accuracy NAME=FILE …] [--classes LIST] --out FOLDER

A file of counts has a line `name<TAB>count` per class; one of accuracies is JSON, class to
accuracy, as shares or in %. Classes are joined by name or by id: with a class list
(`data/classes/LIST.yaml`, or a path) a file may have either, without one the first file says what
the classes are. A class that does not join is an error that names it. Names that several classes
have are theirs in turn in a file of counts that has the order of the list; elsewhere they are an
error, and ids work. Into the folder go the curves of count by rank, the agreement of the counts,
and the accuracies against every corpus, each as CSV, SVG and PNG; the correlations are printed.
"""

import argparse
import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from clipcause.captions import classes, frequency
from clipcause.captions.frequency import Frequency
from clipcause.config import layout, nearest
from clipcause.report import corpora, figures, tables
from clipcause.report.colours import PALETTE, Rows
from clipcause.report.corpora import Corpora
from clipcause.report.figures import drawing, perclass
from clipcause.report.figures.figure import Drawn, Panel, beside, drawn
from clipcause.report.tables import imbalance, table
from clipcause.report.tables.frequency import agreement, curve
from clipcause.runtime import atomic, notices

Accuracies = dict[str, dict[str, float]]  # name to class id to accuracy in %
NAMED = 3  # classes that an error names
CAPTIONS = {  # where they are not the report's
    "frequency": "Count of every class, in falling order; those with none are left out.",
    "perclass": "A point per class; the line is the mean of each tenth of the classes. 0 stands at "
    "½.",
}
WIDTH = 420  # pixels, of the curves
COLUMNS = ("accuracy", "corpus", "spearman", "classes")


def read_counts(path: Path, known: Mapping[str, str]) -> Frequency:
    """Counts of all classes of ``known`` (id to name), from a file that has their names or ids.

    Raises ``ValueError`` naming the classes that do not join.
    """
    found = [name for name, _ in frequency.read_lines(path)]
    is_by_id = _match(found, known) > _match(found, known.values())
    _joined(path, found, known if is_by_id else known.values(), complete=True)
    return frequency.read_published(path, known)


def read_accuracy(path: Path, known: Mapping[str, str]) -> dict[str, float]:
    """Accuracies in % by class id, of classes of ``known``; null is a class without samples.

    Raises ``ValueError`` for a class that is not known or comes twice, for a name that several
    classes have, and for what is no accuracy.
    """
    try:
        content = json.loads(path.read_text("utf-8"), object_pairs_hook=_once)
    except (ValueError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not JSON of classes: {error}") from None
    if not isinstance(content, dict) or not content:
        raise ValueError(f"{path}: expected an object of class to accuracy")
    is_by_id = _match(content, known) > _match(content, known.values())
    owners: dict[str, list[str]] = {}
    for key, name in known.items():
        owners.setdefault(key if is_by_id else name, []).append(key)
    _joined(path, content, owners, complete=False)
    for name in content:
        if len(owners[name]) > 1:
            raise ValueError(
                f"{path}: {name!r} is the name of {' and of '.join(owners[name])}; put class ids "
                "in place of names"
            )
    owner = {name: keys[0] for name, keys in owners.items()}
    values = {owner[name]: value for name, value in content.items() if value is not None}
    for key, value in values.items():
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not (math.isfinite(value) and 0 <= value <= 100):
            raise ValueError(f"{path}: {known[key]}: {value!r} is no accuracy")
    factor = 1 if any(value > 1 for value in values.values()) else 100
    if without := len(known) - len(values):
        notices.line(f"{path}: no accuracy of {without} of {len(known)} classes")
    return {key: float(factor * values[key]) for key in known if key in values}


def class_names(list_: str | None, first: Path) -> dict[str, str]:
    """Class id to name: of a class list, or of the first file of counts, whose names are ids."""
    if list_ is None:
        count = Counter(name for name, _ in frequency.read_lines(first))
        if twice := [name for name, times in count.items() if times > 1]:
            raise ValueError(
                f"{first}: {len(twice)} names come more than once: {_some(twice)}; say with "
                "--classes what the classes are"
            )
        return {name: name for name in count}
    path = Path(list_) if list_.endswith((".yaml", ".yml")) else layout.classes(list_)
    return {key: entry.name for key, entry in classes.own(classes.read(path)).items()}


def correlations(counts: Corpora, accuracies: Accuracies) -> list[dict[str, str | float | int]]:
    """Spearman's coefficient of every accuracy with every corpus over the classes that have one;
    where it is not defined there is no row, and a line on stderr says so."""
    rows: list[dict[str, str | float | int]] = []
    for name, values in accuracies.items():
        for corpus, found in counts.items():
            at = [place for place, key in enumerate(found.classes) if key in values]
            mine = [values[found.classes[place]] for place in at]
            value = corpora.correlation(found.count_C[np.array(at, np.int64)], mine)
            if value is None:
                notices.line(
                    f"no correlation of {corpus} and accuracy of {name}: {len(at)} classes have "
                    "both, which are fewer than three or have one count or one accuracy"
                )
            else:
                cells = name, corpus, table.rounded(value), len(at)
                rows.append(dict(zip(COLUMNS, cells, strict=True)))
    return rows


def accuracy_rows(counts: Corpora, accuracies: Accuracies) -> Rows:
    """A point per class, and the means of tenths of them, for every accuracy and corpus."""
    rows: Rows = []
    for at, (name, values) in enumerate(accuracies.items()):
        for corpus, found in counts.items():
            condition = name if len(counts) == 1 else f"{name}, by {corpus}"
            facts = "", condition, name
            points = [
                imbalance.point(facts, key, said, int(count), 1, round(values[key], 4))
                for key, said, count in zip(found.classes, found.names, found.count_C, strict=True)
                if key in values
            ]
            rows += coloured([*points, *imbalance.means(points)], at)
    return rows


def draw(counts: Corpora, accuracies: Accuracies, out: Path) -> list[dict[str, str | float | int]]:
    """Write all tables and pictures; returns the correlations of accuracies."""
    curves = [
        row
        for at, (name, found) in enumerate(counts.items())
        for row in coloured(curve("corpora", name, found), at)
    ]
    points, found = accuracy_rows(counts, accuracies), correlations(counts, accuracies)
    pairs = coloured(agreement(counts))
    several = pairs if len(pairs) > 1 else []  # one agrees with itself
    drawn_of = {"frequency": curves, "sources": several, "perclass": points}
    declared = tables.load()
    with atomic.folder(out) as folder:
        for name, rows in drawn_of.items():
            if not rows:
                continue
            one, stored = figures.load()[name], declared[name]
            text = table.to_csv([*stored.columns, *stored.looks], rows)
            (folder / f"{name}.csv").write_text(text, encoding="utf-8")
            spec = beside(panels(name, rows), "apart" if name == "frequency" else "beside")
            title = {"text": one.title, "subtitle": CAPTIONS.get(name, one.caption)}
            drawing.write({name: spec | {"title": title | {"anchor": "start"}}}, folder)
        if accuracies:
            text = table.to_csv(COLUMNS, found)
            (folder / "correlations.csv").write_text(text, encoding="utf-8")
    return found


def panels(name: str, rows: Rows) -> list[Panel]:
    """The drawings of one of the three tables."""
    if name == "perclass":
        chart = perclass.chart(Drawn(), "count of the class")
        conditions = dict.fromkeys(row["condition"] for row in rows)
        own = {one: [row for row in rows if row["condition"] == one] for one in conditions}
        return [Panel(one, drawn(chart, some)) for one, some in own.items()]
    chart = figures.load()[name].chart(Drawn(rows, rows, legend=True))
    if name == "frequency":
        chart = chart.properties(width=WIDTH)
    return [Panel("", drawn(chart, rows))]


def main(*words: str) -> str:
    """Draw what the command line names; correlations are printed as they are found."""
    asked = _parser().parse_args(words)
    counts, accuracy = _named(asked.counts), _named(asked.accuracy)
    known = class_names(asked.classes, next(iter(counts.values())))
    corpus = {name: read_counts(path, known) for name, path in counts.items()}
    values = {name: read_accuracy(path, known) for name, path in accuracy.items()}
    for name, one in corpus.items():
        if corpora.is_constant(one):
            notices.line(
                f"{name} is left out of the agreement: all of its {len(known)} classes have one "
                "count, or they are fewer than three"
            )
    out = Path(asked.out)
    if out.exists() and any(out.iterdir()):
        raise ValueError(f"{out}: is not empty; name a new folder")
    found = draw(corpus, values, out)
    for name, one in corpus.items():
        print(
            f"{name}: {one.count_C.sum():,} in {len(known):,} classes, "
            f"{corpora.empty(one):,} of them without any, at most {one.count_C.max():,}"
        )
    pairs = [row for row in coloured(agreement(corpus)) if row["first"] < row["second"]]
    for row in pairs:
        print(f"Spearman of {row['first']} and {row['second']}: {row['spearman']:.3f}")
    for row in found:
        print(
            f"Spearman of {row['corpus']} and accuracy of {row['accuracy']}: "
            f"{row['spearman']:.3f} ({row['classes']:,} classes)"
        )
    return f"{out}: {len(corpus)} corpora, {len(values)} accuracies"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m clipcause published")
    parser.add_argument("--counts", nargs="+", required=True, metavar="NAME=FILE")
    parser.add_argument("--accuracy", nargs="+", default=[], metavar="NAME=FILE")
    parser.add_argument("--classes", metavar="LIST")
    parser.add_argument("--out", required=True, metavar="FOLDER")
    return parser


def _named(pairs: Sequence[str]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for pair in pairs:
        name, equals, path = pair.partition("=")
        if not (name and equals and path):
            raise ValueError(f"{pair!r}: expected NAME=FILE")
        if name in found:
            raise ValueError(f"the name {name!r} comes twice")
        if not Path(path).exists():
            raise FileNotFoundError(f"{path}: not found")
        found[name] = Path(path)
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, in which a key that comes twice is no last one that wins."""
    count = Counter(key for key, _ in pairs)
    if twice := [key for key, times in count.items() if times > 1]:
        raise ValueError(f"{len(twice)} keys come more than once: {_some(twice)}")
    return dict(pairs)


def _match(names: Iterable[str], known: Iterable[str]) -> int:
    """How many of the names are known."""
    listed = set(known)
    return sum(name in listed for name in names)


def _joined(path: Path, names: Iterable[str], known: Iterable[str], *, complete: bool) -> None:
    """Raise with the names that do not join."""
    given, wanted = list(names), set(known)
    if strange := [name for name in given if name not in wanted]:
        raise ValueError(
            f"{path}: {len(strange)} of {len(given)} classes are not among the {len(wanted)} that "
            f"are known: {_some(strange)}; {nearest(strange[0], wanted)}"
        )
    if complete and (lacking := sorted(wanted - set(given))):
        raise ValueError(
            f"{path}: {len(lacking)} of {len(wanted)} classes have no count: {_some(lacking)}"
        )


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:NAMED])
    return f"{shown} and {len(names) - NAMED} more" if len(names) > NAMED else shown


def coloured(rows: Iterable[Any], at: int | None = None) -> Rows:
    """Rows as dictionaries, with the colour of that place."""
    colour = {} if at is None else {"colour": PALETTE[at % len(PALETTE)]}
    return [table.record(row) | colour for row in rows]
