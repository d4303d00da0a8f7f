"""Shape annotations are checked while the tests run: a wrong axis is an error, not a number."""

from hypothesis import settings
from jaxtyping import install_import_hook

from clipcause.runtime import notices

install_import_hook(["stages", "clipcause"], "beartype.beartype")

notices.configure()  # as a stage does: what it tells is on stderr

# machines are shared: how long an example takes says nothing
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
