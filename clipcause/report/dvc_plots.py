"""What `dvc plots` reads, written from the figures.

The plots' definitions are `report/dvc.yaml` of every study, the templates lie in `.dvc/plots`, to
which a study's own `.dvc` has a link. They are committed, so that `dvc plots show` and `dvc plots
diff` work in a fresh clone. `python -m clipcause plots --write` writes them; without `--write` it
makes DVC's pages do without a network (`clipcause.report.offline`).
"""

import argparse
import json
from pathlib import Path

import yaml
from altair import LayerChart

from clipcause.report import figures, offline
from clipcause.report.figures.drawing import SCHEMA
from clipcause.report.figures.figure import NOMINAL, Drawn, Figure, Spec, drawn
from clipcause.runtime import atomic

DEFINITIONS = Path("report/dvc.yaml")
TEMPLATES = Path(".dvc/plots")
# what figures are called in earlier revisions: DVC draws all revisions by the templates of the
# workspace, and `dvc plots diff` fails with one that names a template which is not there
FORMER = {"yardsticks": "agreement"}
HEAD = "# Written by `python -m clipcause plots --write` from clipcause/report/figures.\n"


HEADER = {"labelFontSize": 11, "labelFontWeight": "bold", "labelLimit": 250}
# the workspace, whose name comes last, is drawn in full, alone too
REVISIONS = {
    "field": "rev",
    "type": "nominal",
    "title": "revision",
    "sort": "descending",
    "scale": {"range": [1, 0.45, 0.25]},
}
KEY = (4, 205, 18)  # columns of a key, the pixels of one, those of a line


def template(figure: Figure) -> str:
    """A panel per value of two columns, or per revision, as many side by side as a window has room
    for, and below them what the colours stand for. Where revisions are not panels of their own,
    they differ in opacity. DVC puts the data in the place of its anchor."""
    chart = figure.chart(Drawn())
    if not isinstance(chart, LayerChart):
        raise ValueError(  # noqa: TRY004 - as every mistake of a declaration, in one line
            f"figure {figure.name}: its chart is a {type(chart).__name__}; return alt.layer(…), of "
            "one mark too, for what is drawn is looked for in layers"
        )
    panel = drawn(chart, [])
    del panel["data"]
    for layer in panel["layer"]:
        encoding = layer["encoding"]
        if figure.column != "rev":
            encoding["opacity"] = REVISIONS
        if detail := encoding.get("detail"):  # a line per split and revision
            split = detail if isinstance(detail, list) else [detail]
            encoding["detail"] = [*split, {"field": "rev"}]
        layer["mark"]["tooltip"] = {"content": "data"}
    sides = [one for one in (figure.row, figure.column) if one]
    title = " + ': ' + ".join(f"datum['{one}']" for one in sides)
    panels = {
        "transform": [
            {"window": [{"op": "row_number", "as": "order"}]},
            {"calculate": title, "as": "panel"},
        ],
        "facet": {"field": "panel", "sort": {"field": "order", "op": "min"}, "header": HEADER}
        | NOMINAL,
        "columns": 1 if "rev" in sides else figure.columns,
        "spec": panel,
        "resolve": {"scale": dict.fromkeys(figure.free, "independent")},
    }
    spec = {
        "$schema": SCHEMA,
        "title": {"text": figure.title, "subtitle": figure.below([]), "anchor": "start"},
        "data": {"values": "<DVC_METRIC_DATA>"},
        "vconcat": [panels, *([key(figure)] if figure.key else [])],
    }
    return json.dumps(spec, indent=1) + "\n"


def key(figure: Figure) -> Spec:
    """What the colours of any study stand for: a dot and a name each, in the data's own order."""
    columns, width, height = KEY
    places = [
        {"aggregate": [{"op": "count", "as": "rows"}], "groupby": [figure.key, "colour"]},
        {"window": [{"op": "row_number", "as": "at"}]},
        {"calculate": f"{width} * ((datum.at - 1) % {columns})", "as": "across"},
        {"calculate": f"{height} * floor((datum.at - 1) / {columns})", "as": "down"},
    ]
    there = {
        "x": {"field": "across", "type": "quantitative", "scale": None, "axis": None},
        "y": {"field": "down", "type": "quantitative", "scale": None, "axis": None},
    }
    fill = {"fill": {"field": "colour", "type": "nominal", "scale": None, "legend": None}}
    said = {"type": "text", "align": "left", "dx": 9, "limit": width - 20}
    return {
        "transform": places,
        "width": columns * width,
        "height": height,
        "view": {"stroke": None},
        "layer": [
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": there | fill,
            },
            {"mark": said, "encoding": there | {"text": {"field": figure.key, "type": "nominal"}}},
        ],
    }


def definitions() -> str:
    """A `dvc.yaml` with a plot per figure; its paths are relative to it."""
    plots = []
    for name, one in figures.load().items():
        x, y = one.axes
        plot = {"template": name, "x": x, "y": y, "title": one.title}
        plots.append({f"plots/{name}.csv": plot})
    return HEAD + yaml.safe_dump({"plots": plots}, sort_keys=False, allow_unicode=True)


def files(root: Path = Path()) -> dict[Path, str]:
    """All files with the text that they should have."""
    known = figures.load()
    named = known | {former: known[name] for former, name in FORMER.items()}
    found = {TEMPLATES / f"{name}.json": template(one) for name, one in named.items()}
    studies = [path.parent.relative_to(root) for path in root.glob("studies/*/params.yaml")]
    return found | {folder / DEFINITIONS: definitions() for folder in (Path(), *sorted(studies))}


def differing(root: Path = Path()) -> list[Path]:
    """The files that are not what the figures write: changed, missing, or of no figure."""
    known = files(root)
    stale = [
        path
        for path, text in known.items()
        if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != text
    ]
    others = [path.relative_to(root) for path in (root / TEMPLATES).glob("*.json")]
    return [*stale, *sorted(path for path in others if path not in known)]


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


def main(*words: str) -> str:
    """Make DVC's pages do without a network; with ``--write``, write what `dvc plots` reads."""
    parser = argparse.ArgumentParser(prog="python -m clipcause plots", description=main.__doc__)
    parser.add_argument("--write", action="store_true", help="definitions and templates, anew")
    if not parser.parse_args(words).write:
        return offline.write()
    for path in (changed := write()):
        print(path)
    return f"{len(changed)} files to change; all are as the figures write them"
