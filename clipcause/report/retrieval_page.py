"""The page's section on test sets of captions: R@k by condition, beside the random split's."""

from html import escape

from clipcause.config.report import Report
from clipcause.evaluate.retrieval import DEPTHS
from clipcause.report import charts, colours
from clipcause.report.decimals import points
from clipcause.report.markup import (
    chip,
    data_table,
    difference,
    key,
    panels,
    paragraph,
    stroke,
    table_row,
)
from clipcause.report.retrieval_figures import depths, recall_panel
from clipcause.report.retrieved import DIRECTIONS
from clipcause.report.study import Study
from clipcause.report.tables.retrieval import Found, Line, Recall, bin_rows, rows

TITLE = "Finding captions and images"


def part(study: Study, parameters: Report, found: Found) -> str:
    """The section; empty in a study without such a test set."""
    html = ""
    for test, lines in found.items():
        if lines:
            html += _of_test(study, parameters, test, lines)
    if not html:
        return ""
    return (
        paragraph(
            "Each image asks for its caption among all captions of the test set, and each caption "
            "for its image among all images: R@k is the share that find it among the k nearest. "
            "Captions that are equal are one, and each of its images is right. Only CLIP has "
            "learnt what captions say; other models are not asked. Equally near ones count in the "
            "order of the test set."
        )
        + key([
            (chip(colours.GREY), "split"),
            (chip(colours.GREY, hollow=True), "random split of the same size"),
        ])
        + html
    )  # fmt: skip


def _of_test(study: Study, parameters: Report, test: str, lines: list[Line]) -> str:
    images = len(study.retrieval[test].manifest)
    captions = len(next(iter(study.retrieval[test].ranks.values())).row_T)
    made = rows(study, {test: lines})
    drawn = []
    for direction in DIRECTIONS.values():
        for depth in depths():
            mine = [row for row in made if (row["direction"], row["depth"]) == (direction, depth)]
            label = f"{depth} on {test}, {direction}, by training data; the table has the numbers."
            drawn.append(
                (f"{depth}, {direction}", charts.inline(recall_panel(lines, mine), mine, label))
            )
    body = []
    for line in lines:
        cells = []
        for direction in DIRECTIONS:
            cells += [_cell(line.recalls[direction, depth]) for depth in DEPTHS]
            cells.append(f"{line.median[direction]:g}")
        kind = "random" if line.condition.split in study.twins else ""
        body.append(table_row(escape(line.condition.name), cells, kind))
    head = ["training data"]
    for direction in DIRECTIONS.values():
        head += [f"{depth}<br><small>{direction}</small>" for depth in depths()]
        head.append(f"median rank<br><small>{direction}</small>")
    table = data_table(
        f"{test}, {images:,} images and {captions:,} captions: R@k in %. With it, points above "
        "(+) or below (−, worse) the random split of the same size and their 95 % paired interval; "
        "it is not corrected for "
        f"{len(DEPTHS) * len(DIRECTIONS)} looks at each condition. By chance R@1 would be "
        f"{100 / captions:.1g} %.",
        head,
        body,
    )
    return (
        f"<h3>{escape(test)}</h3>\n{table}{panels(drawn)}{_by_similarity(study, parameters, test)}"
    )


def _by_similarity(study: Study, parameters: Report, test: str) -> str:
    """R@1 of images by their similarity to the training data."""
    mine = [row for row in bin_rows(study, parameters) if row["test"] == test]
    if not mine:
        return ""
    colour = colours.colours(study)
    # splits have a line each; of those on random splits the page's key speaks above
    named = dict.fromkeys(row["split"] for row in mine)
    marks = [
        (stroke(colour[name], "5 3" if study.conditions[name].split in study.twins else ""), name)
        for name in named
    ]
    drawing = charts.inline(
        charts.bins_panel(title="R@1 / %"), mine,
        f"R@1 of the images of {test} by their similarity to the training data.",
    )  # fmt: skip
    return (
        paragraph(
            f"R@1, image to text, by the image's nearest similarity to the training data, the "
            f"reference included; bins of fewer than {parameters.least_per_bin} images are left "
            "out."
        )
        + key(marks)
        + panels([(test, drawing)], wide=True)
    )


def _cell(recall: Recall) -> str:
    text = points(recall.share.value)
    if recall.against is None:
        return text
    return f"{text}{difference(recall.against.difference)}"
