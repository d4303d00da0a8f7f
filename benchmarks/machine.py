"""What a benchmark's table says of the machine."""

import platform
from importlib import metadata
from pathlib import Path

from stages.parallel import cores

PACKAGES = ("torch", "numpy", "pillow", "resvg-py")
EXTENSIONS = ("amx_bf16", "avx512_bf16", "avx512f", "avx2")


def describe(*packages: str) -> str:
    """Processor, cores, the widest instructions, and versions of the packages that count."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    fields = dict(line.split(":", 1) for line in info.splitlines() if ":" in line)
    name = next((v.strip() for k, v in fields.items() if k.strip() == "model name"), "")
    flags = next((v.split() for k, v in fields.items() if k.strip() == "flags"), [])
    best = next((extension for extension in EXTENSIONS if extension in flags), "no vectors known")
    versions = ", ".join(f"{p} {metadata.version(p)}" for p in packages or PACKAGES)
    processor = name or platform.processor() or platform.machine()
    return f"{processor}, {cores()} cores, {best}; Python {platform.python_version()}, {versions}"
