"""Sampled vocabularies against their definition, by hand and by brute force."""

import math
from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from clipcause.train import order, vocabulary
from clipcause.train.distributed import World
from clipcause.train.objective import Others
from clipcause.train.objectives.supervised import Supervised
from clipcause.train.vocabulary import Sampled


def numbers(seed, count):
    return order.uniform(seed, np.array([0]), np.array([0]), count)[0]


def test_weights_by_hand():
    count_C = np.array([0, 1, 4, 9])
    assert vocabulary.weights(count_C, "uniform").tolist() == [1, 1, 1, 1]
    assert vocabulary.weights(count_C, "frequency").tolist() == [0, 1, 4, 9]
    assert vocabulary.weights(count_C, "square-root").tolist() == [0, 1, 2, 3]


@given(seed=st.integers(0, 9999), data=st.data())
def test_the_batchs_classes_and_others_up_to_the_size(seed, data):
    weight_C = np.array(data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=9)), float)
    classes = len(weight_C)
    present = sorted(data.draw(st.sets(st.integers(0, classes - 1), min_size=1)))
    size = data.draw(st.integers(1, classes))
    found_V = vocabulary.drawn(np.array(present), weight_C, size, numbers(seed, classes))
    assert found_V.tolist() == sorted(set(found_V.tolist()))
    further = set(found_V.tolist()) - set(present)
    assert set(present) <= set(found_V.tolist())
    # where the batch has more classes than the size, the vocabulary is the batch's
    drawable = sum(weight_C[c] > 0 for c in range(classes) if c not in present)
    assert len(further) == min(max(size - len(present), 0), drawable)
    assert all(weight_C[c] > 0 for c in further)


def test_draws_are_one_after_another_in_proportion_to_the_weights():
    """Every set of two of four classes against the probability of successive draws."""
    weight_C, draws = np.array([1.0, 2.0, 3.0, 4.0, 9.0]), 20_000
    present, rest = np.array([4]), range(4)
    exact: dict[frozenset[int], float] = {}
    for first, second in permutations(rest, 2):
        chance = weight_C[first] / 10 * weight_C[second] / (10 - weight_C[first])
        pair = frozenset((first, second))
        exact[pair] = exact.get(pair, 0.0) + chance
    assert sum(exact.values()) == pytest.approx(1.0)
    times = dict.fromkeys(exact, 0)
    for seed in range(draws):
        found_V = vocabulary.drawn(present, weight_C, 3, numbers(seed, 5))
        times[frozenset(found_V.tolist()) - {4}] += 1
    for pair, chance in exact.items():
        deviation = math.sqrt(chance * (1 - chance) / draws)
        assert abs(times[pair] / draws - chance) < 4 * deviation, pair


class Two(World):
    """The first or second of two processes of which the other one's labels are given."""

    def __init__(self, rank, other=None):
        super().__init__(rank, 2)
        vars(self)["other"] = other

    def gathered(self, values):
        parts = [values, vars(self)["other"]]
        return torch.stack(parts[:: -1 if self.rank else 1])


def steps_of(sampled, target, count=20):
    found = []
    for step in range(count):
        sampled.begin(step)
        found.append(sampled(target).tolist())
    return found


def test_a_vocabulary_is_a_function_of_seed_step_and_rank():
    weight_C, target = np.ones(30), torch.tensor([3, 3, 5])
    made = [Sampled(weight_C, 8, 1, "device") for _ in range(2)]
    one, again = (steps_of(sampled, target) for sampled in made)
    assert one == again
    assert len({tuple(found) for found in one}) == len(one)
    assert all(len(found) == 8 and {3, 5} <= set(found) for found in one)
    assert one != steps_of(Sampled(weight_C, 8, 2, "device"), target)
    # a run that goes on from step 7 draws what it would have drawn
    later = Sampled(weight_C, 8, 1, "device")
    later.begin(7)
    assert later(target).tolist() == one[7]
    # alone, one's own share is the whole batch
    assert one == steps_of(Sampled(weight_C, 8, 1, "global"), target)
    assert one != steps_of(Sampled(weight_C, 8, 1, "device", Two(1)), target)


