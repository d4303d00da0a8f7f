"""The entries of `scores`: other ways to measure similarity than the encoder and the reference.

Every item has the slots ``run`` and ``reference``, because the DAG turns them into dependencies.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from clipcause.config import FILE, Strict, layout, parse, read, unknown
from clipcause.config.runs import learns_beyond

SECTION = "scores"
NONE = "none"
MAIN = "main"
PIXELS = "pixels"
UNPRUNED = (NONE, "all", "dedup")  # splits that no rule chose


class OtherScores(Strict):
    """An encoder and a reference.

    ``main``: the study's own encoder. ``run``: the image tower of the trained run ``run``.
    ``pixels``: a fixed random projection of images of ``side`` x ``side`` pixels to ``dim``
    dimensions, drawn from ``seed``; no training has a part in it.
    """

    encoder: Literal["main", "run", "pixels"]
    run: str = Field(description="the run whose encoder it is, or none")
    reference: str = Field(description="a data set, whose nearest images are the thresholds")
    # more than 64 pixels a side would leave the range in which the products are exact
    side: Annotated[int, Field(ge=1, le=64)] = 16
    dim: Annotated[int, Field(ge=1, le=8192)] = 512
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0

    @model_validator(mode="after")
    def _consistent(self) -> "OtherScores":
        if self.encoder == "run" and self.run == NONE:
            raise ValueError("run is none; with encoder run it names a run")
        if self.encoder != "run" and self.run != NONE:
            raise ValueError(
                f"run is {self.run}, and encoder {self.encoder} has none; set it to none"
            )
        if self.encoder != PIXELS:
            for name in ("side", "dim", "seed"):
                if name in self.model_fields_set:
                    raise ValueError(f"{name} is for encoder pixels alone")
        return self


def load(name: str, path: Path = FILE) -> OtherScores:
    """One entry. Raises ``ValueError`` for a name that is none, with the nearest that is one."""
    found = items(read(path))
    if name not in found:
        raise unknown("scores", name, found, f"{path}: {SECTION}")
    return parse(found[name], OtherScores, f"{path}: {SECTION}.{name}")


def items(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The section as it is written; a study may have none."""
    found = content.get(SECTION)
    return found if isinstance(found, Mapping) else {}


def check_names(content: Mapping[str, Any], where: str) -> None:
    """The run and the reference of every entry exist, and the run depends on no split.

    Splits depend on these scores, so a run on a split that a rule chose would close a circle.
    """
    data = [name for name in content["datasets"] if not layout.is_test(name)]
    for name, values in items(content).items():
        here = f"{where}: {SECTION}.{name}"
        one = parse(values, OtherScores, here)
        if one.reference not in data:
            raise unknown("data set", one.reference, data, f"{here}.reference")
        if one.run == NONE:
            continue
        if one.run not in content["runs"]:
            raise unknown("run", one.run, content["runs"], f"{here}.run")
        if (chosen := learns_beyond(one.run, content["runs"], UNPRUNED)) is not None:
            run, split = chosen
            raise ValueError(
                f"{here}.run: {run} learns from the split {split}, and every split may depend on "
                "these scores, which would be a circle; take a run whose split is none (a "
                "supervised one, on the reference alone), all or dedup"
            )
