"""The report of a study with a test set of captions."""

import csv
import dataclasses
import json
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pyarrow as pa
import pytest
import yaml

from clipcause.config import layout
from clipcause.data import dataset
from clipcause.evaluate import ranks as artifact
from clipcause.evaluate import retrieval
from clipcause.report.inputs import Inputs
from clipcause.report.tables import retrieval as tables
from clipcause.stats.statistics import wilson
from tests import report_study

RUNS = ("full-0", "hull-sketch-0", "random-hull-sketch-0")


def write_study():
    """`sketch` is asked for its captions: the pruned run finds none at once, the others all."""
    report_study.write_study()
    path = Path("params.yaml")
    content = yaml.safe_load(path.read_text())
    content["tests"]["sketch"]["task"] = "retrieval"
    path.write_text(yaml.safe_dump(content))
    _, text_Q = retrieval.distinct(dataset.read(layout.dataset("tests/sketch")).captions)
    first_T = np.unique(text_Q, return_index=True)[1]
    for run in RUNS:
        rank_Q = np.full(len(text_Q), 3 if run == "hull-sketch-0" else 1)
        line_Q = np.arange(len(text_Q))
        columns = [line_Q, np.zeros_like(line_Q), first_T[text_Q], rank_Q, rank_Q]
        table = pa.table([pa.array(c) for c in columns], names=artifact.SCHEMA.names)
        artifact.write(layout.predictions(run), "sketch", table.cast(artifact.SCHEMA))


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        write_study()
        report_study.reported()
    return root / "report"


def test_shares_and_differences_are_those_of_the_ranks(reported):
    with (reported / "plots/retrieval.csv").open() as stream:
        rows = {(r["direction"], r["depth"], r["split"]): r for r in csv.DictReader(stream)}
    assert {name for _, _, name in rows} == {"full", "hull-sketch", "random-hull-sketch"}
    for direction in ("image to text", "text to image"):
        assert float(rows[direction, "R@1", "full"]["recall"]) == 100
        pruned = rows[direction, "R@1", "hull-sketch"]
        assert (float(pruned["recall"]), float(pruned["difference"])) == (0, -100)
        assert float(rows[direction, "R@5", "hull-sketch"]["difference"]) == 0
    numbers = json.loads((reported.parent / "metrics/report.json").read_text())
    assert numbers["retrieval"]["hull-sketch"]["sketch"]["image_to_text"]["r1"] == -1
    assert "sketch" not in numbers["accuracy"]["full-0"]


def test_the_page_has_a_section_and_a_figure(reported):
    page = (reported / "index.html").read_text()
    assert '<section id="retrieval">' in page
    assert (reported / "figures/retrieval.png").exists()


def test_pictures_and_duplicates_are_of_all_test_sets(reported):
    """What hull pruning for a set of captions removed and kept, its neighbours, its duplicates."""
    page = (reported / "index.html").read_text()
    for anchor in ("removed", "kept", "neighbours"):
        part = page[page.index(f'id="{anchor}"') :]
        assert '<li data-test="sketch">' in part[: part.index("</section>")]
    copies = page[page.index('<section id="copied">') :]
    assert "<small>of 30</small>" in copies[: copies.index("</section>")]
    assert "sketch<small>" in copies[: copies.index("</section>")]


def test_captions_of_one_image_are_drawn_together():
    """Ten images, two captions of the first nine and one of the last, right or wrong as one."""
    row_C = np.repeat(np.arange(10), [2] * 9 + [1])
    right_SQ = np.array([[1, 0, 1, 1, 0, 1, 1, 0, 1, 1], [1, 1, 1, 0, 0, 1, 1, 1, 0, 1]], bool)
    of_control_SQ = np.array([[1, 0, 0, 1, 0, 0, 1, 0, 0, 1], [0, 1, 0, 0, 0, 1, 0, 1, 0, 1]], bool)
    drawn = Mock(spec=Inputs, draws={"resamples": 200, "seed": 0})
    found = tables._recall(drawn, right_SQ[:, row_C], [of_control_SQ[:, row_C]], row_C)
    right, of_control = right_SQ[:, row_C].mean(), of_control_SQ[:, row_C].mean()
    assert found.share.value == pytest.approx(right)
    assert (found.share.low, found.share.high) == pytest.approx(wilson(10 * right, 10))
    assert found.against is not None
    assert found.against.images == 10
    assert found.against.difference.value == pytest.approx(right - of_control)
    # two captions everywhere: as one
    twice_C = np.repeat(np.arange(10), 2)
    twice = tables._recall(drawn, right_SQ[:, twice_C], [of_control_SQ[:, twice_C]], twice_C)
    once = tables._recall(drawn, right_SQ, [of_control_SQ], np.arange(10))
    assert twice.against is not None
    assert once.against is not None
    for one, other in (
        (twice.share, once.share),
        (twice.against.difference, once.against.difference),
    ):
        assert dataclasses.astuple(one) == pytest.approx(dataclasses.astuple(other))
