"""What `dvc plots` reads: written from the figures, and drawn by DVC in root and study alike."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from clipcause.check import studies
from clipcause.report import dvc_plots, figures, offline
from clipcause.report.dvc_plots import main
from tests.repository import Repository

ROOT = Path(__file__).parents[2]
ROW = {
    "accuracy": "val,full,full,split,50.0,40.0,60.0,#3b82d0",
    "binned": "val,full,split,0.5,50.0,40.0,60.0,10,#3b82d0",
}
HEAD = {
    "accuracy": "test,split,beside,kind,top1,low,high,colour",
    "binned": "test,split,kind,similarity,accuracy,low,high,images,colour",
}


def test_what_is_committed_is_what_the_figures_write():
    assert dvc_plots.differing(ROOT) == [], "run `python -m clipcause plots --write`"


def test_the_pipeline_has_no_figure():
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    assert not [name for entry in plots for name in entry if name.startswith("report/")]


def test_every_figure_is_a_plot_and_a_template():
    plots = yaml.safe_load(dvc_plots.definitions())["plots"]
    known = {next(iter(entry)): next(iter(entry.values())) for entry in plots}
    assert known.keys() == {f"plots/{name}.csv" for name in figures.load()}
    for name, one in figures.load().items():
        assert known[f"plots/{name}.csv"]["template"] == name
        assert '"<DVC_METRIC_DATA>"' in dvc_plots.template(one)


def test_what_is_changed_missing_or_of_no_figure_is_written_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "studies/mine").mkdir(parents=True)
    (tmp_path / "studies/mine/params.yaml").touch()
    main("--write")
    assert {
        Path("report/dvc.yaml"),
        Path("studies/mine/report/dvc.yaml"),
    } <= dvc_plots.files().keys()
    assert dvc_plots.differing() == []
    Path(".dvc/plots/binned.json").write_text("{}")
    Path(".dvc/plots/old.json").write_text("{}")
    Path("report/dvc.yaml").unlink()
    changed = [".dvc/plots/binned.json", "report/dvc.yaml", ".dvc/plots/old.json"]
    assert [str(path) for path in dvc_plots.differing()] == changed
    capsys.readouterr()
    main("--write")
    assert capsys.readouterr().out.splitlines()[:3] == changed
    assert dvc_plots.differing() == []
    assert not Path(".dvc/plots/old.json").exists()


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """A repository with a study, both with two tables in two commits; no stage has run."""
    root = tmp_path_factory.mktemp("plots")
    (root / "dvc.yaml").write_text("stages: {}\n")
    study = root / "studies/mine"
    for folder in (root, study):
        (folder / "report/plots").mkdir(parents=True)
        (folder / "params.yaml").write_text("seed: 0\n")
        for name, row in ROW.items():
            (folder / f"report/plots/{name}.csv").write_text(f"{HEAD[name]}\n{row}\n")
    made = Repository(root)
    made.init()
    dvc_plots.write(root)
    studies.renew(study)
    made.commit("first")
    for folder in (root, study):
        table = folder / "report/plots/accuracy.csv"
        table.write_text(table.read_text().replace("50.0", "55.0"))
    made.commit("second")
    return root


@pytest.mark.parametrize("folder", [".", "studies/mine"])
def test_dvc_shows_and_compares_without_a_run(repository, folder):
    here = Repository(repository / folder)

    def read(*words):  # a line more says that some tables are not there
        return json.loads(here.dvc("plots", *words, "--json").splitlines()[0])["data"]

    shown = read("show")
    assert shown.keys() >= {"report/plots/accuracy.csv", "report/plots/binned.csv"}
    compared = read("diff", "HEAD~1")
    (found,) = compared["report/plots/accuracy.csv"]
    spec = json.loads(found["content"]) if isinstance(found["content"], str) else found["content"]
    assert {row["rev"]: row["top1"] for row in spec["data"]["values"]} == {
        "workspace": "55.0", "HEAD~1": "50.0",
    }  # fmt: skip
    # the figure's own template, not DVC's
    assert spec["title"]["text"] == figures.load()["accuracy"].title
    (panels,) = spec["vconcat"]
    assert panels["facet"]["field"] == "panel"
    assert panels["transform"][-1] == {"calculate": "datum['test']", "as": "panel"}


def test_a_revision_with_a_figures_former_name_is_drawn(repository, tmp_path):
    """DVC takes templates of the workspace for every revision."""
    folder = shutil.copytree(repository, tmp_path / "clone", symlinks=True)
    clone = Repository(folder)
    definitions, row = folder / "report/dvc.yaml", "rule,pair,jaccard\nhull,a b,0.5\n"
    now, (former, name) = definitions.read_text(), next(iter(dvc_plots.FORMER.items()))
    definitions.write_text(now.replace(name, former))
    (folder / f"report/plots/{former}.csv").write_text(row)
    clone.commit("as it was")
    definitions.write_text(now)
    (folder / f"report/plots/{former}.csv").rename(folder / f"report/plots/{name}.csv")
    shown = json.loads(clone.dvc("plots", "diff", "HEAD", "--json").splitlines()[0])["data"]
    assert shown.keys() >= {f"report/plots/{one}.csv" for one in (former, name)}


def test_pages_can_do_without_a_network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert "--html-template .dvc/tmp/plots.html" in main()  # no DVC repository here
    text = Path(".dvc/tmp/plots.html").read_text()
    assert text == offline.frame()
    assert text.count("{plot_divs}") == 1
    assert "{scripts}" not in text  # DVC would put its links to libraries there
    assert "<script src" not in text
    assert text.count("</script") == 1
    assert "window.vegaEmbed=" in text


@pytest.mark.parametrize("folder", [".", "studies/mine"])
def test_a_study_has_such_pages_too(repository, folder, monkeypatch):
    monkeypatch.chdir(repository / folder)
    main()
    Repository(repository / folder).dvc("plots", "show", "-o", "out")
    page = (repository / folder / "out/index.html").read_text()
    assert "window.vegaEmbed=" in page
    assert "<script src" not in page
    assert "#3b82d0" in page
