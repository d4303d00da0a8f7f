"""What a run can have of its own: labels of the pool, captions, a vocabulary, another's tower."""

import dataclasses
import json
from types import SimpleNamespace
from typing import ClassVar, Literal

import numpy as np
import pytest
import safetensors.numpy

from clipcause.captions import classes
from clipcause.config import kinds, layout, objectives, parse
from clipcause.config.objective import Captioned
from clipcause.config.objectives import OBJECTIVES
from clipcause.config.train import Train
from clipcause.data import dataset
from clipcause.embed import checkpoint, models
from clipcause.evaluate import zeroshot
from clipcause.prune import split
from clipcause.report import factors
from clipcause.train import feed, loop, plans, runs, training_set
from clipcause.train.distributed import World
from clipcause.train.objectives import BY_NAME
from clipcause.train.objectives import clip as by_clip
from clipcause.train.objectives.clip import Contrastive
from stages import train
from tests import learning_study

LABELLED = np.arange(30)
STREAM = {"data": "stream", "streams": 2, "shuffle": 8}


def samples():
    """Thirty rows of three classes, nine of none, and one of a class that no split has."""
    made = learning_study.samples(40, 0, labelled=True)
    for index, one in enumerate(made):
        label = "moon" if index == 39 else one.label if index < 30 else None
        extra = {"title": f"{one.caption} title", "tags": ["bright", one.label]}
        yield dataclasses.replace(one, label=label, extra=extra)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A study whose pool has labels and facts, with its encoder."""
    root = tmp_path_factory.mktemp("study")
    with learning_study.made(root):
        learning_study.write_dataset(root, "pool", list(samples()))
        classes = root / "data/classes/shapes.yaml"
        classes.write_text(classes.read_text() + "moon: {name: moon, names: [moon, full moon]}\n")
        pool = dataset.read(layout.dataset("pool"))
        card = {"pool": pool.sha256, "pool_rows": len(pool)}
        rows = {"labels": LABELLED, "few": np.arange(30)[::3]}
        for name, kept in rows.items():
            split.write(layout.split(name), kept, card=card)
        train.main("full-0")
    return root


@pytest.fixture
def here(study, tmp_path, monkeypatch):
    return learning_study.enter_copy(study, tmp_path, monkeypatch)


def trained(root, name="own", **entry):
    """The checkpoint of a run of these parameters."""
    values = {"split": "labels", "objective": "clip", "seed": 0, **entry}
    learning_study.change(root, runs={name: values})
    train.main(name)
    return checkpoint.read(layout.model(name))


def supervised(root, name="own", **entry):
    values = {"objective": "supervised", "add_reference": False, **entry}
    return trained(root, name, **values)


def classifier(stored):
    return safetensors.numpy.load(stored.file(models.CLASSIFIER))["weight"]


def test_a_supervised_run_learns_the_pools_labels(here, capsys):
    stored = supervised(here)
    # moon has no row in the split: the classifier has it all the same, and that is said
    assert json.loads(stored.file(models.CLASSES)) == ["ball", "moon", "sky", "wall"]
    assert "classes: 1 of 4 have no row to learn from\n" in capsys.readouterr().err
    assert classifier(stored).shape == (4, 16)
    assert stored.card["training"]["rows"] == 30
    assert stored.card["training"]["reference"] == "none"
    assert stored.log()[-1]["loss"] < stored.log()[0]["loss"]
    both = supervised(here, "both", add_reference=True)
    assert both.card["training"]["reference"] != "none"
    assert both.fingerprint != stored.fingerprint


def test_labels_are_those_of_the_rows(here):
    pool = dataset.read(layout.dataset("pool"))
    few = split.read(layout.split("few"))
    parameters = learning_study.PARAMS["train"]
    plan = plans.plan(
        objectives.parse({"split": "few", "objective": "supervised", "seed": 0}, "runs.x"),
        few, parse({**parameters, "add_reference": False}, Train, "train"),
    )  # fmt: skip
    sources = runs.Sources(pool, dataset.read(layout.dataset("reference")), {})
    clip = runs.training_set.model(sources, plan)
    data = runs.training_set.feed(sources, plan, clip)
    assert isinstance(data, loop.Data)
    names = runs.training_set.classes(sources, plan)
    assert [names[index] for index in data.target] == [pool.labels[row] for row in few.rows]
    added = dataclasses.replace(plan, add_reference=True)
    data = runs.training_set.feed(sources, added, clip)
    assert isinstance(data, loop.Data)
    assert data.target.size == 10 + 21
    assert runs.training_set.class_counts(sources, added).tolist() == [17, 0, 7, 7]
    assert np.bincount(data.target, minlength=4).tolist() == [17, 0, 7, 7]


def test_streams_learn_the_pools_labels(here):
    learning_study.change(here, train=STREAM)
    with pytest.MonkeyPatch.context() as patch:
        for column in ("table", "captions", "labels"):
            patch.delattr(dataset.Manifest, column)
        stored = supervised(here, add_reference=True, vocabulary={"size": 3})
    assert json.loads(stored.file(models.CLASSES)) == ["ball", "moon", "sky", "wall"]
    assert stored.log()[-1]["loss"] < stored.log()[0]["loss"]


def test_rows_without_a_label(here):
    with pytest.raises(ValueError, match="9 of the split's 40 rows have no class"):
        supervised(here, split="all")
    with pytest.raises(ValueError, match="9 of the split's 40 rows have no class"):
        trained(here, split="all", captions={"kind": "template"})
    assert not layout.model("own").exists()


def test_a_vocabulary_is_logged_and_decides(here, capsys):
    whole = supervised(here)
    capsys.readouterr()
    sampled = supervised(here, "sampled", vocabulary={"size": 3})
    assert "and drawn by frequency no vocabulary has them" in capsys.readouterr().err
    assert sampled.fingerprint != whole.fingerprint
    # three classes with rows, of which a batch of 16 has all or nearly all
    assert all(line["vocabulary"] == 3 for line in sampled.log())
    assert "vocabulary" not in whole.log()[0]
    assert sampled.card["training"]["vocabulary"]["weights"] == "frequency"
    uniform = supervised(here, "uniform", vocabulary={"size": 4, "weights": "uniform"})
    assert all(line["vocabulary"] == 4 for line in uniform.log())
    with pytest.raises(ValueError, match=r"vocabulary\.size is 5, and there are 4 classes"):
        supervised(here, "large", vocabulary={"size": 5})
    table = layout.curves("sampled") / "plots/metrics/vocabulary.tsv"
    assert table.read_text().startswith("step\tvocabulary\n")


def test_a_run_that_goes_on_has_the_same_curve(here, monkeypatch):
    values = {"vocabulary": {"size": 4, "weights": "uniform", "scope": "global"}}
    whole = supervised(here, **values)
    original = loop.train

    def stopped(*arguments, watch, **settings):
        def stopping(line):
            watch(line)
            if line["step"] == 7:
                raise KeyboardInterrupt

        return original(*arguments, watch=stopping, save_every_s=0.0, **settings)

    monkeypatch.setattr(loop, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        supervised(here, **values)
    monkeypatch.setattr(loop, "train", original)
    again = supervised(here, **values)
    assert again.fingerprint == whole.fingerprint
    assert again.log() == whole.log()


def test_captions_decide_weights_and_stand_in_the_recipe(here, capsys):
    plain = trained(here, "plain")
    assert not {"captions", "text_from", "text", "vocabulary", "class_names"} & set(
        plain.card["training"]
    )
    # the default written out is the default
    spelt = {"captions": {"kind": "natural", "pieces": ["caption"]}, "text": "random"}
    assert trained(here, "spelt", **spelt).fingerprint == plain.fingerprint
    pieces = trained(here, "pieces", captions={"pieces": ["title", "tags"]})
    template = trained(here, "template", captions={"kind": "template", "synonyms": True})
    assert len({one.fingerprint for one in (plain, pieces, template)}) == 3
    recipe = template.card["training"]
    assert recipe["captions"] == {"kind": "template", "synonyms": True}
    assert "class_names" in recipe
    assert "class_names" not in pieces.card["training"]


class Scaled(Captioned):
    """An objective of one's own with a key of its own."""

    objective: Literal["scaled"]
    factor: float = 1.0

    title: ClassVar = "scaled CLIP"


