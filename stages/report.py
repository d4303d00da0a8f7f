"""report: everything small comes in; a page, tables and plots go out.

In: predictions, metrics of `evaluate`, scores, gaps, splits, cards of checkpoints, manifests, class
frequencies, and of pool, reference and test sets the few images and embeddings that are shown; of
`probe` and `intraclass` what there is. Out: ``report/index.html``, ``report/table.md``,
``report/table.csv``, ``report/runs.csv`` (a line per run and test set, with every factor and every
number), ``report/plots/*.csv``, ``report/figures/``, ``metrics/report.json`` and
``metrics/summary.json`` (how sure the differences are).
"""

from pathlib import Path
from typing import Any

from clipcause.config import section
from clipcause.config.report import Report
from clipcause.report import (
    agreement,
    bias,
    charts,
    comparisons,
    copies,
    density,
    density_page,
    domains,
    explain,
    explain_page,
    matrix,
    page,
    pictures,
    retrieval,
    robustness,
    series,
    similarity_page,
    study,
    table,
    tidy,
    yardsticks,
)
from clipcause.report.content import Content
from clipcause.report.statistics import spearman
from clipcause.runtime import atomic, metrics
from clipcause.runtime.entry import run

FOLDER = Path("report")
METRICS = Path("metrics/report.json")
SUMMARY = Path("metrics/summary.json")


def collect(parameters: Report) -> Content:
    """Read the study and compute all that is shown."""
    found = study.load()
    lines = table.make(found, parameters)
    bins = series.all_bins(found, parameters)
    count, duplicates = pictures.duplicates(parameters.duplicates)
    return Content(
        study=found,
        parameters=parameters,
        lines=lines,
        bins=bins,
        accuracy=series.accuracy_rows(found, lines),
        similarity=series.similarity_rows(found, parameters.histogram_width),
        binned=series.bin_rows(found, bins),
        duplicate_count=count,
        duplicates=duplicates,
        bias=bias.load(found),
        edges=density.load(found),
        explained=explain.load(found, parameters),
        shifts=robustness.load(found, parameters),
        retrieval=retrieval.load(found, parameters),
        agreements=agreement.load(found),
    )


def numbers(content: Content) -> dict[str, Any]:
    """The metrics: accuracies, drops, and Spearman's coefficients where they are defined."""
    coefficients: dict[str, dict[str, float]] = {}
    for (name, test), bins in content.bins.items():
        value = spearman(bins)
        if value is not None:
            coefficients.setdefault(table.path(name), {})[test] = value
    return {
        **table.numbers(content.study, content.lines),
        "spearman": coefficients,
        "explained": explain.numbers(content.explained),
        "robustness": robustness.numbers(content.shifts),
        **({"retrieval": asked} if (asked := retrieval.numbers(content.retrieval)) else {}),
    }


def write(content: Content, folder: Path) -> None:
    """Write all outputs but the metrics."""
    texts = {
        "index.html": page.render(content),
        "table.md": table.to_markdown(content.study, content.lines),
        "table.csv": table.to_csv(content.lines),
        "runs.csv": tidy.to_csv(content.bias.runs),
    }
    for name, text in texts.items():
        with atomic.file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    with atomic.folder(folder / "plots") as out:
        for name in series.COLUMNS:
            text = series.to_csv(name, getattr(content, name))
            (out / f"{name}.csv").write_text(text, encoding="utf-8")
        for name, rows in content.bias.rows.items():
            (out / f"{name}.csv").write_text(bias.to_csv(name, rows), encoding="utf-8")
        differences = comparisons.rows(content.study, comparisons.family(content.lines))
        (out / "comparisons.csv").write_text(
            bias.table(comparisons.COLUMNS, differences), encoding="utf-8"
        )
        for name, (columns, rows) in explain_page.tables(content).items():
            (out / f"{name}.csv").write_text(bias.table(columns, rows), encoding="utf-8")
        asked = retrieval.tables(content.study, content.parameters, content.retrieval)
        for name, (columns, rows) in asked.items():
            (out / f"{name}.csv").write_text(bias.table(columns, rows), encoding="utf-8")
        for topic in (matrix, density_page, copies, domains, yardsticks):
            for name, (columns, rows) in topic.tables(content).items():
                (out / f"{name}.csv").write_text(bias.table(columns, rows), encoding="utf-8")
    with atomic.folder(folder / "figures") as out:
        drawn = charts.figures(
            content.study, content.accuracy, content.binned, similarity_page.lines_of(content.study)
        )
        drawn = {name: spec for name, spec in drawn.items() if spec["data"]["values"]}
        drawn |= bias.figures(content.study, content.bias)
        for topic in (domains, yardsticks, matrix, density_page):
            drawn |= topic.figures(content)
        drawn |= comparisons.figures(content)
        drawn |= explain_page.figures(content)
        drawn |= retrieval.figures(content.study, content.retrieval)
        for name, spec in drawn.items():
            drawing = charts.svg(spec, background="white")
            (out / f"{name}.svg").write_text(drawing, encoding="utf-8")
            (out / f"{name}.png").write_bytes(charts.png(drawing))


def main() -> str:
    content = collect(section("report", Report))
    write(content, FOLDER)
    metrics.write(METRICS, numbers(content))
    metrics.write(SUMMARY, comparisons.numbers(comparisons.family(content.lines)))
    size = (FOLDER / "index.html").stat().st_size
    return (
        f"{len(content.lines)} rows x {len(content.study.tests)} test sets, "
        f"{FOLDER / 'index.html'} of {size / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    run(main)
