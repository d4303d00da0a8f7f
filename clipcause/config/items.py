"""Whether an item that a stage is started for is there: `python -m stages.evaluate no-such`.

A stage's own imports take seconds. Which section its items are of is what `dvc.yaml` loops over.
"""

from pathlib import Path

from clipcause.config import FILE, read, unknown

GRAPH = Path("dvc.yaml")


def check(module: str, word: str) -> None:
    """Raise ``ValueError`` with the nearest name where the section has no item ``word``.

    Nothing is known of a stage that `dvc.yaml` does not start by ``module`` for each item, and
    without that file or the parameters, which the stage says itself.
    """
    if not (GRAPH.is_file() and FILE.is_file()):
        return
    for stage in (read(GRAPH).get("stages") or {}).values():
        if "foreach" not in stage or stage["do"]["cmd"] != f"python -m {module} ${{key}}":
            continue
        section = stage["foreach"].removeprefix("${").removesuffix("}")
        items = read().get(section)
        if isinstance(items, dict) and word not in items:
            kind = section if section.endswith("ss") else section.removesuffix("s")
            raise unknown(kind, word, items, f"{FILE}: {section}")
