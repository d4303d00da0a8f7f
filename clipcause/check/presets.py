"""A parameter file that is not the one of this folder: the graph that it makes, and its data."""

import sys
from pathlib import Path
from typing import Any

from clipcause.check import graph, parameters, paths
from clipcause.check.paths import HERE, Place


def check(path: Path) -> tuple[dict[str, Any], list[Place]]:
    """Validate a parameter file and the graph that it makes of `dvc.yaml`; the paths it names."""
    content = parameters.check(path, preset=True)
    try:
        stages = graph.expand(graph.read(), content)
        graph.check(stages)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    made = (out for stage in stages.values() for out in stage.outs)
    return content, paths.places(content, made)


def main(path: Path) -> None:
    """Say that a file is valid and which of its paths are not here, or what is wrong and exit."""
    try:
        _, found = check(path)
    except (ValueError, OSError) as error:
        print(f"check: error: {error}", file=sys.stderr)
        raise SystemExit(1) from None
    print(f"check: {path} is valid")
    for place in found:
        if place.state != HERE:
            print(f"  {place}")
