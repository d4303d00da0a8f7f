"""Exports of pictures that have several captions: the first of them, or all."""

import dataclasses
import gc
import json
import tarfile
from pathlib import Path

import pytest
import yaml
from webdataset.compat import WebDataset

from clipcause.config import exports, layout
from clipcause.prune import split
from stages import export
from tests.artifacts_samples import make_dataset, sample

SAID = [["a", "b", "c"], ["only"], ["one\u2028of two lines", "two\r\nlines\x85", "end"]]


@pytest.fixture
def exported(tmp_path, monkeypatch):
    """Exports one way; every sample's text and JSON."""
    monkeypatch.chdir(tmp_path)
    items = [
        dataclasses.replace(
            sample(row), label=None, caption=said[0], captions=said if len(said) > 1 else None
        )
        for row, said in enumerate(SAID)
    ]
    pool = make_dataset(layout.dataset("pool"), items=items)
    split.write(layout.split("some"), range(3), card={"pool": pool.sha256, "pool_rows": 3})

    def found(**entry):
        entry = {"split": "some", "shard_size": 2, **entry}
        content = {"splits": {"some": {"rule": "none"}}, "exports": {"out": entry}}
        Path("params.yaml").write_text(yaml.safe_dump(content))
        export.main("out")
        samples = []
        for path in sorted(layout.export("out").glob("*.tar")):
            with tarfile.open(path) as tar:
                content = {one.name: tar.extractfile(one).read() for one in tar}  # ty: ignore
            samples += [
                (content[name].decode(), json.loads(content[name.replace("txt", "json")]))
                for name in content
                if name.endswith(".txt")
            ]
        return samples

    return found


def test_the_first(exported):
    first = exported()
    assert [text for text, _ in first] == [said[0] for said in SAID]
    assert exported(captions="first") == first
    # what the pool's shard says stays
    assert [facts["captions"] for _, facts in first] == SAID


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_all_as_the_clip_benchmark_reads_them(exported):
    everything = exported(captions="all")
    assert [facts["captions"] for _, facts in everything] == SAID
    lines = [["a", "b", "c"], ["only"], ["one of two lines", "two lines", "end"]]
    # its `build_wds_dataset` maps `str.splitlines` over the decoded texts
    urls = str(layout.export("out") / "{00000..00001}.tar")
    read = list(WebDataset(urls, shardshuffle=False))
    assert [one["txt"].decode().splitlines() for one in read] == lines
    gc.collect()  # the library leaves its files open
    assert json.loads((layout.export("out") / "card.json").read_text())["captions"] == "all"


def test_a_word_that_is_none(exported):
    with pytest.raises(
        ValueError, match=r"exports\.out\.captions: 'al' is not valid; did you mean"
    ):
        exported(captions="al")
    assert exports.Export(split="some", shard_size=1).captions == "first"
