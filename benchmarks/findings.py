"""The tables of docs/imbalance.md, from what `make repro STUDY=icons-imbalance` left in its folder.

    python -m benchmarks.findings --write

A run `NAME-SEED` is one seed of the model `NAME`. Where there are several, a cell is their mean,
with the least and the largest in brackets; correlations of one seed have their bootstrap interval
in the metrics, and not here.
"""

import argparse
import json
import re
import statistics
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path("studies/icons-imbalance")
DOCUMENT = Path("docs/imbalance.md")
Numbers = Mapping[str, Any]


class Column(NamedTuple):
    """A heading, where its number lies in a run's metrics of a test set, and how it is written."""

    title: str
    path: str
    percent: bool = True


TOP1 = Column("top-1", "top1")
ACC = Column("corr_acc", "imbalance.corr_acc", percent=False)
PRED = Column("corr_pred", "imbalance.corr_pred", percent=False)
HEAD, MIDDLE, TAIL = (Column(part, f"imbalance.{part}") for part in ("head", "middle", "tail"))
TRIMMED = Column("trimmed classes", "imbalance.trimmed")
REST = Column("the rest", "imbalance.rest")
NC1 = Column("NC1", "neural_collapse.nc1", percent=False)
NC2M = Column("NC2_M", "neural_collapse.nc2_m", percent=False)
NC2W = Column("NC2_W", "neural_collapse.nc2_w", percent=False)
BIAS = (TOP1, ACC, PRED, HEAD, MIDDLE, TAIL)


class Table(NamedTuple):
    """What a table shows of which models."""

    columns: tuple[Column, ...]
    rows: Mapping[str, str]  # in words, by the name of the model
    test: str = "balanced"


def seeds(folder: Path, model: str) -> list[Numbers]:
    """The metrics of every seed of a model. Raises ``FileNotFoundError`` where there is none."""
    name = re.compile(re.escape(model) + r"-\d+\.json")
    found = sorted(p for p in folder.glob(f"{model}-*.json") if name.fullmatch(p.name))
    if not found:
        raise FileNotFoundError(f"{folder}/{model}-*.json: not found; has the study run whole?")
    return [json.loads(path.read_text()) for path in found]


def at(numbers: Numbers, path: str) -> float | None:
    """The number at a path with dots, or None."""
    value: Any = numbers
    for part in path.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def cell(values: list[float], *, percent: bool) -> str:
    """A mean, and the range where there are several values; a dash where there are none."""
    if not values:
        return "–"
    shown: Callable[[float], str] = (
        (lambda value: f"{100 * value:.1f}")
        if percent
        else (lambda value: f"{value:.2f}".replace("-", "−"))
    )
    mean = shown(statistics.fmean(values))
    if len(values) == 1:
        return mean
    return f"{mean} [{shown(min(values))}, {shown(max(values))}]"


def rendered(table: Table, results: Path = RESULTS) -> str:
    """A table in Markdown; a column that no row has is left out."""
    lines = []
    for model, words in table.rows.items():
        found = [one[table.test] for one in seeds(results / "metrics/evaluate", model)]
        cells = []
        for column in table.columns:
            values = [value for one in found if (value := at(one, column.path)) is not None]
            cells.append(cell(values, percent=column.percent))
        lines.append([words, *cells])
    return markdown(["model", *(column.title for column in table.columns)], lines)


def markdown(titles: list[str], lines: list[list[str]]) -> str:
    """Rows of cells; columns of dashes alone are left out."""
    kept = [
        index
        for index in range(len(titles))
        if any(line[index] != "–" for line in lines) or not index
    ]
    rows = [titles, ["---", *(["---:"] * (len(titles) - 1))], *lines]
    return "\n".join("| " + " | ".join(row[index] for index in kept) + " |" for row in rows)


def probes(results: Path = RESULTS) -> str:
    """Accuracy of the linear and few-shot probes, in %; several draws have their range."""
    lines: dict[str, dict[str, str]] = {}
    for path in sorted((results / "metrics/probe").glob("*.json")):
        conditions = json.loads(path.read_text())["tests"]["balanced"]
        for shots, found in conditions.items():
            if isinstance(found, Mapping) and "draws" in found:
                values = list(found["draws"].values())
                model = path.stem.partition("-")[2].rpartition("-")[0]
                lines.setdefault(model, {})[shots] = cell(values, percent=True)
    heads = sorted({shots for line in lines.values() for shots in line}, key=_number)
    said = [f"{_number(shots):.0f} a class" if shots != "all" else "all rows" for shots in heads]
    return markdown(
        ["features of", *said],
        [[model, *(line.get(shots, "–") for shots in heads)] for model, line in lines.items()],
    )


def alike(results: Path = RESULTS) -> str:
    """Mean similarity of the images of a class, set by set."""
    lines = []
    for path in sorted((results / "metrics/intraclass").glob("*.json")):
        found = json.loads(path.read_text())
        lines.append(
            [
                path.stem,
                f"{found['similarity']:.3f}",
                str(found["classes"]),
                f"{found['members']:,}",
            ]
        )
    lines.sort(key=lambda line: line[1])
    return markdown(["set", "mean cosine", "classes with two images", "images"], lines)


def _number(shots: str) -> float:
    return float(shots.removeprefix("shots-")) if shots != "all" else float("inf")


