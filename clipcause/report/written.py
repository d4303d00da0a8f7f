"""The files of a report."""

from pathlib import Path

from clipcause.report import figures, markdown, page, tables
from clipcause.report.content import Content
from clipcause.report.figures import drawing
from clipcause.report.tables import accuracy, runs, table
from clipcause.runtime import atomic


def write(folder: Path, content: Content) -> None:
    """Write page, tables, the plots' CSV files and figures."""
    texts = {
        "index.html": page.render(content),
        "table.md": markdown.to_markdown(content.study, content.lines),
        "table.csv": accuracy.to_csv(content.lines),
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
