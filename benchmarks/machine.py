"""What a benchmark's table says of the machine."""

import platform
from importlib import metadata
from pathlib import Path

from clipcause.runtime import processor
from clipcause.runtime.parallel import cores

PACKAGES = ("torch", "numpy", "pillow", "resvg-py")
EXTENSIONS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")


def extensions() -> list[str]:
    """Those of ``EXTENSIONS`` that the processor has, the widest first."""
    flags = processor.fields().get("flags", "").split()
    return [extension for extension in EXTENSIONS if extension in flags]


def versions(*packages: str) -> str:
    """Python's version and those of ``packages``."""
    stated = (f"{package} {metadata.version(package)}" for package in packages)
    return ", ".join([f"Python {platform.python_version()}", *stated])


def describe(*packages: str) -> str:
    """Processor, cores, the widest instructions, and versions of the packages that count."""
    best = next(iter(extensions()), "no vectors known")
    return f"{processor.name()}, {cores()} cores, {best}; {versions(*(packages or PACKAGES))}"


def show(text: str, target: Path | None) -> None:
    """Print a table, and write it where it is wanted."""
    print(text)
    if target:
        target.write_text(text)