def test_a_global_vocabulary_is_that_of_all_labels():
    weight_C = np.ones(30)
    labels = torch.tensor([3, 3, 5]), torch.tensor([9, 3, 7])
    first = steps_of(Sampled(weight_C, 8, 1, "global", Two(0, labels[1])), labels[0])
    second = steps_of(Sampled(weight_C, 8, 1, "global", Two(1, labels[0])), labels[1])
    assert first == second
    assert all({3, 5, 7, 9} <= set(found) and len(found) == 8 for found in first)


def test_parts_of_a_batch_share_the_vocabulary():
    sampled = Sampled(np.ones(9), 4, 0, "device")
    sampled.begin(0)
    assert sampled(torch.tensor([1, 2])) is sampled(torch.tensor([7]))


def test_the_mean_size_is_observed():
    sampled = Sampled(np.ones(9), 3, 0, "device")
    for step, target in enumerate(([1, 2], [1, 2, 3, 4, 5])):
        sampled.begin(step)
        sampled(torch.tensor(target))
    assert sampled.observed() == 4.0


def test_more_classes_than_there_are():
    with pytest.raises(ValueError, match=r"vocabulary\.size is 5, and there are 4 classes"):
        Sampled(np.ones(4), 5, 0, "device")


class Passing(torch.nn.Module):
    """An image tower that gives what comes in, at length one."""

    def __init__(self):
        super().__init__()
        self.logit_scale = torch.nn.Parameter(torch.tensor(1.0))

    def encode_image(self, images, normalize):
        assert normalize
        return functional.normalize(images.flatten(1), dim=-1)


def supervised(classes=7, **options):
    torch.manual_seed(0)
    return Supervised(Passing(), classes, 12, **options)


def batch(count=6):
    random = np.random.default_rng(0)
    images = torch.from_numpy(random.standard_normal((count, 3, 2, 2)).astype(np.float32))
    return images, torch.tensor([2, 5, 2, 6, 2, 5])[:count]


def test_the_loss_is_over_the_vocabulary_alone():
    sampled = Sampled(np.ones(7), 5, 0, "device")
    module = supervised(vocabulary=sampled)
    images, target = batch()
    module.begin(3, 9)
    loss = module(images, target)
    chosen = sampled(target).tolist()
    assert len(chosen) == 5
    weight = module.classifier.detach().double().numpy()
    feature = functional.normalize(images.flatten(1).double(), dim=-1).numpy()
    terms = []
    for row, label in zip(feature, target.tolist(), strict=True):
        logit = {c: 1 / 0.07 * row @ weight[c] / np.linalg.norm(weight[c]) for c in chosen}
        terms.append(math.log(sum(math.exp(v) for v in logit.values())) - logit[label])
    assert loss.item() == pytest.approx(np.mean(terms), rel=1e-5)
    loss.backward()
    grad = module.classifier.grad
    assert grad is not None
    moved = (grad != 0).any(1).nonzero().flatten().tolist()
    assert moved == chosen
    assert module.observed() == {"vocabulary": 5.0}


def test_a_vocabulary_of_all_classes_is_none():
    images, target = batch()
    whole = supervised()(images, target)
    assert supervised().observed() == {}
    found = supervised(vocabulary=Sampled(np.ones(7), 7, 0, "device"))(images, target)
    assert found.item() == pytest.approx(whole.item(), rel=1e-6)


def test_parts_sum_to_the_batch():
    images, target = batch()
    losses = []
    for parts in (1, 3):
        module = supervised(vocabulary=Sampled(np.ones(7), 4, 0, "device"))
        module.begin(1, 9)
        pieces = zip(images.chunk(parts), target.chunk(parts), strict=True)
        total = sum(
            module(*piece, Others(index, parts, [], target)).item()
            for index, piece in enumerate(pieces)
        )
        losses.append(total)
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    module.begin(2, 9)
    with pytest.raises(ValueError, match="only a part of it is given"):
        module(images, target, Others(0, 2, []))


def test_a_frozen_classifier_is_that_of_the_prototypes():
    weight_CD = torch.eye(7, 12) * 3
    module = supervised(weight_CD=weight_CD, frozen=True)
    assert not module.classifier.requires_grad
    assert torch.equal(module.classifier, torch.eye(7, 12))
    module(*batch()).backward()
    assert module.classifier.grad is None
    assert supervised(weight_CD=weight_CD).classifier.requires_grad
    with pytest.raises(ValueError, match=r"shape \(7, 5\), and the classifier \(7, 12\)"):
        supervised(weight_CD=torch.ones(7, 5))
