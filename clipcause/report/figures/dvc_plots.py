"""What `dvc plots` reads, written from the figures: `python -m clipcause plots --write`.

Two kinds of files: the plots' definitions, `report/dvc.yaml` of every study, and the templates in
`.dvc/plots`, to which a study's own `.dvc` has a link. They are committed, so that `dvc plots show`
and `dvc plots diff` work in a fresh clone.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from clipcause.report import figures
from clipcause.report.figures.drawing import SCHEMA
from clipcause.report.figures.figure import Drawn, Figure, drawn
from clipcause.runtime import atomic

DEFINITIONS = Path("report/dvc.yaml")
TEMPLATES = Path(".dvc/plots")
STUDIES = Path("studies")
HEAD = "# Written by `python -m clipcause plots --write` from clipcause/report/figures.\n"


def template(figure: Figure) -> str:
    """A panel per value of two columns, or per revision. Where revisions are not panels of their
    own, they differ in opacity. DVC puts the data in the place of its anchor."""
    panel = drawn(figure.chart(Drawn()), [])
    del panel["data"]
    for layer in panel["layer"]:
        encoding = layer["encoding"]
        if figure.column != "rev":
            encoding["opacity"] = {"field": "rev", "type": "nominal", "title": "revision"}
        if detail := encoding.get("detail"):  # a line per split and revision
            detail = detail if isinstance(detail, list) else [detail]
            encoding["detail"] = [*detail, {"field": "rev"}]
        layer["mark"]["tooltip"] = {"content": "data"}
    sides = {"column": figure.column} | ({"row": figure.row} if figure.row else {})
    spec: dict[str, Any] = {"$schema": SCHEMA, "data": {"values": "<DVC_METRIC_DATA>"}}
    spec["facet"] = {
        side: {"field": column, "type": "nominal", "title": None} for side, column in sides.items()
    }
    spec |= {"spec": panel, "resolve": {"scale": dict.fromkeys(figure.free, "independent")}}
    return json.dumps(spec, indent=1) + "\n"


def definitions() -> str:
    """A `dvc.yaml` with a plot per figure; its paths are relative to it."""
    plots = [
        {
            f"plots/{name}.csv": {
                "template": name, "x": one.axes[0], "y": one.axes[1], "title": one.title,
            }
        }
        for name, one in figures.load().items()
    ]  # fmt: skip
    return HEAD + yaml.safe_dump({"plots": plots}, sort_keys=False, allow_unicode=True, width=100)


def files(root: Path = Path()) -> dict[Path, str]:
    """All files with the text that they should have."""
    found = {TEMPLATES / f"{name}.json": template(one) for name, one in figures.load().items()}
    studies = [path.parent for path in sorted(root.glob(f"{STUDIES}/*/params.yaml"))]
    text = definitions()
    return found | {folder.relative_to(root) / DEFINITIONS: text for folder in (root, *studies)}


def differing(root: Path = Path()) -> list[Path]:
    """The files that are not what the figures write: changed, missing, or of no figure."""
    known = files(root)
    there = {path.relative_to(root) for path in (root / TEMPLATES).glob("*.json")}
    stale = [
        path
        for path, text in known.items()
        if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != text
    ]
    return [*stale, *sorted(there - known.keys())]


def write(root: Path = Path()) -> list[Path]:
    """Write them; returns those that differed."""
    known, changed = files(root), differing(root)
    for path in changed:
        if path not in known:
            (root / path).unlink()
            continue
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        with atomic.file(root / path) as temporary:
            temporary.write_text(known[path], encoding="utf-8")
    return changed
