"""Parameters of `similarity` and `gap`."""

from typing import Annotated

from pydantic import Field

from clipcause.config import Strict


class Similarity(Strict):
    """How the pool streams past. Results do not depend on it."""

    block_rows: Annotated[int, Field(ge=1)]  # pool rows read at once
