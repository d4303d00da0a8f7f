"""Parameters of `fetch`: named packages."""

from pydantic import Field, model_validator

from clipcause.config import Strict

NONE = "none"
SECTION = "fetch"


class Fetch(Strict):
    """One npm package, pinned by version and by the registry's own hash.

    `package: none` alone says that the study does not need it, and nothing is fetched.
    """

    package: str
    version: str = NONE
    # sha512, base64, as `npm view PACKAGE dist.integrity` prints it
    integrity: str = Field(default=NONE, pattern=r"^(none|sha512-[A-Za-z0-9+/]{86}==)$")
    archive: str = NONE  # a tarball that is here already, or `none` to ask npm for it

    @model_validator(mode="after")
    def _pinned(self) -> "Fetch":
        if self.package != NONE and NONE in (self.version, self.integrity):
            raise ValueError("a package needs its version and its integrity")
        return self
