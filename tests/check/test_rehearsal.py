"""The study cc3m against a server that has its data sets, tiny: looked at, pinned, rehearsed."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from clipcause.check import paths, rehearsal, studies
from clipcause.config import FILE, read
from clipcause.data import dataset, hub, hub_sets
from clipcause.runtime import shard_cache
from tests import clones, hub_server, learning_study, web_tars
from tests.documents import ROOT
from tests.hub_server import Hub, Repo
from tests.repository import Repository

TOKEN = "hf_zyxwvutsrqponmlkjihgfedcba"
NAME = "cc3m-rehearsal-0_01"
PLACES = read(ROOT / "studies/cc3m/params.yaml")["places"]
SETS = ("pool", "reference", *(f"tests/{one}" for one in ("v2", "r", "objectnet")))


def labelled(positions: list[int], extension: str = "jpg", start: int = 0) -> bytes:
    """A tar as timm and the CLIP benchmark have them: keys, a position and an image."""
    return web_tars.tar_of(
        {
            f"s{number:07d}": {
                extension: web_tars.images(number % 20 + 1, extension)[-1],
                "cls": str(position).encode(),
            }
            for number, position in enumerate(positions, start)
        }
    )


def benchmark(names: list[str], positions: list[int], extension: str = "jpg") -> dict[str, bytes]:
    half = len(positions) // 2
    return {
        ".gitattributes": b"*.tar filter=lfs\n",
        "classnames.txt": "".join(f"{one}\n" for one in names).encode(),
        "zeroshot_classification_templates.txt": b"a bad photo of a {c}.\n",
        "test/nshards.txt": b"2\n",
        "test/0.tar": labelled(positions[:half], extension),
        "test/1.tar": labelled(positions[half:], extension, half),
    }


def published() -> dict[str, Repo]:
    """All data sets of the study under their names, with all their files."""
    known: Mapping[str, Any] = read(ROOT / "data/classes/imagenet.yaml")
    own = [one["name"] for one in known.values() if "test_set" not in one]
    few = {
        name: [one["name"] for one in known.values() if name in one.get("subsets", [])]
        for name in ("imagenet-r", "imagenet-a")
    }
    objects = [one["name"] for one in known.values() if one.get("test_set") == "objectnet"]
    pool = {
        f"cc3m-train-{n:04d}.tar": web_tars.tar_of(web_tars.samples(2, 2 * (n % 8)))
        for n in range(8)
    }
    train, val = labelled([0, 1, 0]), labelled([2, 2, 3])
    imagenet = {f"imagenet1k-train-{n:04d}.tar": train for n in range(1024)}
    imagenet |= {f"imagenet1k-validation-{n:02d}.tar": val for n in range(64)}
    files = {
        "pixparse/cc3m-wds": {
            f"cc3m-train-{n:04d}.tar": pool[f"cc3m-train-{n % 8:04d}.tar"] for n in range(576)
        },
        "timm/imagenet-1k-wds": imagenet,
        "clip-benchmark/wds_imagenet_sketch": benchmark(own, [0, 0, 999, 657]),
        "clip-benchmark/wds_imagenetv2": benchmark(own, [744, 744, 1, 2], "webp"),
        "clip-benchmark/wds_imagenet-r": benchmark(few["imagenet-r"], [0, 0, 199, 5]),
        "clip-benchmark/wds_imagenet-a": benchmark(few["imagenet-a"], [0, 0, 199, 5]),
        "clip-benchmark/wds_objectnet": benchmark(objects, [0, 0, 112, 5]),
    }
    commits = {hub.repo(url): url.rpartition("@")[2] for url in PLACES.values()}
    repos = {}
    for number, (name, content) in enumerate(files.items()):
        commit = commits[name] if hub.COMMIT.fullmatch(commits[name]) else f"{number:040x}"
        repos[name] = Repo(content, commit, gated=TOKEN if name.startswith("timm") else "")
    return repos


@pytest.fixture(scope="module")
def server() -> Iterator[Hub]:
    with hub_server.serving(published()) as serving:
        yield serving


@pytest.fixture(scope="module")
def clone(tmp_path_factory: pytest.TempPathFactory, server: Hub) -> Repository:
    """A clone whose study's encoder is a tiny model with random weights, for the CPU."""
    root = tmp_path_factory.mktemp("hub")
    (root / "clone").mkdir()
    clones.copy(root / "clone")
    clone = Repository(
        root / "clone",
        HF_ENDPOINT=server.url,
        HF_TOKEN=TOKEN,
        OMP_NUM_THREADS="1",
        **{hub.FOLDER: str(root / "kept"), shard_cache.ENVIRONMENT: str(root / "shards")},
    )
    clone.run("git", "init", "-q")
    clone.run("git", "commit", "-q", "--allow-empty", "-m", "first")  # DVCLive needs one
    learning_study.store(learning_study.clip_with_words(root / "merges.gz"), root / "tiny")
    params = root / "clone/studies/cc3m" / FILE
    text = (
        params.read_text()
        .replace("device: cuda", "device: cpu")
        .replace("threads: 16", "threads: 1")
    )
    text = text.replace("precision: bf16", "precision: fp32").replace("loaders: 16", "loaders: 1")
    found = text.index("  published: ")
    line = text[found : text.index("\n", found)]
    tiny = "  published: {split: none, objective: checkpoint, text_from: weights/tiny}"
    text = text.replace("weights: {}", f"weights: {{tiny: {root / 'tiny'}}}")
    params.write_text(text.replace(line, tiny))
    return clone


