"""Parameters of `deduplicate`."""

from typing import Annotated, Any, Literal

from pydantic import Field

from clipcause.config import Strict

Order = Literal["pool", "farthest", "nearest", "random"]
"""In which order rows of a cluster come: that of the pool, by distance from the centre, by lot."""

THREADS = 2
"""Of k-means, unless an item says another number: what it finds goes by it."""

# left out of cards at its default, which results of before the parameter have
Threads = Annotated[int, Field(ge=1, exclude_if=lambda threads: threads == THREADS)]


class Deduplicate(Strict):
    """Which pool rows count as duplicates.

    `kmeans` looks inside clusters (the paper: 50,000 clusters of 200 M rows, threshold 0.876),
    `exact` at all pairs.
    """

    method: Literal["kmeans", "exact"]
    threshold: Annotated[float, Field(ge=-1.0, le=1.0)]  # cosine; more than it is a duplicate
    clusters: Annotated[int, Field(ge=1)]
    seed: Annotated[int, Field(ge=0)]
    iterations: Annotated[int, Field(ge=1)]
    threads: Threads = THREADS

    @property
    def used(self) -> dict[str, Any]:
        """What the result depends on: `exact` has no clusters."""
        exact = {"method", "threshold"}
        return self.model_dump(include=exact if self.method == "exact" else None)
