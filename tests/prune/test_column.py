"""The rule `column`: rows by what the pool's own metadata say of them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from clipcause.config import layout
from clipcause.config.datasets import Limits
from clipcause.data import dataset
from clipcause.data.sources.beside import Words
from clipcause.data.sources.folder import read_folder
from clipcause.prune import rules, split
from clipcause.prune.rules.column import chosen
from clipcause.runtime import metrics
from tests.prune.test_stage import SLOTS, made, write_parameters

ITEM = {**SLOTS, "base": "all", "rule": "column", "column": "similarity"}
LINES = [("0.31", "en"), ("0.3", "de"), ("", "en"), ("0.28", ""), ("1", "fr")]


@pytest.fixture
def pool(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("raw").mkdir()
    text = "file_name,text,similarity,language\n"
    for number, (similarity, language) in enumerate(LINES):
        Image.new("RGB", (20, 20), (number, 0, 0)).save(f"raw/{number}.png")
        text += f"{number}.png,a bell,{similarity},{language}\n"
    Path("raw/metadata.csv").write_text(text)
    read = Words(columns=("similarity", "language"))
    found = read_folder(Path("raw"), 16, Limits(), read)
    folder = layout.dataset("pool")
    dataset.write(folder, found, shard_size=2, max_drop_fraction=0.0)
    sha256 = dataset.read(folder).sha256
    split.write(layout.split("all"), np.arange(5), card={"pool": sha256, "pool_rows": 5})
    card = {"pool": sha256, "pool_rows": 5}
    split.write(layout.split("dedup"), np.array([0, 1, 2, 4]), card=card)


@pytest.mark.parametrize(
    ("item", "rows", "sentence"),
    [
        ({"least": 0.3}, [0, 1, 4], "rows whose similarity is at least 0.3"),
        ({"most": 0.3}, [1, 3], "rows whose similarity is at most 0.3"),
        ({"least": 0.3, "most": 0.9}, [0, 1],
         "rows whose similarity is at least 0.3 and at most 0.9"),
        ({"among": [0.28, 1]}, [3, 4], "rows whose similarity is one of 0.28 and 1"),
        ({"column": "language", "among": ["en", "fr"]}, [0, 2, 4],
         "rows whose language is one of en and fr"),
        ({"least": 0.3, "base": "dedup"}, [0, 1, 4], "rows whose similarity is at least 0.3"),
    ],
)  # fmt: skip
def test_by_hand(pool, item, rows, sentence):
    write_parameters(chosen={**ITEM, **item})
    assert made("chosen").rows.tolist() == rows
    assert rules.parse({**ITEM, **item}, "splits.chosen").sentence() == sentence
    missing = metrics.read(layout.metrics("prune", "chosen"))["missing"]
    assert missing == 1  # of the similarity one, of the language one


def test_what_cannot_be_is_told(pool):
    write_parameters(chosen={**ITEM, "column": "similarty", "least": 0.3})
    with pytest.raises(ValueError, match=r"no column 'similarty'; did you mean 'similarity'\?"):
        made("chosen")
    for wrong in ({"column": "language", "least": 0.3}, {"column": "language", "among": [1]}):
        write_parameters(chosen={**ITEM, **wrong})
        with pytest.raises(ValueError, match="'language' is string, which cannot be compared with"):
            made("chosen")


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ({}, "say what stays"),
        ({"least": 1, "among": [1]}, "say what stays"),
        ({"least": 2, "most": 1}, "least is 2, which is more than most, 1"),
    ],
)
def test_limits_that_say_nothing(item, message):
    with pytest.raises(ValueError, match=message):
        rules.parse({**ITEM, **item}, "splits.chosen")


def test_whole_numbers_of_64_bits_are_compared_as_such():
    values = pa.chunked_array([pa.array([2**53, 2**53 + 1, None])])
    kept_N, missing_N = chosen(values, None, None, [2**53 + 1])
    assert kept_N.tolist() == [False, True, False]
    assert missing_N.tolist() == [False, False, True]