@pytest.fixture(scope="module")
def rehearsed(clone: Repository, server: Hub) -> str:
    """What is said when the data sets of the pinned study are prepared, and one is embedded."""
    assert "not at a commit: hf://datasets/timm/imagenet-1k-wds@main" in clone.python(
        "clipcause", "repro", "--study", "cc3m", "--scale", "0.01", fails=True
    )
    assert not (clone.folder / "studies" / NAME).exists()
    pinned = clone.python("clipcause", "hub", "pin", "cc3m")
    for name in ("timm/imagenet-1k-wds", "clip-benchmark/wds_objectnet"):
        assert f"hf://datasets/{name}@{server.repos[name].commit}" in pinned
    stages = [f"prepare@{one}" for one in SETS] + ["embed@pool"]
    words = ("repro", "--study", "cc3m", "--scale", "0.01", *stages)
    return clone.python("clipcause", *words)


def made(clone: Repository, name: str) -> dataset.Manifest:
    return dataset.read(clone.folder / "studies" / NAME / "data" / name, shards=False)


def labels(clone: Repository, name: str) -> list[str]:
    return sorted(label or "" for label in made(clone, name).labels)


def test_a_rehearsal_takes_the_first_tars_and_a_part_of_every_class(
    rehearsed: str, clone: Repository
) -> None:
    assert len(made(clone, "pool")) == 2 * 6  # of 576 tars
    assert len(made(clone, "reference")) == 3 * 11  # of 1,024
    names = {one: labels(clone, f"tests/{one}") for one in ("v2", "r")}
    assert names["v2"] == ["n01443537", "n01484850", "n04008634"]
    assert len(names["r"]) == 3
    assert labels(clone, "tests/objectnet")[0] == "objectnet-alarm_clock"


def test_terms_are_said_before_anything_is_fetched(rehearsed: str) -> None:
    first = rehearsed.index("timm/imagenet-1k-wds: licence ImageNet terms")
    assert first < rehearsed.index("list")
    assert all(f"{name}: licence" in rehearsed for name in hub_sets.SETS if "cc12m" not in name)


def test_only_what_is_needed_is_fetched(rehearsed: str, server: Hub, clone: Repository) -> None:
    """Of the pool six tars, and of files of one content one."""
    asked = [path for path in server.files() if "cc3m-train" in path]
    assert {path.rpartition("/")[2] for path in asked} == {
        f"cc3m-train-{n:04d}.tar" for n in range(6)
    }
    of_imagenet = [path for path in server.files() if "/lfs/timm" in path]
    assert len(of_imagenet) == 1


def test_the_token_is_nowhere(rehearsed: str, clone: Repository) -> None:
    """In no log, card, lock, cache nor name."""
    assert TOKEN not in rehearsed
    for folder in (clone.folder / "studies", clone.folder.parent / "kept"):
        for path in folder.rglob("*"):
            assert TOKEN not in str(path)
            assert not path.is_file() or TOKEN.encode() not in path.read_bytes()


