"""The graph's stages, one file each: `python -m stages.NAME` runs one, as `dvc.yaml` says."""

from pathlib import Path

from clipcause.runtime import entry

entry.check_words(Path(__file__).parent)  # before a stage imports what takes seconds
