"""The analysis: what is stored is what was computed, and drawing it computes nothing."""

import json
import shutil
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from clipcause.report import analysis, colours, tables
from clipcause.report.outline import Pairs
from clipcause.report.tables import accuracy, comparisons, decomposition, density, robustness
from clipcause.runtime.imports import transitive
from clipcause.stats import logistic
from stages import analyse, report
from tests import report_imbalance, report_study
from tests.artifacts_samples import contents
from tests.report import test_agreement, test_domains, test_retrieval

ROOT = Path(__file__).parents[2]
DRAWING = ("clipcause/report/figures/", "clipcause/report/sections/", "clipcause/report/templates/")
DRAWS = {"page", "content", "colours", "markdown", "album", "pictures", "dvc_plots"}
STUDIES = {
    "images": report_study.write_study,
    "imbalance": report_imbalance.write,
    "retrieval": test_retrieval.write_study,
    "domains": test_domains.write_domains,
    "scores": test_agreement.write_study,
}


@pytest.fixture(scope="module", params=STUDIES)
def analysed(request, tmp_path_factory):
    """Inputs, results and rows of a study, and the folder that has its analysis."""
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        STUDIES[request.param]()
        inputs = report_study.inputs()
        found, rows = analysis.results(inputs), analysis.rows(inputs)
        analysis.write(analysis.FOLDER, found, rows)
        yield inputs, found, rows, folder


def test_what_is_read_is_what_was_written(analysed, tmp_path):
    _, found, rows, folder = analysed
    read, of_tables = analysis.read(folder / analysis.FOLDER)
    assert of_tables == rows
    for one in fields(found):
        if one.name == "study":
            continue
        assert getattr(read, one.name) == getattr(found, one.name), one.name
    for one in fields(found.study):
        assert getattr(read.study, one.name) == getattr(found.study, one.name), one.name
    analysis.write(tmp_path / "again", read, of_tables)
    assert contents(tmp_path / "again") == contents(folder / analysis.FOLDER)


def test_the_text_of_a_table_is_the_same_after_it_was_stored(analysed):
    _, found, rows, folder = analysed
    _, stored = analysis.read(folder / analysis.FOLDER)
    for name, one in tables.load().items():
        columns = [*one.columns, *one.looks]
        before, after = (
            tables.table.to_csv(columns, colours.painted(one, of[name], found.study))
            for of in (rows, stored)
        )
        assert before == after, name


def test_metrics_are_numbers_of_the_tables(analysed):
    inputs, found, rows, _ = analysed
    numbers = analysis.numbers(inputs)
    drops = {(row.split, row.test): -row.difference / 100 for row in rows["comparisons"]}
    for name, of in numbers["drop"].items():
        for test, value in of.items():
            split = next(one for one, _ in drops if accuracy.path(one) == name)
            assert value == pytest.approx(drops[split, test], abs=1e-6)
    family = analysis.claims(inputs)["family"]
    assert family["comparisons"] == len(found.compared) == len(rows["comparisons"])
    sure = sum(row.kind == comparisons.SURE for row in rows["comparisons"])
    assert family["called"] == sure


def test_every_column_of_every_table_says_what_it_means(analysed):
    _, _, rows, folder = analysed
    for name, one in tables.load().items():
        assert one.name == name
        assert all(one.columns.values()), name
        stored = json.loads((folder / "analysis/tables" / f"{name}.json").read_text())
        assert stored["columns"] == one.columns
        if rows[name]:
            assert list(tables.table.record(rows[name][0])) == list(one.columns)


def test_a_table_is_a_file_that_nothing_lists():
    folder = ROOT / "clipcause/report/tables"
    declaring = {path.stem for path in folder.glob("*.py") if "TABLES = " in path.read_text()}
    lists = {path.stem for path in folder.glob("[!_]*.py")} - declaring
    # of tables without a file of that name in report/plots: parts of others, and runs.csv
    assert lists == {"locked_text", "runs", "table"}


def test_pairs_are_keys_that_survive():
    from pydantic import TypeAdapter

    adapter = TypeAdapter(Pairs[float])
    found = {("a, b", "c"): 0.1 + 0.2, ("", "[1]"): -0.0}
    assert adapter.validate_json(adapter.dump_json(found)) == found


@pytest.mark.parametrize("name", ["results.json", "tables/matrix.json"])
def test_a_file_that_is_missing_or_of_another_version_is_named(analysed, tmp_path, name):
    *_, folder = analysed
    shutil.copytree(folder / analysis.FOLDER, tmp_path / "analysis")
    path = tmp_path / "analysis" / name
    path.write_text(json.dumps(json.loads(path.read_text()) | {"rows": [{}], "lines": 3}))
    with pytest.raises(ValueError, match=rf"{name}: (rows|lines).*dvc repro -s -f analyse"):
        analysis.read(tmp_path / "analysis")
    path.unlink()
    with pytest.raises(FileNotFoundError, match=rf"{name}: not found; `dvc repro analyse` makes"):
        analysis.read(tmp_path / "analysis")


def test_analyse_imports_nothing_that_draws():
    """A change of a caption, a colour or a template runs no statistics again."""
    mine = {str(path) for path in transitive("stages.analyse", ROOT)}
    assert not [path for path in mine if path.startswith(DRAWING)]
    assert not mine & {f"clipcause/report/{name}.py" for name in DRAWS}
    assert not [path for path in mine if path.endswith((".j2", ".css", ".js"))]


def test_report_draws_and_computes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    report_study.write_study()
    analyse.main()
    before = contents(tmp_path / "metrics")

    def computed(*_, **__):
        raise AssertionError("the report computes what an analysis has")

    for module, names in {
        accuracy: ["against", "compare"],  # those of R@k too
        density: ["paired_bootstrap"],
        comparisons: ["holm"],
        decomposition.decomposition: ["explain", "resample"],
        robustness.robustness: ["measure"],
        logistic: ["fit", "refit"],
        np.random: ["default_rng"],
    }.items():
        for name in names:
            monkeypatch.setattr(module, name, computed)
    report.main()
    assert contents(tmp_path / "metrics") == before
