"""Parameters of `report`: how sure, how fine, how many pictures."""

from typing import Annotated

from pydantic import Field

from clipcause.config import Strict

Width = Annotated[float, Field(gt=0.0, le=0.5)]
Pictures = Annotated[int, Field(ge=0, le=200)]
FIRST = "first"


class Report(Strict):
    """What the report computes anew and how much it shows."""

    resamples: Annotated[int, Field(ge=100)]  # of the paired bootstrap
    seed: Annotated[int, Field(ge=0)]  # of the paired bootstrap
    bin_width: Width  # cosine similarity, of the bins in which accuracy is taken
    least_per_bin: Annotated[int, Field(ge=1)]  # test images; smaller bins are left out
    histogram_width: Width  # cosine similarity, of the bins of the histograms
    removed: Pictures  # pairs a hull split
    neighbours: Pictures  # test images a test set
    duplicates: Pictures  # pairs that de-duplication found
    kept: Pictures = 12  # pairs just under a threshold, a hull split
    # pairs of the first hull split as a file beside the figures, which are committed; 0: none
    examples: Annotated[int, Field(ge=0, le=12)] = 0
    copies: Pictures = 12  # nearly the same as a test image, a test set
    # cosine similarity from which a test image and another are nearly the same
    copy_threshold: Annotated[float, Field(gt=0.0, le=1.0)] = 0.98
    # the test set of the training distribution, for effective robustness: a name, or the first
    in_distribution: str = FIRST
