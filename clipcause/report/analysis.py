"""The analysis: all tables and results of a study, as stored in ``analysis/``.

``results.json`` has what the page tells beside tables; ``tables/NAME.json`` has a table: what its
columns mean, and its rows. Numbers are stored to the last digit: what is rounded is rounded where
it is told.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar, get_type_hints

from pydantic import BaseModel, TypeAdapter, ValidationError

from clipcause.report import cautions, evaluated, tables
from clipcause.report.inputs import Inputs
from clipcause.report.outline import Outline, Pairs
from clipcause.report.tables import (
    accuracy,
    agreement,
    byfrequency,
    comparisons,
    decomposition,
    density,
    frequency,
    locked_text,
    probes,
    relations,
    retrieval,
    robustness,
    runs,
    similarity,
)
from clipcause.runtime import atomic
from clipcause.stats.decomposition import Explained
from clipcause.stats.logistic import Undefined

FOLDER = Path("analysis")
RESULTS, TABLES = "results.json", "tables"
Row = TypeVar("Row")
Rows = Mapping[str, list[Any]]  # by table


@dataclass(frozen=True)
class Results:
    """What is told of a study beside its tables, each with the function that makes it. Keys that
    are pairs are condition and test set."""

    study: Outline
    cautions: Annotated[list[str], cautions.found]  # to be read before any number
    lines: Annotated[list[accuracy.Line], accuracy.lines]
    # with the random splits of their size, as one family
    compared: Annotated[list[comparisons.Compared], comparisons.family]
    # without a hull, beside the supervised classifier
    beside_labels: Annotated[list[comparisons.Compared], comparisons.beside_labels]
    orders: Annotated[Pairs[similarity.Order], similarity.orders]
    fits: Annotated[Pairs[decomposition.Fit | Undefined], decomposition.fits]
    has_frequency: Annotated[Pairs[bool], decomposition.has_frequency]  # whether a fit has it
    # of conditions with a random split of their size
    explained: Annotated[Pairs[Explained | Undefined], decomposition.explained]
    # of these the hull splits', where it is defined
    predicted: Annotated[Pairs[Explained], decomposition.predicted]
    # cells of the grid that are too small, their images
    left_out: Annotated[Pairs[tuple[int, int]], byfrequency.left_out]
    shifts: Annotated[robustness.Shifts | None, robustness.shifts]
    retrieval: Annotated[dict[str, retrieval.Asked], retrieval.asked]  # by test set of captions
    families: Annotated[list[agreement.Family], agreement.families]  # that differ in their scores
    edges: Annotated[dict[str, density.Edge], density.edges]  # of the hulls, by test set
    measured: Annotated[list[evaluated.Measured], evaluated.measured]
    frequencies: Annotated[frequency.Facts | None, frequency.facts]
    intraclass: Annotated[dict[str, dict[str, int | float]], probes.intraclass]  # by entry and path
    # rows of trimmed classes, by run and whose text tower it takes
    text_from: Annotated[Pairs[int | None], locked_text.seen]
    runs: Annotated[list[runs.Line], runs.lines]
    # accuracy on the properties of splits
    relations: Annotated[relations.Facts | None, relations.facts]


def results(inputs: Inputs) -> Results:
    """Compute all that is told."""
    study = inputs.study
    outline = Outline(**{one.name: getattr(study, one.name) for one in fields(Outline)})
    told = get_type_hints(Results, include_extras=True)
    del told["study"]
    return Results(outline, **{name: inputs.of(one.__metadata__[-1]) for name, one in told.items()})


def rows(inputs: Inputs) -> dict[str, list[Any]]:
    """The rows of all tables."""
    return {name: list(inputs.of(one.make)) for name, one in tables.load().items()}


def numbers(inputs: Inputs) -> dict[str, Any]:
    """The metrics: accuracies, drops, and Spearman's coefficients where they are defined."""
    coefficients: dict[str, dict[str, float]] = {}
    for (name, test), order in inputs.of(similarity.orders).items():
        if order.spearman is not None:
            coefficients.setdefault(accuracy.path(name), {})[test] = order.spearman
    asked = retrieval.numbers(inputs)
    return {
        "accuracy": accuracy.by_run(inputs),
        "drop": accuracy.drops(inputs),
        "spearman": coefficients,
        "explained": decomposition.numbers(inputs),
        "robustness": robustness.numbers(inputs),
        **({"retrieval": asked} if asked else {}),
    }


def claims(inputs: Inputs) -> dict[str, Any]:
    """The metrics of how sure differences are."""
    found, labelled = inputs.of(comparisons.family), inputs.of(comparisons.beside_labels)
    return comparisons.numbers(found, inputs.of(comparisons.powers)) | {
        "labels": comparisons.leaves(labelled),
        "predicted": decomposition.predictions(inputs),
    }


class Stored(BaseModel, Generic[Row]):
    """What a table's file has."""

    columns: dict[str, str]  # what they mean
    rows: list[Row]


def write(folder: Path, found: Results, of_tables: Rows) -> None:
    """Write both, whole or not at all."""
    with atomic.folder(folder) as out:
        (out / RESULTS).write_bytes(_encoded(Results, found))
        (out / TABLES).mkdir()
        for name, one in tables.load().items():
            stored = Stored(columns=one.columns, rows=of_tables[name])
            _file(out, name).write_bytes(_encoded(Stored, stored))


def read(folder: Path = FOLDER) -> tuple[Results, Rows]:
    """What ``write`` wrote.

    Raises ``FileNotFoundError`` where a file is missing, ``ValueError`` where one is not what this
    version writes.
    """
    found, of_tables = _decoded(Results, folder / RESULTS), {}
    for name, one in tables.load().items():
        # the type of its rows is known as the program runs
        kind = Stored.__class_getitem__(one.row)
        of_tables[name] = _decoded(kind, _file(folder, name)).rows
    return found, of_tables


def _file(folder: Path, name: str) -> Path:
    return folder / TABLES / f"{name}.json"


def _encoded(kind: Any, value: Any) -> bytes:
    return TypeAdapter(kind).dump_json(value) + b"\n"


def _decoded(kind: Any, path: Path) -> Any:
    try:
        return TypeAdapter(kind).validate_json(path.read_bytes())
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: not found; `dvc repro analyse` makes it") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(
            f"{path}: {where}: {first['msg']}; `dvc repro -s -f analyse` makes it again"
        ) from None
