"""What the report says of a kind of signal, whatever it computes."""

import pytest

from clipcause.signals.kinds import SIGNALS

OF = {"target": "reference"}
CLUSTERED = {"clusters": 4, "seed": 0, "iterations": 3}


@pytest.mark.parametrize(
    ("entry", "highest", "lowest"),
    [
        ({"kind": "clip-score"}, "CLIP score, highest", "CLIP score, lowest"),
        (
            {"kind": "negclip-loss", "batch_size": 8, "batches": 2, "seed": 0},
            "negCLIPLoss, highest", "negCLIPLoss, lowest",
        ),
        (
            {"kind": "norm-sim", **OF, "p": 2},
            "NormSim (p = 2) to reference, highest", "NormSim (p = 2) to reference, lowest",
        ),
        (
            {"kind": "norm-sim", **OF, "p": "infinity"},
            "NormSim (p = ∞) to reference, highest", "NormSim (p = ∞) to reference, lowest",
        ),
        (
            {"kind": "clusters", **OF, **CLUSTERED},
            "clusters with images of reference", "clusters without images of reference",
        ),
        (
            {"kind": "near-copies", **CLUSTERED, "order": "farthest"},
            "many near copies (SemDeDup, hard)", "few near copies (SemDeDup, hard)",
        ),
        (
            {"kind": "near-copies", **CLUSTERED, "order": "pool"},
            "many near copies (SemDeDup, first in the pool)",
            "few near copies (SemDeDup, first in the pool)",
        ),
    ],
)  # fmt: skip
def test_a_kind_states_the_property_of_chosen_rows(entry, highest, lowest):
    signal = SIGNALS.parse({"base": "dedup", **entry}, "signals.x")
    assert (signal.chosen("highest"), signal.chosen("lowest")) == (highest, lowest)
