"""Are the packages that decide numbers the ones that the parameters state?

``params.yaml`` has a section such as ``versions: {torch: "2.15", faiss: "1.15"}``. DVC tracks it
as a parameter of the stages that depend on these packages, and a stage that starts with another
version stops before it computes something that would be cached under the wrong name.
"""

from importlib import metadata
from pathlib import Path

from pydantic import Field

from clipcause.config import FILE, Strict, section

PREFIX = r"^\d+(\.\d+)*$"
# several distributions provide one module: the first that is installed counts
DISTRIBUTIONS = {
    "torch": ("torch",),
    "open_clip_torch": ("open_clip_torch",),
    "timm": ("timm",),
    "faiss": ("faiss-cpu", "faiss-gpu", "faiss-gpu-cuvs"),
    "resvg-py": ("resvg-py",),
    "numpy": ("numpy",),
    "pillow": ("pillow",),
    "lightly": ("lightly",),
    "scikit-learn": ("scikit-learn",),
}
LEARNING = ("torch", "open_clip_torch", "timm", "numpy", "pillow")  # of images and models
SELF_SUPERVISION = ("lightly",)  # besides, of a run of objective dino
PROBES = ("scikit-learn",)


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


def installed(name: str) -> str | None:
    """The installed version of a package of the section, ``None`` where there is none."""
    for distribution in DISTRIBUTIONS[name]:
        try:
            return metadata.version(distribution)
        except metadata.PackageNotFoundError:
            continue
    return None


def used(*names: str) -> dict[str, str]:
    """The installed versions in full, for what is kept under all that decides it."""
    return {name: _public(installed(name) or "none") for name in names}


def fits(version: str, expected: str) -> bool:
    """Whether ``version`` begins with the numbers of ``expected``: 2.15 takes 2.15.1, not 2.150."""
    parts = expected.split(".")
    return _public(version).split(".")[: len(parts)] == parts


def check(*names: str, path: Path = FILE) -> None:
    """Raise ``ValueError`` where a package of the section ``versions`` is not as stated there.

    ``names`` limits the check to the packages that a stage imports; without any, all are checked.
    """
    stated = section("versions", Versions, path).stated()
    for name in names or stated:
        if name not in stated:
            raise ValueError(f"{path}: versions.{name} is missing")
        expected, found = stated[name], installed(name)
        if found is None or not fits(found, expected):
            have = f"{name} {found} is installed" if found else f"{name} is not installed"
            raise ValueError(
                f"{have}, {path} states versions.{name}: {expected!r}; install that version, or "
                f"edit versions in {path}, which re-runs every stage that depends on it"
            )


def _public(version: str) -> str:
    return version.partition("+")[0]  # 2.15.0+cu130 is 2.15.0
