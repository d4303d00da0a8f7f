"""The graph's stages, one file each: `python -m stages.NAME` runs one, as `dvc.yaml` says."""

from pathlib import Path

from clipcause.runtime import entry

# before a stage imports what takes seconds
_module, _words = entry.check_words(Path(__file__).parent)
if _words:
    from clipcause.config import items

    with entry.one_line(entry.label(_module, _words)):
        items.check(_module, _words[0])
