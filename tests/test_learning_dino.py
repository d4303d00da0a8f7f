"""Self-distillation: the loss against a loop over pairs of views, draws, the moving average."""

import math

import numpy as np
import pytest
import torch

from clipcause.config import layout, parse, train
from clipcause.embed import checkpoint, models, positions
from clipcause.runtime import shard_cache as cache
from clipcause.train import loop, step
from clipcause.train.distributed import ALONE
from clipcause.train.feed import Views
from clipcause.train.objectives import dino
from clipcause.train.objectives.dino import Dino
from tests import learning_processes, learning_study

CPU = torch.device("cpu")
TRANSFORMER = learning_study.LAYER_NORM
RESIDUAL = learning_study.PARAMS["train"]["model"]  # with batch normalisation
SETTINGS = {
    **{name: value for name, value in learning_study.OPTIMISER.items() if name != "shift"},
    "local_crops": 2,
    "local_size": 16,
    "prototypes": 12,
    "hidden": 24,
    "bottleneck": 8,
    "teacher_momentum": 0.9,
}


def settings(**changes):
    return parse({**SETTINGS, **changes}, train.Dino, "dino")


def objective(prototypes="all", config=TRANSFORMER, seed=0, side=32, **changes):
    clip = models.create(config, None, image_size=side, seed=0)
    return clip, Dino(clip.model, config["embed_dim"], settings(**changes), prototypes, seed=seed)


def batch(count=4, views=2):
    torch.manual_seed(1)
    return torch.randn(2 * count, 3, 32, 32), torch.randn(views * count, 3, 16, 16)


def balanced(logits, iterations, temperature):
    """Sinkhorn-Knopp by the book: rows are samples, of sum one; columns are used evenly."""
    table = np.exp(logits / temperature)
    for _ in range(iterations):
        table = table / table.sum(0, keepdims=True)
        table = table / table.sum(1, keepdims=True)
    return table


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@pytest.mark.parametrize("prototypes", ["all", 5])
def test_the_loss_is_the_mean_over_pairs_of_views(prototypes):
    _, module = objective(prototypes)
    module = module.double()
    images, small = (part.double() for part in batch())
    # a teacher that is not the student
    with torch.no_grad():
        for values in module.teacher_head.parameters():
            values.add_(0.1 * torch.randn_like(values))
    module.begin(3, 10)
    found = module(images, small)
    drawn = module.drawn()
    assert len(drawn) == (12 if prototypes == "all" else 5)
    with torch.no_grad():
        teacher, student = (
            [
                _cosines(head, tower(view), drawn)
                for view in [*images.chunk(2), *(small.chunk(2) if tower is module.student else ())]
            ]
            for head, tower in (
                (module.teacher_head, module.teacher),
                (module.student_head, module.student),
            )
        )
    target = balanced(np.concatenate(teacher), 3, 0.04)
    losses = []
    for sample in range(4):
        for view in range(2):
            for other in range(4):
                if other != view:
                    said = log_softmax(student[other][sample] / 0.1)
                    losses.append(-(target[view * 4 + sample] * said).sum())
    assert found.item() == pytest.approx(np.mean(losses), rel=1e-9)
    entropy = -(target * np.log(target)).sum(1).mean()
    assert module.observed()["entropy"].item() == pytest.approx(entropy, rel=1e-9)
    assert module.observed() == {}


def _cosines(head, features, drawn):
    projected = head.layers(features).numpy()
    projected /= np.linalg.norm(projected, axis=1, keepdims=True)
    prototypes = head.last_layer.weight_v.numpy()[drawn]
    return projected @ (prototypes / np.linalg.norm(prototypes, axis=1, keepdims=True)).T


def test_all_prototypes_are_the_librarys_head():
    _, module = objective()
    features = torch.randn(6, 16)
    expected = module.student_head(features)
    assert torch.allclose(dino._logits(module.student_head, features, None), expected, atol=1e-6)
    some = torch.tensor([1, 4, 9])
    drawn = dino._logits(module.student_head, features, some)
    assert torch.allclose(drawn, expected[:, some], atol=1e-6)


