"""A frame for the pages of `dvc plots` that needs no network: `python -m clipcause plots`.

DVC's own pages load Vega from the web and stay blank without it. This writes `.dvc/tmp/plots.html`,
a frame with the libraries in it, and names it in `.dvc/config.local`, so that from then on
`dvc plots show` and `dvc plots diff` use it. It is no stage: nothing depends on it.
"""

import subprocess
import sys
from pathlib import Path

import vl_convert

from clipcause.runtime import atomic

FILE = Path(".dvc/tmp/plots.html")
CONFIG = Path(".dvc/config")
# of the frame, and of DVC's captions of plots
STYLE = """body { margin: 1.5rem; font: 15px/1.5 system-ui, sans-serif; background: #fff; }
.vega-embed { margin-bottom: 2.5rem; }"""


def frame() -> str:
    """The page; DVC puts the plots in the place of ``{plot_divs}``."""
    libraries = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # in a function, so that the libraries' names are not those of the plots' scripts
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Plots</title>\n'
        f"<style>\n{STYLE}\n</style>\n"
        f"<script>(() => {{{libraries}\n}})();</script>\n</head>\n"
        "<body>\n{plot_divs}\n</body>\n</html>\n"
    )


def write() -> str:
    """Make the frame and name it in DVC's own configuration; says what follows."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    with atomic.file(FILE) as temporary:
        temporary.write_text(frame(), encoding="utf-8")
    if not CONFIG.exists():
        return f"{FILE}; no DVC repository here: dvc plots show --html-template {FILE}"
    # DVC takes the name from its own folder
    setting = ("plots.html_template", str(FILE.relative_to(CONFIG.parent)))
    words = [sys.executable, "-m", "dvc", "config", "--local", *setting]
    subprocess.run(words, check=True)
    return f"{FILE}, which `dvc plots show` and `dvc plots diff` use from now on"
