"""Parameters of `prepare` and the entries of `datasets` and `tests`.

A test set is a data set too: its images are those of the data set ``tests/NAME``, and the entry
``NAME`` of `tests` says what models are asked about them.
"""

from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from clipcause.config import FILE, Strict, layout, look_up, nearest, parse, places, read

NONE = "none"
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Limits(Strict):
    """What an image must be to be used; all is checked before it is decoded."""

    least_side: Annotated[int, Field(ge=1)] = 8  # pixels
    # Pillow itself refuses twice 89,478,485
    most_pixels: Annotated[int, Field(ge=1, le=178_956_970)] = 64_000_000
    most_ratio: Annotated[float, Field(ge=1.0)] = 50.0  # of the longer side to the shorter
    most_bytes: Annotated[int, Field(ge=1, le=1 << 31)] = 1 << 26  # of a member of a tar
    # how an image is tried out: header alone, and pixels where it says that some are transparent;
    # draft, all of its bytes but a JPEG at an eighth of its size; full, all of its pixels
    decode: Literal["header", "draft", "full"] = "draft"


class Prepare(Limits):
    """What every data set has in common."""

    image_size: Annotated[int, Field(ge=16, le=1024)]  # pixels a side of what is stored
    shard_size: Annotated[int, Field(ge=1)]  # samples a shard
    max_drop_fraction: Share


class Dataset(Strict):
    """One data set: where it comes from. Further keys are those of its source, which
    ``clipcause.data.sources`` knows."""

    model_config = ConfigDict(extra="allow")

    source: str
    raw: str = Field(description="the file or folder that DVC tracks, or data/none, an empty file")
    place: str = NONE  # a folder or URL that is read in place
    embeddings: str = NONE  # a clip-retrieval folder, which `embed` takes instead of computing


class Test(Strict):
    """What models are asked about a test set.

    ``classify``: which class an image shows; each has one. ``retrieval``: which caption belongs to
    an image, and which image to a caption; classes, if there are any, are not asked for.

    ``metric``: what `python -m clipcause tasks` judges by, top-1 where nothing says otherwise.
    ``benchmark``: which task of it the test set is (`clipcause.config.benchmark`), where the place
    of its data set does not tell.
    """

    task: Literal["classify", "retrieval"] = "classify"  # as `clipcause.config.study.TASKS`
    metric: Literal["top1", "mean_per_class"] | None = None
    benchmark: str | None = None

    renamed: ClassVar[dict[str, str]] = dict.fromkeys(
        ("source", "raw", "place", "embeddings"),
        "a test set is a data set now: say in datasets, under tests/NAME, where it comes from, and "
        "leave its task here",
    )

    @model_validator(mode="after")
    def _of_classes(self) -> "Test":
        if self.task == "retrieval" and self.metric is not None:
            raise ValueError(f"metric is {self.metric}, and task retrieval asks for no class")
        return self


def entry(name: str) -> Dataset:
    """The entry of the data set ``name``; test sets are those whose names begin with ``tests/``."""
    content, where = read(), f"{FILE}: datasets.{name}"
    values = look_up("datasets", name, content)
    return parse(places.resolved(values, content, where), Dataset, where)


def check_tests(content: Mapping[str, Any], where: str, captioned: Collection[str]) -> None:
    """Raise ``ValueError`` for a test set without a data set, for one of those that is no test
    set, and for a task that its source has nothing for; ``captioned`` are those with captions."""
    datasets, tests = content["datasets"], content["tests"]
    named = {layout.test(test): test for test in tests}
    for name, test in named.items():
        if name not in datasets:
            known = [one for one in datasets if layout.is_test(one)]
            raise ValueError(
                f"{where}: tests.{test}: its images are those of the data set {name!r}, which "
                f"datasets does not have; {nearest(name, known)}"
            )
        source = datasets[name]["source"]
        if tests[test].get("task") == "retrieval" and source not in captioned:
            raise ValueError(
                f"{where}: tests.{test}: task retrieval needs images with captions of their own, "
                f"which source {source} does not have; sources that have: {', '.join(captioned)}"
            )
    for name in datasets:
        if layout.is_test(name) and name not in named:
            raise ValueError(
                f"{where}: datasets.{name}: no entry of tests says what models are asked about it; "
                f"{nearest(name.partition('/')[2], tests)}"
            )
