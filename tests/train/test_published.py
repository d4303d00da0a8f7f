"""Models of every kind that open_clip has, small and with random weights, through the stages.

What the stages make of a folder is what open_clip itself makes of it: image by image, class by
class. Kinds whose texts `transformers` reads are looked at where that extra is installed.
"""

import io
import json
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import pytest
import torch
from PIL import Image

from clipcause.config import layout
from clipcause.data import dataset
from clipcause.embed import checkpoint, embeddings, models, tags, text_models, weight_hashes
from clipcause.evaluate import predictions
from stages import embed, evaluate, train
from tests import learning_study

SMALL = {"layers": 1, "width": 32, "head_width": 16, "patch_size": 16, "image_size": 64}
# of timm's, by a name that open_clip knows: as small as they come, or one for tests
TIMM = {
    "MobileCLIP2-S0": {"image_size": 64},
    "PE-Core-T-16-384": {},
    "convnext_tiny": {"timm_model_name": "test_convnext", "image_size": 64},
}
TEST_VIT = {"timm_model_name": "test_vit", "image_size": 160}
DIM = 64  # of which it is
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *["a", "red", "ball", "green", "wall", "blue", "sky"]]
# towers of `transformers`: what its configuration is called, and its sizes
TOWERS = {
    "roberta-ViT-B-32": ("roberta", {"hidden_size": 32, "intermediate_size": 32}),
    "nllb-clip-base": ("m2m_100", {"d_model": 32, "encoder_ffn_dim": 32, "encoder_layers": 1}),
    "mt5-base-ViT-B-32": ("mt5", {"d_model": 32, "d_kv": 8, "d_ff": 32, "num_layers": 1}),
}
TEXTS = [  # whose tokenizers are of `transformers`
    *("ViT-B-16-SigLIP", "ViT-B-32-SigLIP2-256", "ViT-L-14-CLIPA", "ViT-L-14-worldwide"),
    *TOWERS,
]


def small(name: str) -> dict[str, Any]:
    """The configuration of a model, made small; what is peculiar to it stays."""
    config = tags.config(name)
    vision, text = config["vision_cfg"], config["text_cfg"]
    if "timm_model_name" in vision:
        vision = vision | TIMM.get(name, TEST_VIT)
    else:
        vision = vision | SMALL
        if isinstance(tags.config(name)["vision_cfg"]["layers"], list):
            vision |= {"layers": [1, 1, 1, 1], "width": 8, "image_size": 32}
            vision.pop("patch_size")
    if text_models.TOWER not in text:
        text = text | {"layers": 1, "width": 32, "heads": 2}
    if text_models.TOKENIZER in text:
        text |= {"vocab_size": len(WORDS)}
    found = config | {"embed_dim": DIM, "vision_cfg": vision, "text_cfg": text}
    if multimodal := config.get("multimodal_cfg"):
        found["multimodal_cfg"] = multimodal | {"width": 32, "heads": 2, "layers": 1}
        found["vision_cfg"] = vision | {"attn_pooler_heads": 2}
    return found


def write(folder: Path, name: str) -> None:
    """A folder as open_clip publishes models: configuration, weights, tokenizer and text tower."""
    folder.mkdir()
    config = small(name)
    text = config["text_cfg"]
    if text_models.TOKENIZER in text:
        _write_tokenizer(folder)
    if name in TOWERS:
        kind, sizes = TOWERS[name]
        heads = {"num_attention_heads": 2, "encoder_attention_heads": 2, "num_heads": 2}
        made = _extra("transformers").CONFIG_MAPPING[kind](
            **sizes | heads, num_hidden_layers=1, vocab_size=len(WORDS), decoder_layers=1,
            decoder_ffn_dim=8, decoder_attention_heads=2, pad_token_id=0,
        )  # fmt: skip
        (folder / text_models.CONFIG).write_text(made.to_json_string())
    size = config["vision_cfg"]["image_size"]
    seen = {"size": size, "mean": [0.4] * 3, "std": [0.3] * 3, "interpolation": "bilinear"}
    preprocess = seen | {"mode": "RGB", "resize_mode": "squash", "fill_color": 0}
    torch.manual_seed(0)
    model = models._built(text_models.located(config, folder), preprocess, name)
    # one of CoCa's is left as the memory was
    state = {key: value.nan_to_num(0.0, 0.0, 0.0) for key, value in model.state_dict().items()}
    torch.save(state, folder / "open_clip_pytorch_model.bin")
    settings = {"model_cfg": config, "preprocess_cfg": preprocess}
    (folder / checkpoint.OPEN_CLIP).write_text(json.dumps(settings))


