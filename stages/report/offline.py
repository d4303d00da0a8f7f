"""A frame for the pages of `dvc plots` that needs no network: `python -m stages.report.offline`.

DVC's own pages load Vega from the web and stay blank without it. This writes `.dvc/tmp/plots.html`,
a frame with the libraries in it, for `dvc plots show --html-template .dvc/tmp/plots.html` (and
`dvc plots diff`). It is no stage: nothing depends on it.
"""

from pathlib import Path

import vl_convert

from stages.artifacts import atomic
from stages.entry import run

FILE = Path(".dvc/tmp/plots.html")


def frame() -> str:
    """The page; DVC puts the plots in the place of ``{plot_divs}``."""
    libraries = vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")
    # in a function, so that the libraries' names are not those of the plots' scripts
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Plots</title>\n'
        f"<script>(() => {{{libraries}\n}})();</script>\n</head>\n"
        "<body>\n{plot_divs}\n</body>\n</html>\n"
    )


def main() -> str:
    FILE.parent.mkdir(parents=True, exist_ok=True)
    with atomic.file(FILE) as temporary:
        temporary.write_text(frame(), encoding="utf-8")
    return f"{FILE}: dvc plots show --html-template {FILE}"


if __name__ == "__main__":
    run(main)
