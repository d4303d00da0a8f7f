"""Two matrices: every split on every test set, and how far splits removed the same rows."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from clipcause.prune import split
from clipcause.prune.split import Split
from clipcause.report import charts, classwise, series, similarity_page, table
from clipcause.report.content import Content
from clipcause.report.markup import chip, data_table, details, paragraph, table_row
from clipcause.report.matrix_charts import accuracy_panel, overlap_panel
from clipcause.report.series import Rows
from clipcause.report.study import Study
from clipcause.report.table import Line, points, signed

TITLE = "Every split on every test set"
MOST = 24  # splits of one matrix of overlaps
COLUMNS = {
    "matrix": ("test", "split", "kind", "top1", "difference", "low", "high", "said", "told"),
    "overlap": ("base", "first", "second", "removed_first", "removed_second", "jaccard", "chance"),
}


def accuracy_rows(study: Study, lines: Sequence[Line]) -> Rows:
    """Per condition and test set the accuracy in %, and how many points it is above (+) or below
    (-) the random split of its size, with the 95 % interval of that; empty without such a split.

    ``said`` and ``told`` are accuracy and difference as the plot says them, since its own rounding
    is not the page's; a star where the difference's interval leaves out zero.
    """
    found: Rows = []
    for line in lines:
        one = line.condition
        kind = "supervised" if one.is_supervised else "split"
        kind = series.RANDOM if one.split in study.twins else kind
        for test, cell in line.cells.items():
            row: dict[str, Any] = {"test": test, "split": one.name, "kind": kind}
            row["top1"], row["said"] = _round(100 * cell.top1.value), points(cell.top1.value)
            row |= dict.fromkeys(("difference", "low", "high", "told"))
            if (drop := cell.drop) is not None:
                row["difference"] = _round(-100 * drop.value)
                row["low"], row["high"] = _round(-100 * drop.high), _round(-100 * drop.low)
                row["told"] = signed(-drop.value) + "*" * drop.is_distinguishable
            found.append(row)
    return found


def removed(study: Study) -> dict[str, dict[str, Split]]:
    """By base, what every split removed from it. Splits that removed nothing, or are not a part of
    their base, and bases with one split, are left out."""
    found: dict[str, dict[str, Split]] = {}
    for name, rule in study.rules.items():
        base, own = study.base_of(name), study.splits[name]
        gone = split.difference(base, own)
        # a rule that adds or repeats rows has no removed set
        if len(gone) and len(gone) == len(base) - len(own):
            found.setdefault(rule.base, {})[name] = gone
    return {base: of for base, of in found.items() if len(of) > 1}


def overlap_rows(study: Study) -> Rows:
    """Per base and pair of its splits, the Jaccard index of what they removed: rows that both
    removed over rows that either did. ``chance``: what two random choices of their sizes would
    have, by the expected number of common rows."""
    found: Rows = []
    for base, of in removed(study).items():
        total = len(study.splits[base])
        alike: dict[frozenset[str], float] = {}
        for first, a in of.items():
            for second, b in of.items():
                pair = frozenset((first, second))
                if pair not in alike:
                    alike[pair] = split.jaccard(a, b)
                common = len(a) * len(b) / total
                chance = 1.0 if first == second else common / (len(a) + len(b) - common)
                found.append(
                    {
                        "base": base,
                        "first": first,
                        "second": second,
                        "removed_first": len(a),
                        "removed_second": len(b),
                        "jaccard": _round(alike[pair]),
                        "chance": _round(chance),
                    }
                )
    return found


def tables(content: Content) -> dict[str, tuple[Sequence[str], Rows]]:
    """The data of the plots by name, columns and rows."""
    return {
        "matrix": (COLUMNS["matrix"], accuracy_rows(content.study, content.lines)),
        "overlap": (COLUMNS["overlap"], overlap_rows(content.study)),
    }


def figures(content: Content) -> dict[str, charts.Spec]:
    """The figures that are files, by name; one without data is absent."""
    study = content.study
    shown, tests = similarity_page.lines_of(study), list(study.tests)
    drawn = {
        "matrix": {
            **accuracy_panel(shown, tests),
            "data": {"values": _of(accuracy_rows(study, content.lines), shown)},
            "title": {
                "text": "Every split on every test set",
                "subtitle": "Top-1 accuracy in %; below it points above or below the random split "
                "of its size, starred where the 95 % interval leaves out zero.",
                "anchor": "start",
            },
        }
    }
    for base, names in _drawn(study).items():
        rows = _pairs(overlap_rows(study), base, names)
        drawn["overlap" if "overlap" not in drawn else f"overlap-{base}"] = {
            **overlap_panel(names),
            "data": {"values": rows},
            "title": {
                "text": f"How far splits of “{base}” removed the same images",
                "subtitle": "Jaccard index of the removed images.",
                "anchor": "start",
            },
        }
    return drawn


def part(content: Content) -> str:
    """The section."""
    return _accuracies(content) + _overlaps(content.study)


def _accuracies(content: Content) -> str:
    study = content.study
    shown, tests = similarity_page.lines_of(study), list(study.tests)
    rows = accuracy_rows(study, content.lines)
    svg = charts.inline(
        accuracy_panel(shown, tests),
        _of(rows, shown),
        "Top-1 accuracy of every split on every test set, coloured by its difference from the "
        "random split of its size; the table below has the numbers.",
    )
    text = (
        "Is what a split loses specific to the test set that it was pruned for? Each cell: top-1 "
        "accuracy in %, and below it the points above (+) or below (−) the random split of "
        "the same size. Blue is above, orange below, white has no such split; a star: the 95 % "
        "paired-bootstrap interval over test images leaves out zero, for this cell alone, without "
        "a correction for the number of cells."
    )
    html = paragraph(text) + f'<div class="matrix">{svg}</div>\n'
    if (left_out := len(study.conditions) - len(shown)) > 0:
        html += paragraph(f"{left_out} further conditions are in the table only.", "soft")
    return html + details("Table", _accuracy_table(study, content.lines, rows))


def _accuracy_table(study: Study, lines: Sequence[Line], rows: Rows) -> str:
    of = {(row["split"], row["test"]): row for row in rows}
    made = []
    for line in lines:
        one = line.condition
        cells = [_cell(of[one.name, test]) for test in study.tests]
        kind = "random" if one.split in study.twins else ""
        made.append(table_row(similarity_page.named(study, one, link=True), cells, kind))
    return data_table(
        "Points above (+) or below (−) the random split of the same size, their 95 % "
        "interval, and the accuracy in %; of a condition without such a split the accuracy alone.",
        ["training data", *study.tests],
        made,
    )


def _cell(row: Mapping[str, Any]) -> str:
    accuracy = f"{row['said']} %"
    if row["difference"] is None:
        return f"–<small>{accuracy}</small>"
    low, high = signed(row["low"] / 100), signed(row["high"] / 100)
    return f"{signed(row['difference'] / 100)}<small>[{low}, {high}]<br>{accuracy}</small>"


def _overlaps(study: Study) -> str:
    rows, drawn = overlap_rows(study), _drawn(study)
    if not drawn:
        return ""
    html = "<h3>What splits removed in common</h3>\n" + paragraph(
        "The Jaccard index of two splits: images that both removed, over images that either did; "
        "1 is the same images, 0 none in common. Only splits of the same base are compared, and "
        "what larger splits have in common is larger by chance alone: the table has beside each "
        "number what two random choices of these sizes would have. Random splits drawn with one "
        "seed have more in common than that: the smaller one is a part of the larger one."
    )
    for base, names in drawn.items():
        pairs = _pairs(rows, base, names)
        label = f"Jaccard index of what splits of {base} removed; the table below has the numbers."
        svg = charts.inline(overlap_panel(names), pairs, label)
        of = {(row["first"], row["second"]): row for row in pairs}
        colour = series.colours(study)
        lines = [
            table_row(
                chip(colour[first], hollow=first in study.twins) + escape(first),
                [
                    f"{of[first, first]['removed_first']:,}",
                    *(_pair(of[first, second]) for second in names),
                ],
                series.RANDOM if first in study.twins else "",
            )
            for first in names
        ]
        every = {row["first"] for row in rows if row["base"] == base}
        caption = (
            f"Splits of “{base}” ({len(study.splits[base]):,} images): how many images each "
            "removed, and the Jaccard index of pairs with what chance would give."
        )
        if len(names) < len(every):
            caption += f" {len(every) - len(names)} further splits are in plots/overlap.csv only."
        head = ["split", "removed", *map(escape, names)]
        html += (
            f'<div class="matrix">{svg}</div>\n'
            + details(f"Table of splits of {base}", data_table(caption, head, lines))
        )  # fmt: skip
    return html


def _pair(row: Mapping[str, Any]) -> str:
    if row["first"] == row["second"]:
        return "1"
    return f"{row['jaccard']:.2f}<small>chance {row['chance']:.2f}</small>"


def _drawn(study: Study) -> dict[str, list[str]]:
    """By base the splits of its matrix: where not all fit, those that no rule chose by class."""
    chosen = {}
    for base, of in removed(study).items():
        names = list(of)
        if len(names) > MOST:
            plain = [one for one in names if not classwise.is_classwise(study.rules[one])]
            names = (plain if len(plain) > 1 else names)[:MOST]
        chosen[base] = names
    return chosen


def _pairs(rows: Rows, base: str, names: Sequence[str]) -> Rows:
    kept = set(names)
    return [row for row in rows if row["base"] == base and {row["first"], row["second"]} <= kept]


def _of(rows: Rows, names: Sequence[str]) -> Rows:
    return [row for row in rows if row["split"] in names]


def _round(value: float) -> float:
    return round(value, table.DIGITS - 2) + 0.0
