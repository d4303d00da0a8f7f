"""The figure `effects`: differences from random controls beside the supervised classifier."""

import pytest

from clipcause.report import figures
from clipcause.report.tables import accuracy, effects
from tests.report_study import RUNS, collected, inputs, write_study


def test_a_line_per_condition_and_test_set_in_points_from_the_control(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_study()
    found = effects.rows(inputs())
    assert [row.line for row in found] == ["hull-sketch on val", "hull-sketch on sketch"]
    cells = {line.condition.name: line.cells for line in accuracy.lines(inputs())}
    for row in found:
        control = cells["random-hull-sketch"][row.test].top1.value
        labelled = 100 * (cells["supervised"][row.test].top1.value - control)
        assert row.supervised == pytest.approx(labelled, abs=1e-3)
        assert row.low <= row.difference <= row.high
    content = collected()
    one = figures.load()["effects"]
    (panel,) = one.panels(content)
    assert panel.spec["data"]["values"] == content.rows("effects")
    assert list(one.files(content)) == ["effects"]


def test_without_a_supervised_run_there_is_no_tick(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_study(runs={name: run for name, run in RUNS.items() if name != "supervised"})
    assert {row.supervised for row in effects.rows(inputs())} == {None}
    assert list(figures.load()["effects"].files(collected())) == ["effects"]
