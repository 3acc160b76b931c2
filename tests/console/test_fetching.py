"""A browser at a restore point: what is looked at, fetched and verified there."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.console.conftest import PATIENCE, People, listening, people_at
from tests.console.test_browsing import against
from tests.web.conftest import Web

expect.set_options(timeout=PATIENCE)


@pytest.fixture
def at_shelf(shelf: Callable[..., Web], image: Path, chromium: Browser) -> Iterator[People]:
    """People at a console whose product has two restore points with a filesystem each."""
    web = shelf(image=image, console=listening())
    web.user("operate", "operate")
    with people_at(web, chromium) as people:
        yield people


@pytest.mark.parametrize(("width", "dark"), [(1440, False), (390, True)], ids=["desktop light", "phone dark"])
def test_a_file_is_fetched_and_a_restore_point_verified(at_shelf: People, image: Path, width: int, dark: bool) -> None:
    """From the list to a file on the disk of who asked, byte for byte; then to what each check found. Every page is for everybody."""
    page = at_shelf.somebody("operate", width, dark=dark).opens("/backup/points?vm=web-01")
    page.get_by_role("link", name="abc-1").click()
    seen = []
    expect(page.get_by_role("heading", name=re.compile("web-01"))).to_be_visible()
    seen += against(page)
    page.get_by_role("link", name="Look for files").click()
    seen += against(page)
    page.get_by_role("button", name="Look").click()
    expect(page.get_by_role("button", name="Fetch ümlaut x")).to_be_visible()
    seen += against(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    with page.expect_download() as fetching:
        page.get_by_role("button", name="Fetch ümlaut x").click()
    assert fetching.value.suggested_filename == "ümlaut x"
    assert Path(fetching.value.path()).read_bytes() == (image.parent / "source" / "ümlaut x").read_bytes()
    page.get_by_role("link", name="etc", exact=True).click()
    expect(page.get_by_role("button", name="Fetch hostname")).to_be_visible()
    page.get_by_role("link", name="Restore point", exact=True).click()
    page.get_by_role("button", name="Verify it").click()
    expect(page.get_by_role("heading", name="It is not sound")).to_be_visible()
    seen += against(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert seen == []
