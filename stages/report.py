"""report: the analysis comes in; a page, tables and plots go out.

In: ``analysis/``, and of pool, reference and test sets the few images and embeddings that are
shown. Out: ``report/index.html``, ``report/table.md``, ``report/answer.md``, ``report/claims.md``,
``report/properties.md``, ``report/table.csv``, ``report/runs.csv`` (a line per run and test set,
with every factor and every number), ``report/plots/*.csv`` and ``report/figures/``. Nothing is
computed that a metric needs.
"""

from pathlib import Path

from clipcause.report import content, page
from clipcause.runtime.entry import run

FOLDER = Path("report")


def main() -> str:
    """Draw the study's analysis."""
    found = content.load()
    page.write(FOLDER, found)
    size = (FOLDER / "index.html").stat().st_size
    return (
        f"{len(found.lines)} rows x {len(found.study.tests)} test sets, "
        f"{FOLDER / 'index.html'} of {size / 1e6:.1f} MB"
    )


if __name__ == "__main__":
    run(main)