def _scale() -> dict[str, str]:
    rows = {"name": "random text tower, all", "frozen": "frozen text tower, all"}
    rows["supervised"] = "supervised, all"
    for part in (2, 8, 32):
        rows[f"scale-{part}"] = f"random text tower, 1/{part}"
        rows[f"scale-{part}-frozen"] = f"frozen text tower, 1/{part}"
        rows[f"scale-{part}-supervised"] = f"supervised, 1/{part}"
    return rows


def _tail() -> dict[str, str]:
    rows = {}
    for shots in (1, 0):
        for tail in (5, 20, 50):
            start = f"tail-{tail}-{shots}"
            said = f"{tail} classes, {shots}-shot"
            rows[start] = f"CLIP, {said}"
            rows[f"{start}-supervised"] = f"supervised, {said}"
            rows[f"{start}-supervised-frozen-50"] = (
                f"supervised, frozen head, vocabulary 50, {said}"
            )
    rows["tail-20-1-supervised-frozen-50-other"] = (
        "the same with the other text tower, 20 classes, 1-shot"
    )
    return rows


def above(results: Path = RESULTS) -> list[str]:
    """The models of the threshold sets, by their cut."""
    found = {p.stem.rpartition("-")[0] for p in (results / "metrics/evaluate").glob("above-*.json")}
    return sorted(found, key=lambda name: int(name.split("-")[1]))


def tables(results: Path = RESULTS) -> dict[str, str]:
    """All tables by the name of their mark in the document."""
    cuts = {name: f"above .{name.split('-')[1]}" for name in above(results)}
    shown = {
        "descriptiveness": Table(
            BIAS,
            {
                "template": "CLIP, class templates",
                "synonyms": "CLIP, templates of any of the class's names",
                "name": "CLIP, name",
                "name-tags": "CLIP, name + set, category, tags",
                "class-name": "CLIP, class before the name",
                "class-name-tags": "CLIP, class before name + set, category, tags",
                "supervised": "supervised, all classes",
            },
        ),
        "vocabulary": Table(
            BIAS,
            {
                "supervised": "all 209",
                "vocabulary-100": "100, by frequency",
                "vocabulary-50": "50, by frequency",
                "vocabulary-20": "20, by frequency",
                "vocabulary-50-root": "50, by its square root",
                "vocabulary-50-uniform": "50, uniform",
            },
        ),
        "scale": Table((TOP1, ACC, PRED), _scale()),
        "tail": Table((TRIMMED, REST), _tail()),
        "distribution": Table(
            (TOP1, ACC, PRED),
            {
                "web": "any caption that mentions a class",
                **cuts,
                "matched": "matched to the balanced reference",
            },
        ),
        "balance": Table(BIAS, {"mention": "every mention", "metaclip": "balanced, t = 100"}),
        "concepts": Table(
            (TOP1, ACC, PRED),
            {
                "hundred": "the hundred classes alone",
                "share": "as many images of all 209",
                "name": "all 209",
                "mention": "all that mention a class",
                "everything": "everything",
            },
            "subset",
        ),
        "head": Table(
            BIAS,
            {
                "name": "CLIP, random",
                "initialised": "CLIP, initialised by the encoder",
                "frozen": "CLIP, frozen, of the encoder",
                "frozen-other": "CLIP, frozen, of the other text tower",
                "supervised": "supervised, random",
                "supervised-initialised": "supervised, initialised by the encoder",
                "supervised-frozen": "supervised, frozen, of the encoder",
                "supervised-frozen-50": "supervised, frozen, vocabulary 50",
                "supervised-frozen-50-other": "supervised, frozen, vocabulary 50, other text tower",
                "unlabelled": "the other text tower itself",
            },
        ),
        "collapse": Table(
            (NC1, NC2M, NC2W, TOP1),
            {
                "template": "CLIP, class templates",
                "name": "CLIP, name",
                "name-tags": "CLIP, name + set, category, tags",
                "supervised": "supervised, all classes",
                "vocabulary-50": "supervised, vocabulary 50",
                "supervised-frozen-50": "supervised, frozen head, vocabulary 50",
                "dino": "DINO, all prototypes",
                "dino-256": "DINO, 256 of 2,048",
            },
        ),
    }
    made = {name: rendered(table, results) for name, table in shown.items()}
    return {**made, "probes": probes(results), "intraclass": alike(results)}


def filled(text: str, results: Path = RESULTS) -> str:
    """The document with each table between its marks."""
    return placed(text, tables(results), DOCUMENT)


def placed(text: str, made: Mapping[str, str], document: Path) -> str:
    """A text with each table between the marks of its name."""
    for name, table in made.items():
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not mark.search(text):
            raise ValueError(f"{document}: no place for the table {name}")
        text = mark.sub(lambda found, table=table: f"{found[1]}{table}\n{found[2]}", text)
    return text


def command(
    about: str, results: Path, document: Path, made: Callable[[Path], Mapping[str, str]]
) -> None:
    """Print the tables, or put them into their document."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--results", type=Path, default=results)
    parser.add_argument("--write", action="store_true", help=f"put the tables into {document}")
    wanted = parser.parse_args()
    found = made(wanted.results)
    if wanted.write:
        document.write_text(placed(document.read_text(), found, document))
        return
    for name, table in found.items():
        print(f"{name}\n\n{table}\n")


if __name__ == "__main__":
    command(__doc__, RESULTS, DOCUMENT, tables)
