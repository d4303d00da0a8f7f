"""The files of a report: tables, figures, and the page, one self-contained HTML file.

A section is declared once, here, in its place. Its view, in `sections/`, turns what the report has
into what the section says, as plain data, or into None where the study has nothing for it; its
template, `templates/ID.html.j2`, says it. Every text is escaped where it is put in.
"""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from clipcause.report import examples, figures, markdown, tables, which_property
from clipcause.report.colours import GREY
from clipcause.report.content import Content
from clipcause.report.figures import drawing
from clipcause.report.sections import (
    accuracy,
    agreement,
    bias,
    comparisons,
    copied,
    density,
    domains,
    explained,
    frequencies,
    gallery,
    matrix,
    properties,
    retrieval,
    robustness,
    similarity,
    splits,
    summary,
)
from clipcause.report.sections.elements import sorted_by
from clipcause.report.tables import runs, table
from clipcause.report.tables.accuracy import to_csv
from clipcause.runtime import atomic

TEMPLATES = Path(__file__).parent / "templates"
View = Callable[[Content], dict[str, Any] | None]


@dataclass(frozen=True)
class Section:
    """A section that can be linked to by its ``id``; its template has the same name."""

    id: str
    title: str
    view: View


SECTIONS = (
    Section("accuracy", "Accuracy", accuracy.view),
    Section("comparisons", "How sure the differences are", comparisons.view),
    Section("properties", "Which property?", properties.view),
    Section("pictures", "Pictures", gallery.view),
    Section("published", "Beside the published study", accuracy.published_view),
    Section("frequency", "Class frequency", bias.frequency),
    Section("bias", "Bias towards frequent classes", bias.bias),
    Section("scale", "Uniform shares of the data", bias.scale),
    Section("tail", "Trimmed tails", bias.tail),
    Section("perclass", "Accuracy by class frequency", bias.perclass),
    Section("probes", "Linear probes", bias.probes),
    Section("intraclass", "Similarity within classes", bias.intraclass),
    Section("similarity", "How similar the test images are", similarity.similarity),
    Section("bins", "Accuracy by similarity", similarity.bins),
    Section("frequencies", "Accuracy by frequency and similarity", frequencies.view),
    Section("explained", "How much of a difference similarity explains", explained.view),
    Section("robustness", "Effective robustness", robustness.view),
    Section("retrieval", "Finding captions and images", retrieval.view),
    Section("matrix", "Every split on every test set", matrix.view),
    Section("agreement", "By other encoders and references", agreement.view),
    Section("domains", "Whole domains", domains.view),
    Section("density", "How dense the edge of the hull is", density.view),
    Section("copied", "Duplicates of test images", copied.view),
    Section("splits", "How the splits were made", splits.view),
    Section("credits", "Credits", splits.credits_view),
)


def write(folder: Path, content: Content) -> None:
    """Write page, tables, the plots' CSV files and figures."""
    texts = {
        "index.html": render(content),
        "table.md": markdown.to_markdown(content.study, content.lines),
        "claims.md": markdown.claims(
            content.compared, content.rows("power"), content.beside_labels, content.predicted
        ),
        "answer.md": markdown.answer(content) or which_property.answer(content.rows("properties")),
        "properties.md": which_property.to_markdown(content, content.rows("properties")),
        "table.csv": to_csv(content.lines),
        "runs.csv": runs.to_csv(content.runs),
    }
    for name, text in texts.items():
        with atomic.file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    with atomic.folder(folder / "plots") as out:
        for name, one in tables.load().items():
            text = table.to_csv([*one.columns, *one.looks], content.rows(name))
            (out / f"{name}.csv").write_text(text, encoding="utf-8")
    with atomic.folder(folder / "figures") as out:
        for one in figures.load().values():
            drawing.write(one.files(content), out)
        if shown := examples.chosen(content.sources, content.parameters.examples):
            (out / examples.FILE).write_bytes(examples.drawn(shown))


def environment() -> Environment:
    """Where templates are found and how: all is escaped, a name that no view gives is an error, and
    the macros are `page`."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"sorted_by": sorted_by, "one_line": one_line}
    macros = made.get_template("macros.html.j2", globals={"grey": GREY})
    cast("dict[str, Any]", made.globals)["page"] = macros.module
    return made


def one_line(text: str) -> str:
    """A text without the line breaks that a template has; what was escaped stays so."""
    # blanks that do not break stay
    return type(text)(re.sub(r"[ \n]+", " ", text).strip(" "))


def render(content: Content) -> str:
    """The whole page."""
    templates = environment()
    views = [(one, view) for one in SECTIONS if (view := one.view(content)) is not None]
    style, script = (
        (TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js")
    )
    return templates.get_template("page.html.j2").render(
        **summary.view(content),
        sections=[(one, Markup(drawn(templates, one, view, content))) for one, view in views],
        # files of this package, not data
        style=Markup(style),
        script=Markup(script),
        allowed=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )


def drawn(templates: Environment, one: Section, view: dict[str, Any], content: Content) -> str:
    """A section's own part of the page."""
    study, parameters = content.study, content.parameters
    known = {"tests": list(study.tests), "encoder": study.encoder, "parameters": parameters}
    return templates.get_template(f"{one.id}.html.j2", globals=known).render(view)