def test_the_study_itself_has_nothing_of_its_rehearsal(rehearsed: str, clone: Repository) -> None:
    whole, part = clone.folder / "studies/cc3m", clone.folder / "studies" / NAME
    assert (part / "dvc.lock").exists()
    assert not (whole / "dvc.lock").exists()
    lock = yaml.safe_load((part / "dvc.lock").read_text())["stages"]
    assert lock["prepare@pool"]["params"]["params.yaml"]["datasets.pool"]["part"] == 0.01
    assert clone.run("git", "diff", "--cached", "--name-only") == ""
    again = clone.python("clipcause", "repro", "--study", "cc3m", "--scale", "0.01", "prepare@pool")
    assert "0 stages run" in again


def test_pictures_are_embedded_where_they_lie(rehearsed: str, clone: Repository) -> None:
    parts = list((clone.folder / "studies" / NAME / "embeddings").rglob("*.npy"))
    assert len(parts) == 6


def test_all_is_looked_at_without_fetching(clone: Repository, server: Hub, rehearsed: str) -> None:
    before = len(server.files())
    said = clone.python("clipcause", "hub", "check", "cc3m")
    assert len(server.files()) == before
    assert "pool: 576 files" in said
    assert "reference: 1,024 files" in said
    assert "tests/r: 3 files" in said  # two tars and classnames.txt
    assert "of them to be fetched to" in said


def test_a_gated_set_without_a_token_says_so_at_once(clone: Repository, rehearsed: str) -> None:
    without = Repository(clone.folder)
    without.environment = {k: v for k, v in clone.environment.items() if k != hub.TOKEN}
    said = without.python("clipcause", "hub", "check", "cc3m", fails=True)
    assert "gated (401): accept its terms at" in said
    assert "\n" not in said.partition("error: ")[2].strip()


def test_terms_are_shown_without_a_network(clone: Repository, rehearsed: str) -> None:
    alone = Repository(clone.folder, HF_ENDPOINT="http://127.0.0.1:9")
    said = alone.python("clipcause", "hub", "terms", "cc3m")
    assert "timm/imagenet-1k-wds: licence ImageNet terms of access" in said
    assert "read: its card at cc2542c" in said


@pytest.mark.parametrize("said", ["0", "1", "2", "-0.1", "nan", "a hundredth"])
def test_a_scale_is_a_share(said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        rehearsal.write("cc3m", said, ROOT)


def test_what_has_no_tars_has_no_rehearsal() -> None:
    with pytest.raises(ValueError, match=r"datasets\.pool: source icons: a rehearsal takes parts"):
        rehearsal.shrink(read(ROOT / FILE), 0.1, "here")


def test_a_rehearsal_differs_in_shares_alone() -> None:
    whole = read(ROOT / "studies/cc3m" / FILE)
    part = json.loads(json.dumps(whole))
    rehearsal.shrink(part, 0.01, "here")
    differ = {one.key: one.own for one in studies.differences(part, whole)}
    assert differ.pop("datasets.pool.part") == differ.pop("datasets.reference.part") == 0.01
    assert {differ.pop(f"datasets.tests/{one}.each") for one in whole["tests"]} == {0.01}
    assert differ == {
        "deduplicate.clusters": 4,
        "train.clip.samples_seen": 290_000,
        "train.supervised.samples_seen": 290_000,
    }


def test_streams_are_no_more_than_tars() -> None:
    """One tar of 576 and two of 1,024: 16 streams and as many loaders become two."""
    part = json.loads(json.dumps(read(ROOT / "studies/cc3m" / FILE)))
    rehearsal.shrink(part, 0.001, "here")
    assert (part["train"]["streams"], part["engine"]["loaders"]) == (2, 2)


@pytest.mark.parametrize("name", ["cc3m", "cc12m"])
def test_the_report_has_no_picture(name: str) -> None:
    content = read(ROOT / "studies" / name / FILE)
    where = Path("params.yaml")
    paths.check_pictures(content, where)
    for key in paths.PICTURES:
        shown = {**content, "report": {**content["report"], key: 1}}
        with pytest.raises(ValueError, match=rf"report\.{key}: 1 pictures, and those of hf://"):
            paths.check_pictures(shown, where)
    paths.check_pictures(read(ROOT / FILE), where)


@pytest.mark.parametrize("name", ["cc3m", "cc12m"])
def test_every_set_that_a_study_reads_is_known(name: str) -> None:
    for url in read(ROOT / "studies" / name / FILE)["places"].values():
        known = hub_sets.SETS[hub.repo(url)]
        assert known.licence
        assert known.read
        assert known.gated == (hub.repo(url) == "timm/imagenet-1k-wds")
