"""catalogue: the icon package comes in; who plays which part goes out (`data/catalogue/`).

What is dealt out, and how, is in ``clipcause.icons.deal``; `prepare` draws what each data set
needs.
"""

from pathlib import Path

from clipcause.config import layout, section, versions
from clipcause.config.icons import Icons
from clipcause.icons import catalogue
from clipcause.icons.deal import deal
from clipcause.runtime import metrics
from clipcause.runtime.entry import run

METRICS = Path("metrics/catalogue.json")


def main() -> str:
    """Write the catalogue, an empty one for a study that draws no icons (`fetch.package` none)."""
    if not layout.RAW_ICONS.stat().st_size:
        catalogue.write(catalogue.FOLDER, {}, [], [])
        metrics.write(METRICS, {"sets": 0})
        return "no icons were fetched: the catalogue is empty"
    versions.check("resvg-py")
    made = deal(layout.RAW_ICONS, section("icons", Icons))
    catalogue.write(catalogue.FOLDER, made.rows, made.left_out, made.attribution)
    metrics.write(METRICS, made.numbers)
    return ", ".join(f"{role} {count:,}" for role, count in made.numbers["roles"].items())


if __name__ == "__main__":
    run(main)