def _extra(name: str) -> Any:
    """A module that may not be installed here."""
    return import_module(name)


def _write_tokenizer(folder: Path) -> None:
    tokenizers = _extra("tokenizers")
    numbers = {word: number for number, word in enumerate(WORDS)}
    whole = tokenizers.Tokenizer(tokenizers.models.WordLevel(numbers, unk_token="[UNK]"))
    whole.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    whole.post_processor = tokenizers.processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    special = {f"{one}_token": f"[{one.upper()}]" for one in ("pad", "unk", "cls", "sep")}
    fast = _extra("transformers").PreTrainedTokenizerFast
    fast(tokenizer_object=whole, **special).save_pretrained(folder)


@pytest.fixture
def here(tmp_path, monkeypatch):
    learning_study.build(tmp_path)
    return learning_study.enter(tmp_path, monkeypatch)


def needs_extra(name: str) -> Any:
    is_here = find_spec(text_models.PACKAGE) is not None
    return pytest.param(name, marks=pytest.mark.skipif(not is_here, reason="an extra"))


@pytest.mark.parametrize(
    "name",
    [
        *("ViT-B-32-quickgelu", "RN50-quickgelu", "coca_ViT-B-32", *TIMM),
        *map(needs_extra, TEXTS),
    ],
)
def test_the_stages_make_of_a_model_what_open_clip_does(here, name):
    folder = here / "theirs"
    write(folder, name)
    entry = {"split": "none", "objective": "checkpoint", "text_from": "weights/theirs"}
    learning_study.change(
        here,
        weights={"theirs": str(folder)},
        runs={"theirs": entry},
        encoder={"name": "theirs", "run": "theirs"},
    )
    weight_hashes.note("theirs", folder)
    train.main("theirs")
    embed.main("tests/val")
    evaluate.main("theirs")
    where = f"local-dir:{folder}"
    # open_clip asks the hub for a text tower's configuration, unless it is called by its place
    settings = json.loads((folder / checkpoint.OPEN_CLIP).read_text())
    settings["model_cfg"] = text_models.located(settings["model_cfg"], folder)
    (folder / checkpoint.OPEN_CLIP).write_text(json.dumps(settings))
    model, _, transform = open_clip.create_model_and_transforms(where)
    tokenizer = open_clip.get_tokenizer(where)
    manifest = dataset.read(layout.dataset("tests/val"))
    rows = range(len(manifest))
    pictures = [Image.open(io.BytesIO(one)).convert("RGB") for one in manifest.image(rows)]
    names = sorted(learning_study.CLASSES)
    templates = learning_study.PARAMS["evaluate"]["templates"]
    with torch.no_grad():
        model.eval()
        image_ND = model.encode_image(torch.stack([*map(transform, pictures)]), normalize=True)
        said = [one.format(name=learning_study.CLASSES[key]) for key in names for one in templates]
        text_PD = model.encode_text(tokenizer(said), normalize=True)
    class_CD = torch.nn.functional.normalize(
        text_PD.view(len(names), len(templates), -1).mean(1), dim=-1
    )
    store = embeddings.read(layout.embeddings("theirs", "tests/val"))
    assert np.allclose(store.take(np.array(rows)), image_ND.numpy(), atol=2e-3)
    logits_NC = (image_ND @ class_CD.T).numpy()
    found = predictions.read(layout.predictions("theirs"), "val")
    chosen = [names.index(one) for one in found["predicted"].to_pylist()]
    # where two classes are as near, either is right
    assert np.allclose(logits_NC[np.array(rows), chosen], logits_NC.max(1), atol=1e-4)
