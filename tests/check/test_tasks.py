"""`python -m clipcause tasks`: a study's test sets beside the benchmark's tasks."""

import json
from pathlib import Path

import pytest
import yaml

from clipcause.__main__ import main as commands
from clipcause.check import parameters, tasks
from clipcause.check.paths import PICTURES
from clipcause.config import benchmark, yaml12

ROOT = Path(__file__).parents[2]
HUB = "hf://datasets/clip-benchmark/"
NUMBERS = {
    "v2": {"top1": 0.5, "top5": 0.75, "mean_per_class": 0.4, "n": 10_000, "classes": 1000},
    "pets": {"top1": 0.5, "top5": 0.75, "mean_per_class": 0.25, "n": 80, "classes": 4},
    "pairs": {"n": 1000, "image_to_text": {"r1": 0.5}, "text_to_image": {"r1": 0.25}},
    "mine": {"top1": 0.5, "top5": 0.75, "mean_per_class": 0.125, "n": 80, "classes": 4},
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The default study with other test sets: two of the hub, one that says its task, one of none;
    two of its runs were evaluated, the second on fewer."""
    content = yaml12.load((ROOT / "params.yaml").read_bytes(), "params.yaml")
    tar = {"source": "webdataset", "shards": "test/*.tar"}
    sets = {
        "v2": {**tar, "raw": "data/places/v2"},
        "pets": {**tar, "raw": "data/none", "place": f"{HUB}wds_vtab-pets@main"},
        "pairs": {**tar, "raw": "data/none", "place": "/data/pairs"},
        "mine": {"source": "folder", "raw": "/data/mine"},
    }
    content["report"] |= dict.fromkeys(PICTURES, 0)  # none of the hub's are in a page
    content["places"] = {"v2": f"{HUB}wds_imagenetv2@{'0' * 40}"}
    content["datasets"] |= {f"tests/{name}": one for name, one in sets.items()}
    content["tests"] |= {
        "v2": {"task": "classify"},
        "pets": {"task": "classify"},
        "pairs": {
            "task": "retrieval",
            "benchmark": "retrieval/flickr_1k_test_image_text_retrieval",
        },
        "mine": {"task": "classify", "metric": "mean_per_class"},
    }
    folder = tmp_path / "study"
    (folder / "metrics/evaluate").mkdir(parents=True)
    write(folder, content)
    for run, tests in {"core-0": NUMBERS, "core-1": {"v2": NUMBERS["v2"]}}.items():
        (folder / f"metrics/evaluate/{run}.json").write_text(json.dumps(tests))
    monkeypatch.chdir(folder)
    return content


def write(folder, content):
    (folder / "params.yaml").write_text(yaml.safe_dump(content, sort_keys=False))


def lines(capsys, *words):
    """What is printed, by the first column, and the line that is returned."""
    done = tasks.main(*words)
    printed = capsys.readouterr().out.splitlines()
    return {line.split("  ")[0]: line.split("  ")[1:] for line in printed if line}, printed, done


def cells(row):
    return [cell.strip() for cell in row if cell.strip()]


def test_test_sets_at_hand_have_their_tasks_metric(study, capsys):
    rows, printed, done = lines(capsys)
    assert done == "params.yaml: 3 of DataComp's 38 tasks are at hand"
    assert cells(rows["task"])[-1] == "core-0"
    assert cells(rows["ImageNet v2"]) == [
        "v2", "top1", "10,000", "1,000", "0.0010", "–", "0.5000",
    ]  # fmt: skip
    assert cells(rows["Oxford-IIIT Pet"]) == [
        "pets", "mean_per_class", "3,669", "37", "0.0270", "–", "0.2500",
    ]  # fmt: skip
    assert cells(rows["Flickr"])[0] == "pairs"
    assert cells(rows["Flickr"])[-1] == "0.3750"  # the mean of both directions
    assert cells(rows["MNIST"]) == [
        "djghosh/wds_mnist_test", "top1", "10,000", "10", "0.1000", "0.1003", "–",
    ]  # fmt: skip
    text = "\n".join(printed)
    # (0.5 + 0.25 + 0.375) / 3, and (1/1000 + 1/37 + 1/1000) / 3
    assert "core-0: mean 0.3750 over 3 of 38 tasks, of a guess 0.0097; it is not DataComp's" in text
    assert "pets: 80 pictures, where the task has 3,669" in text
    assert "v2: " not in text
    assert "5 of 38 tasks have a metric that is not computed here: f1_macro, jaccard, " in text


def test_other_test_sets_stand_apart_with_their_own_metric(study, capsys):
    rows, _, _ = lines(capsys)
    assert "not of DataComp" in rows
    assert cells(rows["mine"]) == ["mean_per_class", "80", "4", "0.2500", "0.1250"]
    assert cells(rows["val"])[:2] == ["top1", "–"]  # which this run was not asked


def test_runs_by_name_each_with_its_mean(study, capsys):
    rows, printed, _ = lines(capsys, "--run", "core-0", "core-1")
    assert cells(rows["Oxford-IIIT Pet"])[-2:] == ["0.2500", "–"]
    assert any(line.startswith("core-1: mean 0.5000 over 1 of 38 tasks") for line in printed)


def test_a_run_that_is_not_there_or_was_not_evaluated(study, capsys):
    with pytest.raises(ValueError, match=r"unknown run 'core-00'; did you mean 'core-0'\?"):
        tasks.main("--run", "core-00")
    with pytest.raises(FileNotFoundError, match=r"core-2\.json: not found; `dvc repro eval"):
        tasks.main("--run", "core-2")


def test_a_wrong_task_is_an_error_with_the_nearest(study, capsys):
    study["tests"]["mine"]["benchmark"] = "imagenet-v2"
    write(Path(), study)
    with pytest.raises(SystemExit):
        commands(["tasks"])
    said = capsys.readouterr().err
    assert "tests.mine.benchmark: unknown task 'imagenet-v2'; did you mean 'imagenetv2'?" in said
    assert said.count("\n") == 1


def test_two_test_sets_of_one_task_are_told_apart_by_hand(study, capsys):
    study["tests"]["mine"] = {"task": "classify", "benchmark": "imagenetv2"}
    write(Path(), study)
    with pytest.raises(ValueError, match=r"tests\.mine: imagenetv2 is tests\.v2 already; say ben"):
        tasks.main()
    study["tests"]["v2"]["benchmark"] = "none"
    write(Path(), study)
    rows, _, _ = lines(capsys)
    assert cells(rows["ImageNet v2"])[0] == "mine"
    assert "v2" in rows


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"benchmark": "vtab/pets", "metric": "top1"}, r"metric: top1, but DataComp's main metric"),
        ({"benchmark": "misc/winogavil"}, r"task is classify, but misc/winogavil .* kind other"),
        ({"metric": "top5"}, r"tests\.mine\.metric: 'top5' is not valid; did you mean 'top1'\?"),
        ({"benchmrk": "mnist"}, r"benchmrk: unknown parameter; did you mean 'benchmark'\?"),
    ],
)
def test_entries_that_contradict_their_task(study, entry, message):
    study["tests"]["mine"] = entry
    write(Path(), study)
    with pytest.raises(ValueError, match=message):
        parameters.check(Path("params.yaml"), here=False)


def test_captions_have_no_metric_of_classes(study):
    study["tests"]["pairs"]["metric"] = "top1"
    write(Path(), study)
    with pytest.raises(ValueError, match="pairs: metric is top1, and task retrieval asks for no c"):
        parameters.check(Path("params.yaml"), here=False)


def test_every_task_that_a_study_may_name_is_one(study):
    for key, task in benchmark.load().tasks.items():
        if task.kind == "other":
            continue
        source = {"source": "webdataset", "raw": "data/none", "place": "/data"}
        content = {
            "datasets": {"tests/one": source},
            "tests": {"one": {"task": task.kind, "benchmark": key}},
        }
        benchmark.check(content, "here")
        assert benchmark.of("one", content, "here") == key
        assert benchmark.metric("one", content, "here") == task.metric
        for repo in task.hub:
            source["place"] = f"hf://datasets/{repo}@{'f' * 40}/test"
            del content["tests"]["one"]["benchmark"]
            assert benchmark.of("one", content, "here") == key
            content["tests"]["one"]["benchmark"] = key
