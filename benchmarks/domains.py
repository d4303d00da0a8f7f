"""Do labelled rows say how precise a classifier of domains is in the pool?

    python -m benchmarks.domains style --write benchmarks/domains.md

Follow-up studies prune whole domains of a pool whose rows nobody can label, and take the precision
of labelled rows for that of the pool. The icons have their drawings: every pool icon is drawn, and
its pixels and its set say of which domain it is, as they said of the labelled rows: a rendition is
of a set of emoji, hand drawings and the like, or in colour; a glyph is solid; line drawings and
what is between are of neither domain. The table sets the classifier's answers beside that.

Run it where `dvc repro domain@NAME` has run. It draws the whole pool: minutes.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np

from clipcause.config import layout, section
from clipcause.config.icons import Icons
from clipcause.data import manifest
from clipcause.icons import catalogue, table
from clipcause.icons.sets import Sets, read_sets
from clipcause.prune import domains
from clipcause.prune.domain_classifier import interval
from clipcause.prune.rules.domain import collect
from clipcause.runtime.parallel import ordered_map
from clipcause.runtime.progress import progress

NEITHER = 2  # beside domains.FIRST, a glyph, and domains.SECOND, a rendition
TRUTHS = ("glyph", "rendition", "neither")


def truths(path: Path, sets: Sets) -> dict[str, int]:
    """Of which domain every icon of a catalogue's file is, by its key in the data set."""
    rows = catalogue.read(path)
    names = zip(rows["prefix"].to_pylist(), rows["name"].to_pylist(), strict=True)
    drawn = progress(
        ordered_map(table.draw, rows["svg"].to_pylist()),
        label="draw",
        unit="icons",
        total=len(rows),
    )
    found = {}
    for (prefix, name), drawing in zip(names, drawn, strict=True):
        if not isinstance(drawing, str):  # a broken one is not in the pool either
            found[f"{prefix}_{name}"] = truth(prefix, drawing.style, sets)
    return found


def truth(prefix: str, style: str, sets: Sets) -> int:
    """The domain of an icon, by the rule that chose the labelled rows."""
    if prefix in sets.renditions or style == "colour":
        return domains.SECOND
    return domains.FIRST if style == "solid" else NEITHER


def crossed(name: str) -> tuple[domains.Domains, np.ndarray]:
    """The answers, and how many pool rows are called what (rows) and are what (columns)."""
    pool = manifest.read(layout.dataset(layout.POOL), shards=False)
    found = domains.read(layout.domains(name), pool=pool.sha256)
    answer_N = collect(len(pool), found.called())
    known = truths(catalogue.FOLDER / "pool.parquet", read_sets(Path(section("icons", Icons).sets)))
    keys: list[str] = []
    for position in range(len(pool.shards)):
        keys += pool.shard_table(position, ["key"])["key"].to_pylist()
    pairs = Counter(zip(answer_N.tolist(), (known[key] for key in keys), strict=True))
    return found, np.array([[pairs[row, column] for column in range(3)] for row in range(3)])


def percent(share: dict[str, float]) -> str:
    """A share with its interval, in %."""
    return f"{100 * share['value']:.1f} [{100 * share['low']:.1f}, {100 * share['high']:.1f}]"


def report(name: str, found: domains.Domains, count_33: np.ndarray) -> str:
    """Two tables as Markdown."""
    wanted = found.card["parameters"]["precision"]
    lines = [
        f"# Domains of the pool: `{name}`",
        "",
        f"`python -m benchmarks.domains {name}`. Thresholds for {100 * wanted:g} % precision on "
        "one half of the held-out labelled rows; the columns `held out` are the other half, which "
        f"chose nothing. The pool has {found.rows:,} rows. In %, with 95 % Wilson intervals. "
        "Labelled rows are of the two domains alone. Rows of neither get an answer too: where the "
        "last table has many of them, precision in the whole pool is far below that of the "
        "labelled rows.",
        "",
        "| domain | precision, held out | precision in the pool, of rows of the two domains | "
        "precision in the pool, of all rows | recall, held out | recall in the pool |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for at in (domains.FIRST, domains.SECOND):
        stated = found.card["stated"][found.names[at]]
        right, two, called = count_33[at, at], count_33[at, :2].sum(), count_33[at].sum()
        cells = [
            percent(stated["precision"]),
            percent(interval(int(right), int(two))),
            percent(interval(int(right), int(called))),
            percent(stated["recall"]),
            percent(interval(int(right), int(count_33[:, at].sum()))),
        ]
        lines.append(f"| {found.names[at]} | {' | '.join(cells)} |")
    lines += [
        "",
        f"| called | {' | '.join(f'is {one}' for one in TRUTHS)} |",
        "|---|---:|---:|---:|",
    ]
    for at, called in enumerate(found.names):
        lines.append(f"| {called} | {' | '.join(f'{n:,}' for n in count_33[at].tolist())} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("name", help="an entry of the section domains")
    parser.add_argument("--write", type=Path, help="a file for the tables")
    words = parser.parse_args()
    text = report(words.name, *crossed(words.name))
    if words.write:
        words.write.write_text(text)
    print(text, end="")


if __name__ == "__main__":
    main()