class Times(Contrastive):
    """CLIP's loss times a number."""

    def __init__(self, model, world, factor):
        super().__init__(model, world)
        self.factor = factor

    def forward(self, images, target, others=None):
        return self.factor * super().forward(images, target, others)


def test_a_key_of_an_objective_of_ones_own_decides_weights_and_stands_in_the_recipe(
    here, monkeypatch
):
    def make(_sources, plan, clip, world, _device):
        return Times(clip.model, world, plan.own["factor"])

    models_, learning = (
        {**OBJECTIVES.models, "scaled": Scaled},
        SimpleNamespace(check=by_clip.check, make=make),
    )
    mine = kinds.Kinds("objective", models_)
    for module in (objectives, training_set, runs):
        monkeypatch.setattr(module, "OBJECTIVES", mine)
    monkeypatch.setitem(BY_NAME, "scaled", learning)
    plain, half = (
        trained(here, "a", objective="scaled"),
        trained(here, "b", objective="scaled", factor=0.5),
    )
    assert "factor" not in plain.card["training"]
    assert half.card["training"]["factor"] == 0.5
    first, second = (one.log()[0]["loss"] for one in (plain, half))
    assert second < 0.8 * first
    entry = objectives.load("b")
    assert factors.settings(entry) == {"factor": 0.5}
    with pytest.raises(ValueError, match=r"fcator.*did you mean 'factor'"):
        objectives.parse({**entry.model_dump(exclude_unset=True), "fcator": 2}, "runs.b")


