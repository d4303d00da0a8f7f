"""report: everything small comes in; a page, tables and plots go out.

In: predictions, metrics of `evaluate`, scores, gaps, splits, cards of checkpoints, manifests, class
frequencies, and of pool, reference and test sets the few images and embeddings that are shown; of
`probe` and `intraclass` what there is. Out: ``report/index.html``, ``report/table.md``,
``report/table.csv``, ``report/runs.csv`` (a line per run and test set, with every factor and every
number), ``report/plots/*.csv``, ``report/figures/``, ``metrics/report.json`` and
``metrics/summary.json`` (how sure the differences are).

``python -m stages.report compare A B`` compares any two runs, conditions or splits, also of git
revisions, and writes nothing.
"""

import sys
from pathlib import Path
from typing import Any

from clipcause.config import section
from clipcause.config.report import Report
from clipcause.report import (
    compare,
    figures,
    page,
    pictures,
    study,
)
from clipcause.report.content import Content
from clipcause.report.figures import drawing
from clipcause.report.statistics import spearman
from clipcause.report.tables import (
    accuracy,
    agreement,
    bias,
    comparisons,
    density,
    explained,
    retrieval,
    robustness,
    runs,
    series,
    tabular,
)
from clipcause.runtime import atomic, metrics
from clipcause.runtime.entry import run

FOLDER = Path("report")
METRICS = Path("metrics/report.json")
SUMMARY = Path("metrics/summary.json")


def collect(parameters: Report) -> Content:
    """Read the study and compute all that is shown."""
    found = study.load()
    lines = accuracy.make(found, parameters)
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
        explained=explained.load(found, parameters),
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
            coefficients.setdefault(accuracy.path(name), {})[test] = value
    return {
        **accuracy.numbers(content.study, content.lines),
        "spearman": coefficients,
        "explained": explained.numbers(content.explained),
        "robustness": robustness.numbers(content.shifts),
        **({"retrieval": asked} if (asked := retrieval.numbers(content.retrieval)) else {}),
    }


def write(content: Content, folder: Path) -> None:
    """Write all outputs but the metrics."""
    texts = {
        "index.html": page.render(content),
        "table.md": accuracy.to_markdown(content.study, content.lines),
        "table.csv": accuracy.to_csv(content.lines),
        "runs.csv": runs.to_csv(content.bias.runs),
    }
    for name, text in texts.items():
        with atomic.file(folder / name) as temporary:
            temporary.write_text(text, encoding="utf-8")
    with atomic.folder(folder / "plots") as out:
        for name, (columns, rows) in content.tables.items():
            (out / f"{name}.csv").write_text(tabular.table(columns, rows), encoding="utf-8")
    with atomic.folder(folder / "figures") as out:
        for one in figures.load().values():
            drawing.write(one.files(content), out)


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


def usage() -> str:
    """What can be said after `python -m stages.report`."""
    return (
        "usage: python -m clipcause.report                 make the report (the stage itself)\n"
        "       python -m stages.report compare A B     compare runs, conditions or splits\n"
        "       python -m stages.report compare --help  how to name them\n\n"
        f"{__doc__}"
    ).rstrip()


if __name__ == "__main__":
    if sys.argv[1:2] in (["--help"], ["-h"]):
        print(usage())
    elif sys.argv[1:]:
        compare.start(sys.argv[1:])
    else:
        run(main)
