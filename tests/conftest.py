"""Shape annotations are checked while the tests run: a wrong axis is an error, not a number."""

from jaxtyping import install_import_hook

install_import_hook("stages", "beartype.beartype")