MADE = {"pieces": ["tags", "caption"], "prepend_class": True, "synonyms": True}


def test_streams_make_captions_without_a_whole_column(here):
    learning_study.change(here, train=STREAM)
    with pytest.MonkeyPatch.context() as patch:
        for column in ("table", "captions", "labels"):
            patch.delattr(dataset.Manifest, column)
        stored = trained(here, captions=MADE)
    assert stored.card["training"]["captions"]["prepend_class"] is True


def test_streams_and_memory_have_the_same_captions(here):
    """They take rows in another order; each image has the same tokens."""
    rows = split.read(layout.split("labels"))
    known = {
        key: entry.model_copy(update={"names": [key, entry.name]})
        for key, entry in classes.read(layout.classes("shapes")).items()
    }
    pool, reference = (dataset.read(layout.dataset(name)) for name in ("pool", "reference"))
    sources = runs.Sources(pool, reference, known)
    entry = {"split": "labels", "objective": "clip", "seed": 0, "captions": MADE}
    # images that are not moved are equal in both
    clip = {**learning_study.OPTIMISER, "shift": 0}
    parameters = {**learning_study.PARAMS["train"], "clip": clip}
    made = {}
    for where in ("memory", "stream"):
        settings = parse({**parameters, **STREAM, "data": where}, Train, "train")
        plan = plans.plan(objectives.parse(entry, "runs.x"), rows, settings)
        data = runs.training_set.feed(sources, plan, runs.training_set.model(sources, plan))
        assert isinstance(data, loop.Data) == (where == "memory")
        asked = feed.Asked(plan.optimiser, 0, World(), pinned=False)
        pairs = [
            (image.tobytes(), target.tobytes())
            for batch in data.batches(asked, 0)
            for piece in batch
            for image, target in zip(piece.pixels.numpy(), piece.target.numpy(), strict=True)
        ]
        assert len(pairs) == 160
        made[where] = set(pairs)
    # the split's rows and the reference's, each in every pass with one text
    assert len(made["memory"]) == 30 + 21
    assert made["stream"] == made["memory"]


def text_weights(stored):
    weights = stored.weights()
    return {name: weights[name] for name in weights if not name.startswith(("visual", "logit"))}


def same(a, b):
    return a.keys() == b.keys() and all(np.array_equal(a[name], b[name]) for name in a)


