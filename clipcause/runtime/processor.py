"""The name of this machine's processor, for what is measured or trained on it."""

import platform
from pathlib import Path

INFO = Path("/proc/cpuinfo")


def fields() -> dict[str, str]:
    """What Linux says of the last core; empty elsewhere."""
    lines = INFO.read_text().splitlines() if INFO.exists() else []
    pairs = (line.split(":", 1) for line in lines if ":" in line)
    return {key.strip(): value.strip() for key, value in pairs}


def name() -> str:
    """The processor's name."""
    return fields().get("model name") or platform.processor() or platform.machine()