def test_draws_are_of_seed_and_step_alone():
    _, module = objective(4)
    _, same = objective(4, local_crops=0)
    _, other = objective(4, seed=1)
    seen = []
    for number in range(300):
        for each in (module, same, other):
            each.begin(number, 300)
        seen.append(module.drawn())
        assert np.array_equal(module.drawn(), same.drawn())
        assert len(set(module.drawn().tolist())) == 4
    assert not np.array_equal(module.drawn(), other.drawn())
    # every prototype in a third of the steps: 100 ± 8
    counts = np.bincount(np.concatenate(seen), minlength=12)
    assert counts.min() > 65
    assert counts.max() < 135


def test_the_teacher_follows_the_student():
    clip, module = objective()
    begun = [values.clone() for values in module.teacher.parameters()]
    with torch.no_grad():
        for values in module.student.parameters():
            values.add_(1.0)
    module.begin(0, 9)
    module.finish()
    for before, values in zip(begun, module.teacher.parameters(), strict=True):
        assert torch.allclose(values, before + 0.1, atol=1e-6)
    # by a cosine to 1: at the middle the mean of both, at the end nothing moves
    moved = [values.clone() for values in module.teacher.parameters()]
    module.begin(4, 9)
    module.finish()
    for before, values in zip(moved, module.teacher.parameters(), strict=True):
        assert torch.allclose(values, before + 0.05 * 0.9, atol=1e-6)
    kept = [values.clone() for values in module.teacher.parameters()]
    module.begin(8, 9)
    module.finish()
    for before, values in zip(kept, module.teacher.parameters(), strict=True):
        assert torch.equal(values, before)
    assert module.teacher.visual is clip.model.visual


def test_only_the_student_is_learnt_by_gradients():
    _, module = objective(5)
    module(*batch()).backward()
    with_gradient = {name for name, values in module.named_parameters() if values.grad is not None}
    assert with_gradient
    assert all(name.startswith(("student.", "student_head.")) for name in with_gradient)
    weight = module.student_head.last_layer.weight_v.grad
    # prototypes that were not drawn are left alone
    assert (weight.abs().sum(1) > 0).nonzero().flatten().tolist() == module.drawn().tolist()


