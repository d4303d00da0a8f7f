"""What a benchmark's table says of the machine."""

import platform
from importlib import metadata
from pathlib import Path

from clipcause.runtime.parallel import cores

PACKAGES = ("torch", "numpy", "pillow", "resvg-py")
EXTENSIONS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")


def _cpu() -> dict[str, str]:
    """The fields of /proc/cpuinfo, of the last core; empty where there is no such file."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    lines = (line.split(":", 1) for line in info.splitlines() if ":" in line)
    return {key.strip(): value.strip() for key, value in lines}


def processor() -> str:
    """The processor's name."""
    return _cpu().get("model name") or platform.processor() or platform.machine()


def extensions() -> list[str]:
    """Those of ``EXTENSIONS`` that the processor has, the widest first."""
    flags = _cpu().get("flags", "").split()
    return [extension for extension in EXTENSIONS if extension in flags]


def versions(*packages: str) -> str:
    """Python's version and those of ``packages``."""
    stated = (f"{package} {metadata.version(package)}" for package in packages)
    return ", ".join([f"Python {platform.python_version()}", *stated])


def describe(*packages: str) -> str:
    """Processor, cores, the widest instructions, and versions of the packages that count."""
    best = next(iter(extensions()), "no vectors known")
    return f"{processor()}, {cores()} cores, {best}; {versions(*(packages or PACKAGES))}"
