"""The report of a study that is as small as one of a first try."""

import pytest

from tests import report_study

SPLITS = {
    "full": report_study.SPLITS["full"],
    "few": {
        "rule": "near", "base": "dedup", "tests": ["sketch"], "keep": 11, "of": "none",
        "with": "none",
    },
    "random-few": {
        "rule": "random", "base": "dedup", "of": "few", "with": "none", "seed": 0,
    },
}  # fmt: skip
RUNS = {
    f"{split}-{seed}": {"split": split, "objective": "clip", "seed": seed}
    for split in SPLITS
    for seed in (0, 1)
}


@pytest.mark.parametrize(("keep", "images"), [(11, 5), (1, 2)])
def test_a_split_of_a_few_rows_and_a_test_set_of_a_few_images(tmp_path, monkeypatch, keep, images):
    monkeypatch.chdir(tmp_path)
    sizes = {"pool": 30, "reference": 4, "val": images, "sketch": images}
    monkeypatch.setattr(report_study, "SIZES", sizes)
    report_study.write_study(splits=SPLITS, runs=RUNS, chosen=lambda entry, base, _: base[:keep])
    assert report_study.reported().startswith("3 rows x 2 test sets")
