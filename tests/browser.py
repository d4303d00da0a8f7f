"""A real browser for tests: Debian's Chromium, driven by Playwright, which downloads nothing."""

import os
import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
REQUIRED = ("CI", "REQUIRE_BROWSER")
HOW = (
    "no browser: on Debian `apt-get install --no-install-recommends chromium` (`make test` does it "
    f"where it is root), elsewhere put one of {', '.join(NAMES)} on the PATH"
)


def path():
    """Where the browser is; without one the tests are skipped, or fail where one is required."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        is_required = any(os.environ.get(name) for name in REQUIRED)
        (pytest.fail if is_required else pytest.skip)(HOW)
    return found


@contextmanager
def browser():
    """The browser, closed at the end."""
    executable = path()
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    with playwright.sync_playwright() as driver:
        # in a container Chromium has no sandbox, and /dev/shm is too small for its pages
        opened = driver.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        try:
            yield opened
        finally:
            opened.close()


class Visit:
    """A page that was opened from a file, with all that it said and asked for."""

    def __init__(self, opened, file: Path, **options):
        self._context = opened.new_context(**options)
        self.page = self._context.new_page()
        self.said, self.asked = [], []
        self.page.on("console", lambda one: self.said.append(f"{one.type}: {one.text}"))
        self.page.on("pageerror", lambda error: self.said.append(f"error: {error}"))
        self.page.on("requestfailed", lambda one: self.said.append(f"failed: {one.url}"))
        self.page.on("request", lambda one: self.asked.append(one.url))
        self.page.goto(file.resolve().as_uri())
        self.page.wait_for_load_state("load")

    def check(self, *, may_warn=False):
        """It said nothing, and asked only for files and for what it holds itself."""
        said = [one for one in self.said if not (may_warn and one.startswith("warning:"))]
        assert said == []
        outside = [url for url in self.asked if not url.startswith(("file:", "data:", "blob:"))]
        assert outside == []

    def close(self):
        self._context.close()
