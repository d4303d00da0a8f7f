"""relevance: the artifact; the stage against plain products of the encoder's vectors."""

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import yaml

from clipcause.captions import definition_similarity, frequency, glosses, relevance
from clipcause.captions.classes import ClassNames
from clipcause.captions.relevance import Part
from clipcause.config import layout
from clipcause.data import dataset
from clipcause.embed import models, tokens
from clipcause.runtime import shard_cache as cache
from stages import frequency as counted
from stages import relevance as stage
from stages import train
from tests import learning_study
from tests.artifacts_samples import contents

ROOT = Path(__file__).parents[1]
WORDNET = ROOT / "tests/fixtures/wordnet.tgz"
CARD = {"pool": "p", "definitions": "wordnet", "encoder": "e", "wordnet": "w"}


def part(*lines: tuple[int, int, float]) -> Part:
    rows, owners, similarities = zip(*lines, strict=True) if lines else ((), (), ())
    return Part(
        np.array(rows, np.int64), np.array(owners, np.int64), np.array(similarities, np.float32)
    )


def test_scores_are_read_as_they_were_written(tmp_path):
    parts = [part((0, 1, 0.5), (3, 0, -0.25), (3, 2, 0.75)), part(), part((9, 1, 1.0))]
    relevance.write(tmp_path / "r", ["b", "a", "c"], parts, CARD)
    found = relevance.read(tmp_path / "r", pool="p")
    assert found.classes == ("b", "a", "c")
    assert found.row_M.tolist() == [0, 3, 3, 9]
    assert found.class_M.tolist() == [1, 0, 2, 1]
    assert found.similarity_M.tolist() == [0.5, -0.25, 0.75, 1.0]
    parts = list(relevance.similarities(tmp_path / "r"))
    assert np.concatenate([row for row, _ in parts]).tolist() == found.row_M.tolist()
    assert np.concatenate([one for _, one in parts]).tolist() == found.similarity_M.tolist()
    row_R, best_R = found.best()
    assert (row_R.tolist(), best_R.tolist()) == ([0, 3, 9], [0.5, 0.75, 1.0])


def test_a_list_without_any_match_has_no_best(tmp_path):
    relevance.write(tmp_path / "r", ["a"], [part()], CARD)
    found = relevance.read(tmp_path / "r")
    assert [len(array) for array in found.best()] == [0, 0]


def test_the_empty_artifact_says_what_to_do(tmp_path):
    relevance.write(tmp_path / "r", [], [], {"pool": "p", "definitions": "none"})
    with pytest.raises(ValueError, match=r"relevance\.definitions is none; set it to wordnet"):
        relevance.read(tmp_path / "r")


def test_scores_of_another_pool(tmp_path):
    relevance.write(tmp_path / "r", ["a"], [part((0, 0, 0.5))], CARD)
    with pytest.raises(ValueError, match="made from another pool"):
        relevance.read(tmp_path / "r", pool="q")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([(1, 0, 0.1), (0, 0, 0.1)], "do not ascend"),
        ([(0, 0, 0.1), (0, 0, 0.1)], "do not ascend"),
        ([(0, 0, np.nan)], "1 similarities are no cosines, first of row 0"),
        ([(0, 0, 0.1), (4, 0, 1.5)], "1 similarities are no cosines, first of row 4"),
    ],
)
def test_scores_that_are_none_are_not_written(tmp_path, lines, message):
    with pytest.raises(ValueError, match=message):
        relevance.write(tmp_path / "r", ["a"], [part(*lines)], CARD)
    assert not (tmp_path / "r").exists()


