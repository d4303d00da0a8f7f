"""Parameters of ``versions``: the packages whose version decides numbers."""

from pydantic import Field

from clipcause.config import Strict

PREFIX = r"^\d+(\.\d+)*$"


class Versions(Strict):
    """Prefixes of versions, as text: 2.10 as a number would be 2.1."""

    torch: str = Field(pattern=PREFIX)
    open_clip_torch: str = Field(pattern=PREFIX)
    timm: str = Field(pattern=PREFIX)
    faiss: str = Field(pattern=PREFIX)
    resvg: str = Field(alias="resvg-py", pattern=PREFIX)
    numpy: str = Field(pattern=PREFIX)
    pillow: str = Field(pattern=PREFIX)
    lightly: str = Field(pattern=PREFIX)
    sklearn: str = Field(alias="scikit-learn", pattern=PREFIX)

    def stated(self) -> dict[str, str]:
        """Package name to version prefix, under the names of ``params.yaml``."""
        return self.model_dump(by_alias=True)
