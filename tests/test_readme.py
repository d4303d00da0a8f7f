"""What the README states of the default study is what the study wrote."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ["answer.md", "claims.md", "table.md"])
def test_results_and_claims_are_the_reports(name):
    pattern = rf"<!-- report/{re.escape(name)} -->\n(.*?)<!-- end -->"
    (shown,) = re.findall(pattern, README, re.DOTALL)
    assert shown.strip() == (ROOT / "report" / name).read_text().strip()


def test_the_sizes_of_the_parts_are_the_ledgers():
    roles = json.loads((ROOT / "metrics/catalogue.json").read_text())["roles"]
    stated = dict(re.findall(r"^\| ImageNet-?(\w+).*?\| ([\d,]+) \|$", README, re.MULTILINE))
    named = {"Val": "val", "V2": "v2", "Sketch": "sketch", "R": "r", "A": "a", "Train": "reference"}
    assert stated.keys() == named.keys()
    for name, count in stated.items():
        assert int(count.replace(",", "")) == roles[named[name]], name


def test_every_file_that_the_readme_links_to_exists():
    for target in re.findall(r"\]\(([^):#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_what_it_finds_has_no_number_but_those_of_the_claims():
    (found,) = re.findall(r"^## What it finds$(.*?)^These claims rest", README, re.M | re.S)
    prose = re.sub(r"<!-- (?:report/|curation).*?<!-- end -->", "", found, flags=re.S)
    assert re.findall(r"[-−+]?\d+[.,]?\d*", re.sub(r"95 %|\bV2\b", "", prose)) == []