LISTED = {
    "ball": {"name": "ball", "names": ["red", "ball"], "definition": "red"},
    "wall": {"name": "green wall", "names": ["wall"], "synset": "bell.n.01"},
    "sky": {"name": "sky", "names": ["blue sky", "sky"]},
}
OPTIONS = {
    "definitions": "wordnet",
    "text": "{definition}",
    "batch_size": 7,
    "precision": "fp32",
    "threads": 1,
}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A pool of 40 captions whose encoder is there, and the frequency of three classes."""
    root = tmp_path_factory.mktemp("study")
    with learning_study.made(root):
        train.main("full-0")
        (root / "data/classes/shapes.yaml").write_text(yaml.safe_dump(LISTED, sort_keys=False))
        learning_study.change(
            root,
            frequency={"matcher": "bag", "wordnet": str(WORDNET)},
            relevance=OPTIONS,
            engine={"workers": 1},
        )
        counted.main()
    return root


@pytest.fixture
def here(study, tmp_path, monkeypatch):
    learning_study.change(study, relevance=OPTIONS)
    return learning_study.enter(study, monkeypatch, tmp_path / "shards")


FOLDER = layout.relevance("shapes")


def test_every_match_has_its_cosine(here, capsys):
    said = stage.main()
    clip = models.load(layout.model("full-0"))

    def vector(text):
        (found_D,) = models.encode_texts(
            clip, [text], precision="fp32", device=torch.device("cpu")
        ).astype(np.float64)
        return found_D

    pool = dataset.read(layout.dataset("pool"))
    bell = glosses.read(WORDNET).definition("bell.n.01")
    text = {"ball": "red", "wall": bell}
    expected = [
        (m["row"], m["class"], vector(pool.captions[m["row"]]) @ vector(text[m["class"]]))
        for m in pq.read_table(layout.frequency("shapes") / frequency.MATCHES).to_pylist()
        if m["class"] in text
    ]
    found = relevance.read(FOLDER, pool=pool.sha256)
    assert found.classes == ("ball", "wall")
    assert len(expected) == len(found.row_M) > 20
    assert found.row_M.tolist() == [row for row, _, _ in expected]
    assert [found.classes[at] for at in found.class_M] == [key for _, key, _ in expected]
    assert np.allclose(found.similarity_M, [cosine for _, _, cosine in expected], atol=1e-5)
    assert "1 of 3 classes have neither synset nor definition" in capsys.readouterr().err
    assert found.card["wordnet_version"] == "3.0"
    assert said.startswith(f"{len(expected)} matches of {len(expected)} captions")
    stated = json.loads(Path("metrics/relevance.json").read_text())
    assert stated["classes"] == 2
    assert stated["similarity"] == pytest.approx(found.similarity_M.mean(), abs=1e-5)
    middle = np.sort(found.best()[1])[(len(expected) - 1) // 2]
    assert stated["best_of_row"]["p50"] == pytest.approx(middle, abs=1.001e-3)


def test_a_gloss_longer_than_the_models_context_is_counted(here):
    stage.main()
    assert json.loads(Path("metrics/relevance.json").read_text())["definitions_cut"] == 1


def test_repeated_and_resumed_runs_give_the_same_bytes(here, monkeypatch):
    stage.main()
    first = contents(FOLDER)
    calls = []
    call = definition_similarity.Similarities.__call__
    monkeypatch.setattr(
        definition_similarity.Similarities,
        "__call__",
        lambda self, at: calls.append(at) or call(self, at),
    )
    stage.main()
    assert calls == []
    next(cache.folder().rglob(f"*{cache.ARRAYS.suffix}")).unlink()
    stage.main()
    assert len(calls) == 1
    assert contents(FOLDER) == first
    learning_study.change(here, relevance={"batch_size": 3})
    stage.main()
    assert len(calls) == 4


def test_a_task_that_was_sent_to_a_process_gives_the_same(here, monkeypatch):
    tasks = []
    shardwise = definition_similarity.shardwise
    monkeypatch.setattr(
        definition_similarity,
        "shardwise",
        lambda task, *given, **by: tasks.append(task) or shardwise(task, *given, **by),
    )
    stage.main()
    sent = pickle.loads(pickle.dumps(tasks[0]))
    sent.start()
    for position in range(3):
        assert all(
            np.array_equal(array, sent(position)[name])
            for name, array in tasks[0](position).items()
        )


def test_a_caption_is_encoded_once(here, monkeypatch):
    texts, sizes = [], []
    encode, tokenise = models.encode_texts, tokens.encode

    def encoded(clip, given, **options):
        texts.append(list(given))
        return encode(clip, given, **options)

    def tokenised(tokenizer, given):
        sizes.append(len(given))
        return tokenise(tokenizer, given)

    monkeypatch.setattr(models, "encode_texts", encoded)
    monkeypatch.setattr(tokens, "encode", tokenised)
    stage.main()
    captions = dataset.read(layout.dataset("pool")).captions
    defined, *batches = texts
    assert len(defined) == 2
    # 16, 16 and 8 captions a shard; those of the class sky are not asked for
    wanted = [
        {caption for caption in captions[start : start + 16] if "sky" not in caption}
        for start in (0, 16, 32)
    ]
    assert sum(map(len, batches)) == sum(map(len, wanted))
    assert 0 < max(sizes) <= 7


def test_the_text_may_have_the_name(here):
    learning_study.change(here, relevance={"text": "{name}, {definition}"})
    stage.main()
    assert relevance.read(FOLDER).card["text"] == "{name}, {definition}"


def test_without_definitions_nothing_is_encoded(here, monkeypatch):
    learning_study.change(here, relevance={"definitions": "none"})
    monkeypatch.setattr(models, "load", None)
    assert "empty" in stage.main()
    with pytest.raises(ValueError, match=r"relevance\.definitions is none"):
        relevance.read(FOLDER)
    assert json.loads(Path("metrics/relevance.json").read_text())["matches"] == 0


def test_the_stage_starts_without_torch():
    script = "import sys, stages.relevance; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"text": "{name}"}, r"has to have \{definition\}"),
        ({"text": "{definition} {caption}"}, r"has to have \{definition\}"),
        ({"definitions": "word-net"}, "did you mean 'wordnet'"),
    ],
)
def test_parameters_that_are_wrong(here, changed, message):
    learning_study.change(here, relevance=OPTIONS | changed)
    with pytest.raises(ValueError, match=message):
        stage.main()


def test_a_list_without_any_definition(here, monkeypatch):
    monkeypatch.setattr(
        definition_similarity.classes,
        "own",
        lambda known: {"sky": ClassNames(name="sky", names=["sky"])},
    )
    with pytest.raises(ValueError, match=r"shapes\.yaml: no class has a synset or a definition"):
        stage.main()


def test_the_frequency_of_another_pool(here, monkeypatch):
    monkeypatch.setattr(
        definition_similarity.frequency, "read_card", lambda folder: {"pool": "other"}
    )
    with pytest.raises(ValueError, match=r"made from another pool \(other\)"):
        stage.main()
