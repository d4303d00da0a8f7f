"""The page: one self-contained HTML file, from parts that are made elsewhere in this package."""

import base64
import hashlib
from html import escape
from pathlib import Path
from string import Template

from clipcause.config.splits import Hull, Ranked
from clipcause.report import (
    bias_page,
    charts,
    classwise,
    colours,
    comparisons_page,
    copies_page,
    definitions,
    density_page,
    domains_page,
    explain_page,
    gallery,
    markup,
    matrix_page,
    published,
    retrieval_page,
    similarity_page,
    summary,
    yardsticks_page,
)
from clipcause.report.content import Content
from clipcause.report.decimals import percent, points
from clipcause.report.markup import (
    bullets,
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
from clipcause.report.study import Study
from clipcause.report.tables import tabular
from clipcause.report.tables.accuracy import Line, note

HERE = Path(__file__).parent
TITLE = "Does CLIP generalise because its training data look like the test?"
LONG_TAIL = "Why is CLIP robust to a long tail of classes?"
MOST_OPEN = 40  # rows of a table that is not folded away
WIDE = 30  # letters of a condition's name that want a plot a column of its own
NONE = "–"
SECTIONS = {
    "accuracy": "Accuracy",
    "comparisons": "How sure the differences are",
    "pictures": "Pictures",
    "published": "Beside the published study",
    **bias_page.SECTIONS,
    "similarity": "How similar the test images are",
    "bins": "Accuracy by similarity",
    **explain_page.SECTIONS,
    "retrieval": retrieval_page.TITLE,
    "matrix": matrix_page.TITLE,
    "yardsticks": yardsticks_page.TITLE,
    "domains": domains_page.TITLE,
    "density": density_page.TITLE,
    "copied": copies_page.TITLE,
    "splits": "How the splits were made",
    "credits": "Credits",
}


def render(content: Content) -> str:
    """The whole page."""
    makers = {
        "accuracy": _accuracy(content),
        "comparisons": comparisons_page.part(content),
        "published": _published(content),
        **bias_page.parts(content.study, content.bias),
        "similarity": similarity_page.similarity(content),
        "bins": similarity_page.bins(content),
        **explain_page.parts(content),
        "retrieval": retrieval_page.part(content.study, content.parameters, content.retrieval),
        "matrix": matrix_page.part(content),
        "yardsticks": yardsticks_page.part(content),
        "density": density_page.part(content),
        "copied": copies_page.part(content),
        "pictures": gallery.part(
            content.study, content.parameters, content.duplicate_count, content.duplicates
        ),
        "domains": domains_page.part(content),
        "splits": definitions.part(content.study, content.parameters),
        "credits": gallery.credits_part(),
    }
    parts = {anchor: makers[anchor] for anchor in SECTIONS if makers[anchor]}
    links = "".join(f'<li><a href="#{name}">{escape(SECTIONS[name])}</a></li>' for name in parts)
    script = (HERE / "page.js").read_text(encoding="utf-8")
    return Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        script=script,
        allowed=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        title=escape(_title(content.study)),
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        summary=_summary(content),
        contents=f"<ul>{links}</ul>",
        sections="".join(section(name, SECTIONS[name], html) for name, html in parts.items()),
    )


def _summary(content: Content) -> str:
    """What was pruned, what that did, how sure it is; class frequency is folded away where the
    study asks after similarity."""
    first, found, last = summary.summary(content)
    bias = bias_page.summary(content.study, content.bias)
    if _title(content.study) == LONG_TAIL:
        found, bias = [*found, *bias], []
    return (
        "".join(paragraph(text, "lead") for text in first)
        + bullets(found, "lead")
        + "".join(paragraph(text, "lead") for text in last)
        + (details("How accuracy follows class frequency", bullets(bias)) if bias else "")
    )


def _title(study: Study) -> str:
    """The question: that of the study of class-wise splits where no rule looks at test images."""
    rules = study.rules.values()
    looks_at_tests = any(isinstance(rule, Hull | Ranked) for rule in rules)
    if any(classwise.is_classwise(rule) for rule in rules) and not looks_at_tests:
        return LONG_TAIL
    return TITLE


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
        rows.append(table_row(similarity_page.named(study, line.condition, link=True), cells, kind))
    order = [name for name, one in study.conditions.items() if tabular.beside(study, one) == [name]]
    paired = any(row["kind"] == tabular.RANDOM for row in content.accuracy)
    panel = charts.accuracy_panel(order, paired=paired)
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
        (chip(colours.GREY), "split"),
        (chip(colours.GREY, hollow=True), "random split of the same size"),
        (stroke(colours.GREY, "3 3"), "supervised"),
    ]
    table = data_table("Top-1 accuracy in % by training data and test set.", head, rows)
    if len(rows) > MOST_OPEN:
        table = details(f"Table of {len(rows)} conditions", table, is_open=True)
    return (
        table
        + paragraph(note(study, content.lines), "soft")
        + '<p class="soft">Words: <a href="#hull">hull pruning</a>, <a href="#twin">random split of'
        ' the same size</a>, <a href="#interval">intervals</a>.</p>\n'
        + key(marks)
        + panels(drawn, wide=max(map(len, order)) > WIDE)
        + paragraph("Bars are 95 % Wilson intervals over the test images of one accuracy; whether "
                    "two accuracies differ is what the table's paired intervals say.", "soft")
    )  # fmt: skip


def _cell(line: Line, test: str) -> str:
    found = line.cells[test]
    text = points(found.top1.value)
    if found.difference is None:
        return text
    return f"{text}{markup.difference(found.difference)}"


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
            cells.append(points(line.cells[test].top1.value) if line else NONE)
        rows.append(table_row(escape(pair.row.name), cells))
    link = f'<a href="https://arxiv.org/abs/{theirs.arxiv}">arXiv {theirs.arxiv}</a>'
    return (
        f"<p>“{escape(theirs.title)}”, {escape(theirs.venue)}, {link}. {escape(theirs.note)} "
        "Other images, classes and models are compared here: what can agree is the direction and "
        "the order, not the numbers.</p>\n"
        + data_table("Top-1 accuracy in %, as published and here.", head, rows)
    )
