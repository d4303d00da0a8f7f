"""Shape annotations are checked while the tests run: a wrong axis is an error, not a number."""

from hypothesis import settings
from jaxtyping import install_import_hook

install_import_hook(["stages", "clipcause"], "beartype.beartype")

# machines are shared: how long an example takes says nothing
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
