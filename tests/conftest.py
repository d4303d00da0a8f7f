"""Shape annotations are checked while the tests run: a wrong axis is an error, not a number."""

import multiprocessing

import pytest
from hypothesis import settings
from jaxtyping import install_import_hook

from clipcause.runtime import notices
from tests import warm

install_import_hook(["stages", "clipcause"], "beartype.beartype")

# the longest files first, so that all workers end together
FIRST = (
    *("test_pipeline", "test_docs_tutorial", "test_learning_resume", "test_docs_extend"),
    *("test_distributed", "test_imbalance", "test_engine_ray", "test_benchmarks", "test_browser"),
    *("test_learning_dino", "test_dvc_plots", "test_kill", "test_report", "test_streams"),
    *("test_unchanged", "test_studies", "test_train_own", "test_small", "test_page"),
    "test_rehearsal",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    place = {name: at for at, name in enumerate(FIRST)}
    items.sort(key=lambda item: place.get(item.path.stem, len(FIRST)))


# pools and loaders of this process start warm
multiprocessing.get_context("forkserver").set_forkserver_preload([*warm.IMPORTED])

notices.configure()  # as a stage does: what it tells is on stderr

# machines are shared: how long an example takes says nothing
settings.register_profile("shared", deadline=None)
settings.load_profile("shared")
