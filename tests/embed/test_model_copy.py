"""A run's model for other tools: by one name, wherever they are started."""

import json

import open_clip
import pytest
import torch

from clipcause.__main__ import main
from clipcause.config import layout
from clipcause.embed import checkpoint, tokens
from tests import learning_study

TEXTS = ["red ball", "green wall", "zebra"]


@pytest.fixture
def clip(tmp_path, monkeypatch):
    """The model of the run `full-0` of the study in the current folder."""
    monkeypatch.chdir(tmp_path)
    made = learning_study.clip_with_words(tmp_path / "merges.gz")
    learning_study.store(made, layout.model("full-0"))
    return made


def test_open_clip_has_model_and_tokenizer_from_everywhere(clip, tmp_path, monkeypatch, capsys):
    main(["model", "full-0", "out/mine"])
    assert capsys.readouterr().out == f"model: full-0 is local-dir:{tmp_path / 'out/mine'}\n"
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    name = f"local-dir:{tmp_path / 'out/mine'}"
    model, _, _ = open_clip.create_model_and_transforms(name)
    token_NL = open_clip.get_tokenizer(name)(TEXTS)
    assert torch.equal(token_NL, clip.tokenizer(TEXTS))
    with torch.no_grad():
        assert torch.equal(
            model.eval().encode_text(token_NL), clip.model.eval().encode_text(token_NL)
        )


def test_it_holds_what_open_clip_reads_and_no_card(clip, tmp_path):
    main(["model", "full-0", "out"])
    written = {path.name for path in (tmp_path / "out").iterdir()}
    assert written == {checkpoint.WEIGHTS, checkpoint.OPEN_CLIP, tokens.MERGES}
    was = json.loads((layout.model("full-0") / checkpoint.OPEN_CLIP).read_text())
    now = json.loads((tmp_path / "out" / checkpoint.OPEN_CLIP).read_text())
    was["model_cfg"]["text_cfg"]["tokenizer_kwargs"]["bpe_path"] = str(
        tmp_path / "out" / tokens.MERGES
    )
    assert now == was


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["ful-0", "out"], "unknown run 'ful-0'; did you mean 'full-0'?"),
        (["full-0", "models"], "models: is there already; name a new folder"),
    ],
)
def test_what_is_not_there_and_what_is(clip, words, said, capsys):
    with pytest.raises(SystemExit) as stop:
        main(["model", *words])
    assert stop.value.code == 1
    assert said in capsys.readouterr().err