@pytest.mark.parametrize(("config", "side"), [(TRANSFORMER, 32), (RESIDUAL, 96)])
def test_towers_with_positions_take_small_views(config, side):
    clip, module = objective(config=config, side=side, local_size=side // 2)
    small = torch.randn(3, 3, side // 2, side // 2)
    assert module.student(small).shape == (3, config["embed_dim"])
    whole = torch.randn(3, 3, side, side)
    module.eval()
    assert torch.equal(module.teacher(whole), clip.model.encode_image(whole))


def test_positions_are_interpolated_between():
    """A plane stays one, at the middles of fewer and larger patches; away from the border."""
    matrix = positions._between(12, 6)
    plane = torch.arange(12.0).repeat(12)
    found = (matrix @ plane).view(6, 6)
    assert torch.allclose(found[:, 1:-1], torch.arange(2.5, 10.0, 2.0).expand(6, -1), atol=1e-5)
    assert torch.allclose(matrix.sum(1), torch.ones(36), atol=1e-6)


def test_images_that_are_too_small_for_a_tower_are_refused():
    with pytest.raises(ValueError, match="local_size is 16, and the model's image tower cannot"):
        objective(config=RESIDUAL)


def test_a_stride_over_one_pixel_is_refused():
    vision = {"timm_model_name": "test_resnet", "timm_pool": "avg", "timm_proj": "linear"}
    config = {**TRANSFORMER, "vision_cfg": vision}
    with pytest.raises(ValueError, match="one pixel is left of them before the last stride"):
        objective(config=config, local_size=16)
    _, module = objective(config=config, local_size=17)
    assert not any(part._forward_pre_hooks for part in module.student.modules())


def learnt(prototypes="all", **changes):
    models.settle(1, "cpu")
    clip, module = objective(prototypes, config=RESIDUAL, local_size=32, **changes)
    before = models.weights(clip.model)
    random = np.random.default_rng(0)
    colours = np.array(list(learning_study.COLOURS.values()))[np.arange(48) % 3]
    pixels_NSS3 = random.integers(0, 60, (48, 32, 32, 3)) + colours[:, None, None]
    feed = Views(pixels_NSS3.clip(0, 255).astype(np.uint8), module.settings)
    run = loop.Regime(module.settings, 0, "bf16", CPU)
    curve = loop.train(module, clip, feed, run)
    return curve, before, models.weights(clip.model)


def test_a_run_learns_the_image_tower_alone():
    curve, before, after = learnt(5)
    assert list(curve[0]) == ["step", "samples", "loss", "lr", "entropy"]
    assert all(math.isfinite(line["loss"]) for line in curve)
    assert all(0.0 < line["entropy"] <= math.log(5) + 1e-6 for line in curve)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed
    assert all(name.startswith("visual.") for name in changed)
    again, _, same = learnt(5)
    assert again == curve
    assert all(np.array_equal(after[name], same[name]) for name in after)


@pytest.mark.parametrize(
    ("changes", "prototypes", "message"),
    [
        ({"dino": None}, "all", "train has no dino"),
        ({"data": "stream"}, "all", "has its images in memory"),
        ({"accumulate": 2}, "all", r"accumulate is 2, and a dino run learns from whole batches"),
        ({"dino": {**SETTINGS, "local_size": 33}}, "all", "is not larger than a global one"),
        ({}, 13, "13 prototypes are drawn of 12"),
        ({}, 1, "1 prototypes are drawn of 12"),
    ],
)
def test_a_run_that_cannot_be(changes, prototypes, message):
    values = {**learning_study.PARAMS["train"], "dino": SETTINGS, **changes}
    with pytest.raises(ValueError, match=message):
        dino.check_settings(parse(values, train.Train, "train"), prototypes)


def test_more_prototypes_than_there_are():
    with pytest.raises(ValueError, match="13 prototypes are drawn of 12"):
        objective(13)


def test_parts_of_a_batch_are_refused():
    clip, module = objective()
    optimiser = torch.optim.SGD(module.parameters(), lr=0.0)
    with pytest.raises(ValueError, match="learns from whole batches"):
        step.Step(module, clip, optimiser, precision="fp32", device=CPU, world=ALONE, accumulate=2)


def test_settings_that_are_not_what_they_are_called():
    with pytest.raises(ValueError, match=r"0\.001 is too cold"):
        settings(teacher_temperature=0.001)
    with pytest.raises(ValueError, match="the lesser first"):
        settings(local_area=[0.4, 0.1])
    with pytest.raises(ValueError, match="shift"):
        settings(shift=2)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("study")
    learning_processes.build(root)
    samples = {"samples_seen": 16 * learning_processes.STEPS}
    learning_study.change(
        root,
        train={"dino": {**SETTINGS, **samples}},
        runs={"self": {"split": "half", "objective": "dino", "seed": 0, "prototypes": 5}},
    )
    return root


@pytest.fixture
def here(root, monkeypatch):
    return learning_study.enter(root, monkeypatch)


@pytest.fixture(scope="module")
def whole(root):
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv(cache.ENVIRONMENT, str(root / "shards"))
        return learning_processes.trained(root, "self", 1, {}).log()


def test_a_killed_run_goes_on_to_the_same_bits(here, whole):
    fingerprint = checkpoint.read(here / layout.model("self")).fingerprint
    learning_processes.started(here, "self", 1, killed_at=7)
    (left,) = (here / "shards").glob("*.state")
    assert torch.load(left, weights_only=True)["step"] == 6
    again = learning_processes.trained(here, "self", 1, {})
    assert again.fingerprint == fingerprint
    assert again.log() == whole


def test_targets_are_balanced_over_all_processes(here, whole):
    shared = learning_processes.trained(here, "self", 2, {}).log()
    assert shared[0]["loss"] == pytest.approx(whole[0]["loss"], rel=1e-5)
    assert shared[0]["entropy"] == pytest.approx(whole[0]["entropy"], rel=1e-5)
    assert shared[5]["loss"] == pytest.approx(whole[5]["loss"], rel=1e-2)
