"""The page's sections on similarity: how near the test images are, and accuracy by that."""

from html import escape

from clipcause.report import charts, classwise, colours, decimals, published
from clipcause.report.charts import lines_of
from clipcause.report.conditions import Condition
from clipcause.report.content import Content
from clipcause.report.markup import (
    chip,
    data_table,
    details,
    key,
    panels,
    paragraph,
    stroke,
    table_row,
)
from clipcause.report.statistics import spearman
from clipcause.report.study import Study
from clipcause.report.tables import tabular

MOST_PANELS = 16  # of splits, for every test set
MOST_OPEN = 8  # rows of a table that is not folded away
NONE = "–"


def similarity(content: Content) -> str:
    """Histograms of nearest similarity, a panel per split and test set."""
    study = content.study
    colour = colours.colours(study)
    every = [name for name in study.rules if name not in study.twins]
    # what was chosen by class has no reason to be nearer to a test set
    own = [name for name in every if not classwise.is_classwise(study.rules[name])][:MOST_PANELS]
    of = {one: random for random, others in reversed(study.twins.items()) for one in others}
    panel = charts.similarity_panel()
    html = paragraph(
        "For every test image the cosine similarity to its nearest neighbour: in the reference, in "
        "the pool, and in each split with the reference added. Further right is more similar. "
        f"Bins of {content.parameters.histogram_width:g}; similarity is measured by the encoder "
        f"“{study.encoder}”."
    )
    html += key([
        (chip(colours.GREY), "split, in its colour"),
        (stroke(colours.GREY, "5 2"), "random split of its size, in the same colour"),
        (stroke(colours.GREY), "whole pool, without the reference"),
        (stroke(colours.GREY, "2 2"), "reference"),
    ])  # fmt: skip
    if len(own) < len(every):
        html += paragraph(f"{_further(len(every) - len(own), 'split')}", "soft")
    for number, test in enumerate(study.suite):
        drawn = []
        for name in own:
            roles = {name: "split", "pool": "pool", "reference": "reference"}
            if name in of:
                roles[of[name]] = tabular.RANDOM
            rows = [
                {**row, "role": roles[row["data"]], "colour": colour.get(row["data"], colours.GREY)}
                for row in content.similarity
                if row["test"] == test and row["data"] in roles
            ]
            label = f"Nearest similarity of {test} images to {name}, the pool and the reference."
            drawn.append((name, charts.inline(panel, rows, label)))
        html += details(test, panels(drawn), is_open=number == 0)
    return html


def bins(content: Content) -> str:
    """Accuracy in bins of similarity, and its rank correlation."""
    study = content.study
    panel = charts.bins_panel()
    colour = colours.colours(study)
    drawn = []
    shown = lines_of(study)
    for test in study.tests:
        rows = [row for row in content.binned if row["test"] == test and row["split"] in shown]
        if rows:
            label = f"Accuracy on {test} by similarity to the training data, a line per condition."
            drawn.append((test, charts.inline(panel, rows, label)))
    marks = []
    for name in shown:
        one = study.conditions[name]
        dash = "5 2" if one.split in study.twins else "2 2" if one.is_supervised else ""
        marks.append((stroke(colour[name], dash), name))
    rows = []
    for name, one in study.conditions.items():
        cells = []
        for test in study.tests:
            found = content.bins[name, test]
            value = spearman(found)
            counted = f"{len(found.count_B)} bins"
            if found.images_left_out:
                counted += f", {found.images_left_out} left out"
            cells.append(f"{NONE if value is None else f'{value:.2f}'}<small>{counted}</small>")
        kind = "random" if one.split in study.twins else ""
        rows.append(table_row(named(study, one), cells, kind))
    theirs = published.load()
    left_out = len(study.conditions) - len(shown)
    known = [
        f"{theirs.spearman[test]} on {test}" for test in study.tests if test in theirs.spearman
    ]
    beside = f" The published study has {decimals.listed(known)}." if known else ""
    table = data_table(
        "Spearman's rank correlation of similarity and accuracy over bins, and how many images "
        "were left out; not defined (–) for fewer than three bins or equal accuracies. Few "
        f"bins easily come in order, so a 1 of three or four says little.{beside}",
        ["training data", *study.tests],
        rows,
    )
    return (
        paragraph(
            "Test images by their nearest similarity to the data that the model was trained on, in "
            f"bins of {content.parameters.bin_width:g}; bins of fewer than "
            f"{content.parameters.least_per_bin} images are left out. Each point is the mean "
            "similarity of a bin and the accuracy in it."
        )
        + key(marks)
        + panels(drawn)
        + (paragraph(_further(left_out, "condition"), "soft") if left_out else "")
        + (details(f"Table of {len(rows)} conditions", table) if len(rows) > MOST_OPEN else table)
    )


def _further(count: int, what: str) -> str:
    are = "s are" if count > 1 else " is"
    return f"{count} further {what}{are} not drawn here; the tables of the plots have all."


def named(study: Study, one: Condition, *, link: bool = False) -> str:
    """A condition's name with its colour and its seeds, on request linked to its split."""
    dot = chip(colours.colours(study)[one.name], hollow=one.split in study.twins)
    name = escape(one.name)
    if link and one.split in study.rules:
        name = f'<a href="#split-{escape(one.split)}">{name}</a>'
    seeds = f"<small>seeds {', '.join(map(str, one.seeds))}</small>" if len(one.seeds) > 1 else ""
    return dot + name + seeds
