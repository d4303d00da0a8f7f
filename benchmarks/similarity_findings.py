"""The tables of docs/similarity.md, of what `make repro STUDY=icons-similarity` left in its folder.

    python -m benchmarks.similarity_findings --write

A run `NAME-SEED` is one seed of the model `NAME`. Where there are several, a cell is their mean,
with the least and the largest in brackets. Differences and their p-values are those of
`metrics/claims.json`, or of `metrics/summary.json` where a study is older than claims: a split
against the random split of its size.
"""

import csv
import json
from pathlib import Path
from typing import Any

from benchmarks.findings import at, cell, command, markdown, placed, seeds

RESULTS = Path("studies/icons-similarity")
DOCUMENT = Path("docs/similarity.md")
TESTS = ("val", "v2", "sketch", "r", "a", "objectnet")
SCORES = {
    "hull-sketch": "CLIP, filled glyphs (the study's own)",
    "hull-sketch-supervised": "the supervised model, filled glyphs",
    "hull-sketch-pixels": "pixels, filled glyphs",
    "hull-sketch-broad": "CLIP, filled glyphs and bold outlines",
}
DOMAINS = {
    "glyphs": "1 : 0",
    "mix-1-1": "1 : 1",
    "renditions": "0 : 1",
}
DASH = "–"


def read(path: Path) -> dict[str, Any]:
    """A metrics file."""
    return json.loads(path.read_text())


def accuracies(models: dict[str, str], results: Path, first: str) -> str:
    """Top-1 by test set, a row a model."""
    lines = []
    for model, words in models.items():
        found = seeds(results / "metrics/evaluate", model)
        lines.append([words, *(_top1(found, test) for test in TESTS)])
    return markdown([first, *TESTS], lines)


def _top1(found: list[Any], test: str) -> str:
    values = [value for one in found if (value := at(one[test], "top1")) is not None]
    return cell(values, percent=True)


def compared(results: Path, split: str, test: str) -> str:
    """A difference from the random split of its size, in points, with its interval and p."""
    if (claims := results / "metrics/claims.json").exists():
        found = next(iter(read(claims)["claims"][split].values()))[test]
    else:
        found = read(results / "metrics/summary.json")["random"][split][test]
    value, low, high = (f"{100 * found[key]:.1f}" for key in ("difference", "low", "high"))
    text = f"{value} [{low}, {high}], p {found['p_holm']:.3f}"
    return text.replace("-", "−")


def agreement(results: Path = RESULTS) -> str:
    """What the same rule removes by each of the scores, and what that does."""
    with (results / "report/plots/agreement.csv").open() as file:
        pairs = list(csv.DictReader(file))
    lines = []
    for split, words in SCORES.items():
        pruned = read(results / f"metrics/prune/{split}.json")
        shared = [
            f"{float(row['jaccard']):.3f} ({float(row['chance']):.3f})"
            for row in pairs
            if {row["first"], row["second"]} == {"hull-sketch", split}
        ]
        own, control = (
            _top1(seeds(results / "metrics/evaluate", model), "sketch")
            for model in (split, f"random-{split}")
        )
        lines.append(
            [
                words,
                f"{pruned['removed']:,} ({100 * (1 - pruned['share_of_base']):.1f} %)",
                *(shared or [DASH]),
                own,
                control,
                compared(results, split, "sketch"),
            ]
        )
    heads = ["encoder, reference", "removed", "Jaccard (by chance)"]
    return markdown([*heads, "sketch", "random split", "difference after Holm"], lines)


def retrieval(results: Path = RESULTS) -> str:
    """Recall at 1, 5, 10 in both directions."""
    lines = []
    for model in ("full", "hull-retrieval", "random-hull-retrieval", "hull-sketch", "core"):
        found = [one["retrieval"] for one in seeds(results / "metrics/evaluate", model)]
        cells = [
            cell([one[direction][depth] for one in found], percent=True)
            for direction in ("image_to_text", "text_to_image")
            for depth in ("r1", "r5", "r10")
        ]
        lines.append([model, *cells])
    heads = [f"{way} R@{depth}" for way in ("image→text", "text→image") for depth in (1, 5, 10)]
    return markdown(["training data", *heads], lines)


def tables(results: Path = RESULTS) -> dict[str, str]:
    """All tables by the name of their mark in the document."""
    seeded = {
        "full": "full (also the encoder)",
        "hull-sketch": "hull-sketch",
        "random-hull-sketch": "random-hull-sketch",
        "supervised": "supervised on the reference",
    }
    return {
        "seeds": accuracies(seeded, results, "training data"),
        "agreement": agreement(results),
        "retrieval": retrieval(results),
        "domains": accuracies(DOMAINS, results, "glyphs : renditions"),
    }


def filled(text: str, results: Path = RESULTS) -> str:
    """The document with each table between its marks."""
    return placed(text, tables(results), DOCUMENT)


if __name__ == "__main__":
    command(__doc__, RESULTS, DOCUMENT, tables)
