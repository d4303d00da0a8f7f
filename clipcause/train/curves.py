"""Training curves by DVCLive, written during training too: tables that `dvc plots` draws.

`curves/<run>/` holds `metrics.json`, the last values, and in `plots/metrics/` a table for each of
loss, scale, lr and samples (`loss.tsv`: columns `step`, the number of batches, and `loss`). No time
is logged, so that a repeated run gives the same bytes.
"""

import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from dvclive import Live

from clipcause.train.loop import Line


class Curves:
    """A DVCLive logger that takes the lines of a training curve."""

    def __init__(self, live: Live | None) -> None:
        self._live = live

    def add(self, line: Line) -> None:
        """Log one line; its step is the number of batches that the model has learnt from."""
        if self._live is None:
            return
        self._live.step = int(line["step"])
        for name, value in line.items():
            if name != "step":
                self._live.log_metric(name, value)
        self._live.sync()


@contextmanager
def opened(folder: Path, *, write: bool = True) -> Generator[Curves]:
    """A logger into ``folder``, emptied first; a run that goes on logs its earlier lines again.

    A run that fails leaves no folder: half a curve looks like a short run. With ``write=False``,
    in processes other than the first, nothing is logged.
    """
    if not write:
        yield Curves(None)
        return
    try:
        # no experiment of its own, no dvc.yaml of its own: the pipeline has both
        with Live(str(folder), save_dvc_exp=False, dvcyaml=None) as live:
            yield Curves(live)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
