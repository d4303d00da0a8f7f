"""Parameters of `frequency`."""

from typing import Literal

from clipcause.config import Strict


class Frequency(Strict):
    """How captions are matched with classes.

    `bag`: all lemmas of a name among those of the caption, any order (the study's definition).
    `phrase`: a name between word boundaries, any case. `substring`: MetaCLIP's rule.
    """

    matcher: Literal["bag", "phrase", "substring"]
    wordnet: str = "data/raw/wordnet.tgz"  # the package, or a folder with WordNet's noun files
