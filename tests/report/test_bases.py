"""The report of a study with runs on the bases that de-duplication writes."""

import numpy as np
import pytest

from clipcause.report import compare, page, study
from clipcause.report.conditions import same_rows
from tests import report_study

WHOLE = {"rule": "none", "base": "all", "of": "none", "with": "none"}
RUNS = report_study.RUNS | {
    "dedup-0": {"split": "dedup", "objective": "clip", "seed": 1},
    "all-0": {"split": "all", "objective": "clip", "seed": 0},
    "theirs": {"split": "none", "objective": "checkpoint", "path": "/their/model"},
}


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("study"))
        splits = report_study.SPLITS | {"everything": WHOLE}
        report_study.write_study(splits=splits, runs=RUNS)
        report_study.reported()
        yield study.load()


def test_a_run_on_a_base_is_one_on_the_split_of_its_rows(here):
    assert here.conditions["full"].runs == ("full-0", "dedup-0")
    assert here.conditions["everything"].runs == ("all-0",)
    for own in ("full", "everything"):
        found = here.similarity(here.conditions[own], "val")
        assert np.array_equal(found, here.gaps[own, "val"].similarity_Q)


def test_a_published_model_is_in_no_comparison(here):
    (name,) = here.unnamed
    assert name == "checkpoint /their/model"
    assert name not in here.conditions


def test_the_page_and_the_comparison_have_it(here, capsys):
    assert "everything" in page.render(report_study.collected())
    compare.main(["everything", "hull-sketch"])
    told = capsys.readouterr().out
    assert "everything" in told
    assert "hull-sketch" in told


def test_a_base_that_no_split_is_all_of_is_told(here):
    rules = {name: rule for name, rule in here.rules.items() if name != "full"}
    with pytest.raises(ValueError, match=r"add `full: \{rule: none, base: dedup"):
        same_rows("dedup", rules)