def test_a_text_tower_from_another_run(here):
    given = checkpoint.read(layout.model("full-0"))
    learning_study.change(here, train={"merges": 5})  # the other run's tokens are taken
    frozen = trained(here, "frozen", text_from="full-0", text="frozen", seed=3)
    assert same(text_weights(frozen), text_weights(given))
    assert frozen.file("merges.txt.gz") == given.file("merges.txt.gz")
    assert frozen.card["training"]["text_from"] == given.fingerprint
    begun = trained(here, "begun", text_from="frozen", text="initialised", seed=3)
    assert begun.file("merges.txt.gz") == given.file("merges.txt.gz")
    assert not same(text_weights(begun), text_weights(given))
    visual = [{k: v for k, v in one.weights().items() if "visual" in k} for one in (frozen, given)]
    assert not same(*visual)


def test_class_prototypes_from_another_run(here):
    templates = {"templates": ["a {name}", "{name}"]}
    values = {"text_from": "full-0", "captions": templates}
    frozen = supervised(here, "frozen", text="frozen", **values)
    clip = models.load(layout.model("full-0"))
    names = ["red ball", "moon", "blue sky", "green wall"]
    prompts = zeroshot.prompts(names, ["a {name}", "{name}"])
    device = models.settle(1, "cpu")
    text_PD = models.encode_texts(clip, prompts, precision="fp32", device=device)
    assert np.allclose(classifier(frozen), zeroshot.prototypes(text_PD, 2), atol=1e-6)
    begun = supervised(here, "begun", text="initialised", **values)
    assert not np.allclose(classifier(begun), classifier(frozen), atol=1e-3)
    values["captions"] = {**templates, "synonyms": True}  # moon is a full moon too
    several = supervised(here, "several", text="frozen", **values)
    moved = np.abs(classifier(several) - classifier(frozen)).max(1) > 1e-4
    assert moved.tolist() == [False, True, False, False]


def test_runs_that_cannot_give(here):
    supervised(here, "labels")
    with pytest.raises(ValueError, match="labels: it is a supervised run, whose text tower is un"):
        trained(here, text_from="labels", text="frozen")
    with pytest.raises(ValueError, match=r"runs\.own\.text_from: unknown run 'labls'; .*'labels'"):
        trained(here, text_from="labls", text="frozen")
    with pytest.raises(ValueError, match="unknown run 'own'"):
        trained(here, text_from="own", text="frozen")
    classes = here / "data/classes/shapes.yaml"
    whole = classes.read_text()
    classes.write_text(whole.replace("moon:", "luna:"))
    with pytest.raises(ValueError, match="class 'moon' is not in the list of classes, and a proto"):
        supervised(here, text_from="full-0", text="frozen")
    classes.write_text(whole)
    model = {**learning_study.PARAMS["train"]["model"], "embed_dim": 8}
    model["text_cfg"] = {**model["text_cfg"], "width": 32}
    learning_study.change(here, train={"model": model})
    with pytest.raises(ValueError, match=r"embed_dim 16 \(here 8\), width 16 \(here 32\)"):
        trained(here, text_from="full-0", text="initialised")
    with pytest.raises(ValueError, match=r"tower has embed_dim 16 \(here 8\); make train\.model"):
        supervised(here, text_from="full-0", text="frozen")


def test_a_run_states_its_own_samples(here):
    stored = trained(here, samples_seen=48)
    assert stored.log()[-1]["samples"] == 48
    learning_study.change(here, train={"accumulate": 4})
    with pytest.raises(ValueError, match=r"samples_seen 47 .*take samples_seen 44 or 48"):
        trained(here, samples_seen=47)


DINO = {**learning_study.OPTIMISER, "local_size": 16, "local_crops": 2, "prototypes": 32}


def test_a_dino_run(here):
    with pytest.raises(ValueError, match="dino"):
        trained(here, objective="dino")
    settings = {name: value for name, value in DINO.items() if name != "shift"}
    settings |= {"samples_seen": 64, "hidden": 16, "bottleneck": 8}
    learning_study.change(here, train={"dino": settings, "model": learning_study.LAYER_NORM})
    every = trained(here, "every", objective="dino", add_reference=False)
    some = trained(here, "some", objective="dino", add_reference=False, prototypes=8)
    assert every.fingerprint != some.fingerprint
    assert "prototypes" not in every.card["training"]
    assert some.card["training"]["prototypes"] == 8
    assert "lightly" in some.card["training"]["versions"]
    assert "scale" not in some.log()[0]
    with pytest.raises(ValueError, match="33"):
        trained(here, objective="dino", prototypes=33)
