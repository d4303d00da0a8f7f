"""A parameter file that is not the one of this folder: the graph that it makes, and its data."""

from pathlib import Path
from typing import Any

from clipcause.check import graph, parameters, paths
from clipcause.check.paths import HERE, Place
from clipcause.config import FILE


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


def main(file: str = str(FILE)) -> str:
    """Say that a parameter file is valid, and which of its paths are not here."""
    _, found = check(Path(file))
    gone = [place for place in found if place.state != HERE]
    return "\n  ".join([f"{file} is valid", *map(str, gone)])
