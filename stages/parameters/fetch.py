"""Parameters of `fetch`."""

from pydantic import Field

from stages.parameters import Strict


class Fetch(Strict):
    """One npm package, pinned by version and by the registry's own hash."""

    package: str
    version: str
    # sha512, base64, as `npm view PACKAGE dist.integrity` prints it
    integrity: str = Field(pattern=r"^sha512-[A-Za-z0-9+/]{86}==$")
    archive: str  # a tarball that is here already, or `none` to ask npm for it
