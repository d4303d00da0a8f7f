"""The page: one self-contained HTML file, from parts that are made elsewhere in this package."""

from dataclasses import dataclass
from html import escape
from pathlib import Path
from string import Template

from stages.parameters.report import Report
from stages.report import bias_page, charts, definitions, gallery, published, series, words
from stages.report.bias import Bias
from stages.report.conditions import Condition
from stages.report.markup import (
    chip,
    data_table,
    details,
    key,
    panels,
    paragraph,
    section,
    stroke,
    table_row,
)  # fmt: skip
from stages.report.pictures import Duplicate
from stages.report.statistics import Bins, spearman
from stages.report.study import Study
from stages.report.table import Line, note, percent, points

HERE = Path(__file__).parent
TITLE = "Does CLIP generalise because its training data look like the test?"
NONE = "–"
SECTIONS = {
    "accuracy": "Accuracy",
    "published": "Beside the published study",
    **bias_page.SECTIONS,
    "similarity": "How similar the test images are",
    "bins": "Accuracy by similarity",
    "removed": "What pruning removed",
    "neighbours": "Nearest neighbours",
    "duplicates": "Near-duplicates in the pool",
    "splits": "How the splits were made",
    "credits": "Credits",
}


@dataclass(frozen=True)
class Content:
    """All that the page shows."""

    study: Study
    parameters: Report
    lines: list[Line]
    bins: dict[tuple[str, str], Bins]
    accuracy: series.Rows
    similarity: series.Rows
    binned: series.Rows
    duplicate_count: int
    duplicates: list[Duplicate]
    bias: Bias


def render(content: Content) -> str:
    """The whole page."""
    makers = {
        "accuracy": _accuracy(content),
        "published": _published(content),
        **bias_page.parts(content.study, content.bias),
        "similarity": _similarity(content),
        "bins": _bins(content),
        **gallery.parts(
            content.study, content.parameters, content.duplicate_count, content.duplicates
        ),
        "splits": definitions.part(content.study, content.parameters),
        "credits": gallery.credits_part(),
    }
    parts = {anchor: makers[anchor] for anchor in SECTIONS if makers[anchor]}
    links = "".join(f'<li><a href="#{name}">{escape(SECTIONS[name])}</a></li>' for name in parts)
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        title=escape(TITLE),
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        summary="".join(
            paragraph(text, "lead")
            for text in words.summary(content.study, content.lines, content.duplicate_count)
        ),
        contents=f"<ul>{links}</ul>",
        sections="".join(section(name, SECTIONS[name], html) for name, html in parts.items()),
    )


def _accuracy(content: Content) -> str:
    study = content.study
    tests = list(study.tests)
    counts = [f"{test}<br><small>{len(study.tests[test]):,} images</small>" for test in tests]
    head = ["training data", "pool images", '<a href="#share-removed">removed</a>', *counts]
    rows = []
    for line in content.lines:
        removed = NONE if line.removed is None else percent(line.removed)
        cells = [f"{line.rows:,}", removed, *(_cell(line, test) for test in tests)]
        if line.condition.is_supervised:
            cells[0] = f"{line.rows:,}<small>of the reference</small>"
        kind = "random" if line.condition.split in study.twins else ""
        rows.append(table_row(_named(study, line.condition, link=True), cells, kind))
    order = [name for name, one in study.conditions.items() if series.beside(study, one) == [name]]
    panel = charts.accuracy_panel(order)
    drawn = [
        (
            test,
            charts.inline(
                panel,
                [row for row in content.accuracy if row["test"] == test],
                f"Top-1 accuracy on {test} by training data; the table has the numbers.",
            ),
        )
        for test in tests
    ]
    marks = [
        (chip(series.GREY), "split"),
        (chip(series.GREY, hollow=True), "random split of the same size"),
        (stroke(series.GREY, "3 3"), "supervised"),
    ]
    return (
        data_table("Top-1 accuracy in % by training data and test set.", head, rows)
        + paragraph(note(study, content.lines), "soft")
        + '<p class="soft">Words: <a href="#hull">hull pruning</a>, <a href="#twin">random split of'
        ' the same size</a>, <a href="#interval">intervals</a>.</p>\n'
        + key(marks)
        + panels(drawn)
        + paragraph("Bars are 95 % Wilson intervals over the test images of one accuracy; whether "
                    "two accuracies differ is what the table's paired intervals say.", "soft")
    )  # fmt: skip


def _cell(line: Line, test: str) -> str:
    found = line.cells[test]
    text = f"{100 * found.top1.value:.1f}"
    if found.drop is None:
        return text
    kind = ' class="sure"' if found.drop.is_distinguishable else ""
    low, high = points(found.drop.low), points(found.drop.high)
    return f"{text}<small{kind}>{points(found.drop.value)} [{low}, {high}]</small>"


