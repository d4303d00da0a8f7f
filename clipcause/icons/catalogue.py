"""The catalogue of icons: one Parquet file a role, the ledger of what was left out, attribution.

``data/catalogue/<role>.parquet``: prefix, name (the author's), caption, label (class id, null where
the name is no class), style (null where not measured), licence, author, title (of the set),
category, tags, svg (the source to draw), in the frozen order of the role. An icon has one role, but
those of the reference are in ``broad`` too. ``left_out.parquet``: prefix, name, reason, detail.
``attribution.csv``: a line a set with author, licence and number of icons used.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from clipcause.runtime import atomic

FOLDER = Path("data/catalogue")
ATTRIBUTION = "attribution.csv"
LEFT_OUT = "left_out.parquet"
SCHEMA = pa.schema(
    [
        ("prefix", pa.string()),
        ("name", pa.string()),
        ("caption", pa.string()),
        ("label", pa.string()),
        ("style", pa.string()),
        ("licence", pa.string()),
        ("author", pa.string()),
        ("title", pa.string()),
        ("category", pa.string()),
        ("tags", pa.list_(pa.string())),
        ("svg", pa.string()),
    ]
)
LEFT_OUT_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("prefix", "name", "reason", "detail")]
)


@dataclass(frozen=True)
class LeftOut:
    """An icon, or (name `*`) a whole set, that plays no part, and why."""

    prefix: str
    name: str
    reason: str
    detail: str = ""


@dataclass(frozen=True)
class Credit:
    """What the licences ask to be said of one set."""

    prefix: str
    title: str
    author: str
    author_url: str
    licence: str
    licence_url: str
    icons: int


def write(
    folder: Path,
    roles: Mapping[str, Iterable[Mapping[str, object]]],
    left_out: Iterable[LeftOut],
    attribution: Iterable[Credit],
) -> None:
    """Write the catalogue: rows by role (columns of ``SCHEMA``), the ledger, the attribution."""
    with atomic.folder(folder) as temporary:
        for role, rows in sorted(roles.items()):
            table = pa.Table.from_pylist([dict(row) for row in rows], schema=SCHEMA)
            atomic.write_parquet(temporary / f"{role}.parquet", table)
        ledger = pa.Table.from_pylist([asdict(entry) for entry in left_out], schema=LEFT_OUT_SCHEMA)
        atomic.write_parquet(temporary / LEFT_OUT, ledger)
        (temporary / ATTRIBUTION).write_text(_csv(attribution), encoding="utf-8")


def read(path: Path) -> pa.Table:
    """The icons of one role."""
    return atomic.read_parquet(path, SCHEMA)


def _csv(attribution: Iterable[Credit]) -> str:
    text = io.StringIO()
    fields = list(Credit.__dataclass_fields__)
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(credit) for credit in attribution)
    return text.getvalue()