def _published(content: Content) -> str:
    study, theirs = content.study, published.load()
    by_name = {line.condition.name: line for line in content.lines}
    named = {test for row in theirs.rows for test in row.accuracy}
    tests = [test for test in study.tests if test in named]
    if not tests:
        return ""
    head = ["training data of the paper", "removed there", "ours", "removed here"]
    head += [f"{test}<br><small>{whose}</small>" for test in tests for whose in ("paper", "ours")]
    rows = []
    for pair in published.beside(study, theirs):
        line = by_name[pair.ours.name] if pair.ours else None
        cells = [pair.row.removed or NONE, NONE, NONE]
        if line is not None:
            gone = "" if line.removed is None else percent(line.removed)
            cells = [pair.row.removed or NONE, escape(line.condition.name), gone or NONE]
        for test in tests:
            cells.append(escape(pair.row.accuracy.get(test, NONE)))
            cells.append(f"{100 * line.cells[test].top1.value:.1f}" if line else NONE)
        rows.append(table_row(escape(pair.row.name), cells))
    link = f'<a href="https://arxiv.org/abs/{theirs.arxiv}">arXiv {theirs.arxiv}</a>'
    return (
        f"<p>“{escape(theirs.title)}”, {escape(theirs.venue)}, {link}. {escape(theirs.note)} "
        "Other images, classes and models are compared here: what can agree is the direction and "
        "the order, not the numbers.</p>\n"
        + data_table("Top-1 accuracy in %, as published and here.", head, rows)
    )


def _similarity(content: Content) -> str:
    study = content.study
    colour = series.colours(study)
    own = [name for name in study.rules if name not in study.twins]
    of = {one: random for random, others in reversed(study.twins.items()) for one in others}
    panel = charts.similarity_panel()
    html = paragraph(
        "For every test image the cosine similarity to its nearest neighbour: in the reference, in "
        "the pool, and in each split with the reference added. Further right is more similar. "
        f"Bins of {content.parameters.histogram_width:g}; similarity is measured by the encoder "
        f"“{study.encoder}”."
    )
    html += key([
        (chip(series.GREY), "split, in its colour"),
        (stroke(series.GREY, "5 2"), "random split of its size, in the same colour"),
        (stroke(series.GREY), "whole pool, without the reference"),
        (stroke(series.GREY, "2 2"), "reference"),
    ])  # fmt: skip
    for number, test in enumerate(study.tests):
        drawn = []
        for name in own:
            roles = {name: "split", "pool": "pool", "reference": "reference"}
            if name in of:
                roles[of[name]] = series.RANDOM
            rows = [
                {**row, "role": roles[row["data"]], "colour": colour.get(row["data"], series.GREY)}
                for row in content.similarity
                if row["test"] == test and row["data"] in roles
            ]
            label = f"Nearest similarity of {test} images to {name}, the pool and the reference."
            drawn.append((name, charts.inline(panel, rows, label)))
        html += details(test, panels(drawn), is_open=number == 0)
    return html


def _bins(content: Content) -> str:
    study = content.study
    panel = charts.bins_panel()
    colour = series.colours(study)
    drawn = []
    for test in study.tests:
        rows = [row for row in content.binned if row["test"] == test]
        if rows:
            label = f"Accuracy on {test} by similarity to the training data, a line per condition."
            drawn.append((test, charts.inline(panel, rows, label)))
    marks = []
    for name, one in study.conditions.items():
        dash = "5 2" if one.split in study.twins else "2 2" if one.is_supervised else ""
        marks.append((stroke(colour[name], dash), name))
    rows = []
    for name, one in study.conditions.items():
        cells = []
        for test in study.tests:
            bins = content.bins[name, test]
            value = spearman(bins)
            counted = f"{len(bins.count_B)} bins"
            if bins.images_left_out:
                counted += f", {bins.images_left_out} left out"
            cells.append(f"{NONE if value is None else f'{value:.2f}'}<small>{counted}</small>")
        kind = "random" if one.split in study.twins else ""
        rows.append(table_row(_named(study, one), cells, kind))
    theirs = published.load()
    known = [
        f"{theirs.spearman[test]} on {test}" for test in study.tests if test in theirs.spearman
    ]
    beside = f" The published study has {words.listed(known)}." if known else ""
    return (
        paragraph(
            "Test images by their nearest similarity to the data that the model was trained on, in "
            f"bins of {content.parameters.bin_width:g}; bins of fewer than "
            f"{content.parameters.least_per_bin} images are left out. Each point is the mean "
            "similarity of a bin and the accuracy in it."
        )
        + key(marks)
        + panels(drawn)
        + data_table(
            "Spearman's rank correlation of similarity and accuracy over bins, and how many images "
            "were left out; not defined (–) for fewer than three bins or equal accuracies. Few "
            f"bins easily come in order, so a 1 of three or four says little.{beside}",
            ["training data", *study.tests],
            rows,
        )
    )


def _named(study: Study, one: Condition, *, link: bool = False) -> str:
    dot = chip(series.colours(study)[one.name], hollow=one.split in study.twins)
    name = escape(one.name)
    if link and one.split in study.rules:
        name = f'<a href="#split-{escape(one.split)}">{name}</a>'
    seeds = f"<small>seeds {', '.join(map(str, one.seeds))}</small>" if len(one.seeds) > 1 else ""
    return dot + name + seeds
