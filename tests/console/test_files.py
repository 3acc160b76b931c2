"""Restore points at the console: one of them, and single files out of it."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlencode

import pytest

from orchestrator.files import Entry
from orchestrator.web.console.models import files as model
from state import audit
from tests.console.test_door import signed_in
from tests.web.conftest import Web

HOSTILE = '<b>owned"; filename="x.html'
POINT = {"product": "shelf", "id": "abc-1"}
HERE = "/backup/files?" + urlencode(POINT | {"disk": "0"})


def fetches(web: Web, csrf: str, path: str, **more: str) -> tuple[int, bytes, str]:
    """What comes when the file is asked for by the form: status, bytes, and what the browser is to do with them."""
    answer = web.client.post("/backup/files", data=POINT | {"csrf": csrf, "disk": "0", "path": path} | more)
    return answer.status_code, answer.content, answer.headers.get("content-disposition", "")


def acts(web: Web, what: str) -> list[tuple[str, str, str, str]]:
    with web.store.read() as session:
        return [(one.who, one.how, one.thing, one.outcome) for one in audit.listed(session, audit.Asked(what=what))]


def test_a_restore_point_says_what_may_be_done_with_it(shelf: Callable[..., Web]) -> None:
    """Its disks and where it comes from; who may only look is offered nothing to do."""
    web = shelf()
    signed_in(web)
    page = "/backup/point?" + urlencode(POINT)
    assert page.replace("&", "&amp;") in web.client.get("/backup/points").text
    assert "/backup/files?" in web.client.get(page).text
    web.client.cookies.clear()
    signed_in(web, "read")
    text = web.client.get(page).text
    assert ("<h1>web-01" in text, "/backup/files?" in text, "/backup/restore?" in text) == (True, False, False)
    for wrong in ({"id": "abc"}, {"product": "nas"}, {"id": ""}):
        assert web.client.get("/backup/point?" + urlencode(POINT | wrong)).status_code == 404, wrong


def test_a_file_is_found_and_fetched(shelf: Callable[..., Web], image: Path) -> None:
    """From the root by links to the file, whose bytes come to be kept and are never shown; who took it is written down."""
    web = shelf(image=image)
    csrf = signed_in(web)
    root = web.client.get(HERE).text
    (etc,) = re.findall(r'href="([^"]*path=%2Fetc)"', root)
    assert 'aria-label="Fetch hostname"' in web.client.get(etc.replace("&amp;", "&")).text
    assert fetches(web, csrf, "/etc/hostname") == (200, b"web-01\n", "attachment; filename*=UTF-8''hostname")
    answer = web.client.post("/backup/files", data=POINT | {"csrf": csrf, "disk": "0", "path": "/etc/hostname"})
    assert (answer.headers["content-type"], answer.headers["x-content-type-options"]) == ("application/octet-stream", "nosniff")
    assert answer.headers["cache-control"] == "no-store"
    assert fetches(web, csrf, "/ümlaut x")[1] == (image.parent / "source" / "ümlaut x").read_bytes()
    assert acts(web, "fetch-file")[-1] == ("operate", "console", "/etc/hostname of disk 0 of restore point shelf/abc-1", "done")


def test_a_path_that_is_a_file_offers_that_file(shelf: Callable[..., Web], image: Path) -> None:
    """As does a link to one: what is fetched is what was written, also from a directory that has only an entry of its own name."""
    web = shelf(image=image)
    signed_in(web)
    for path in ("/etc/hostname", "/etc/hostname/", "/to-it"):
        text = web.client.get(HERE, params=POINT | {"disk": "0", "path": path}).text
        assert text.count('name="path" value="' + path.rstrip("/") + '"><button aria-label') == 1, path
    same = web.client.get(HERE, params=POINT | {"disk": "0", "path": "/same"}).text
    assert 'name="path" value="/same/same"' in same


def test_names_in_a_disk_are_hostile_text(shelf: Callable[..., Web], image: Path) -> None:
    """A file may be called anything: it is read on the page and never done, and its name breaks out of no header."""
    web, name = shelf(image=image), HOSTILE
    csrf = signed_in(web)
    text = web.client.get(HERE).text
    assert "<b>owned" not in text
    assert "&lt;b&gt;owned" in text
    status, content, how = fetches(web, csrf, f"/{name}")
    assert (status, content, how) == (200, b"text", "attachment; filename*=UTF-8''%3Cb%3Eowned%22%3B%20filename%3D%22x.html")


def test_files_are_for_who_may_operate_and_asks_by_our_own_page(shelf: Callable[..., Web], image: Path) -> None:
    """Nobody else has a disk read or a file taken: not who may look, not a form without the secret, not a link on another site."""
    web = shelf(image=image)
    csrf = signed_in(web)
    assert fetches(web, csrf[::-1], "/etc/hostname")[0] == 403
    assert web.client.get(HERE, headers={"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert web.client.get(HERE, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 200
    web.client.cookies.clear()
    csrf = signed_in(web, "read")
    assert web.client.get(HERE).status_code == 403
    assert fetches(web, csrf, "/etc/hostname")[0] == 403
    assert acts(web, "fetch-file") == []


@pytest.mark.parametrize(
    ("more", "status", "said"),
    [
        ({"path": "/nope"}, 422, "there is nothing of that name"),
        ({"path": "etc"}, 422, "write it from the root"),
        ({"path": "/a\nb"}, 422, "control characters"),
        ({"disk": "7"}, 422, "write a number"),
        ({"disk": "0p3"}, 422, "no partition 3"),
        ({"disk": "../0"}, 422, "write a number"),
        ({"id": "abc-9"}, 404, "no such restore point"),
    ],
)
def test_what_is_not_there_is_said(shelf: Callable[..., Web], image: Path, more: dict[str, str], status: int, said: str) -> None:
    """In words, where it is looked for and where it is fetched."""
    web = shelf(image=image)
    csrf = signed_in(web)
    looked = web.client.get("/backup/files?" + urlencode(POINT | {"disk": "0"} | more))
    assert (looked.status_code, said in looked.text) == (status, True), looked.text
    fetched = web.client.post("/backup/files", data=POINT | {"csrf": csrf, "disk": "0", "path": "/etc/hostname"} | more)
    assert (fetched.status_code, said in fetched.text) == (status, True), fetched.text


def test_few_disks_are_looked_into_at_once(shelf: Callable[..., Web], image: Path) -> None:
    """Who comes when as many are read as may be is told so, on the page that asks, and can ask again."""
    web = shelf(image=image)
    signed_in(web)
    with web.office.shelf.fetch(), web.office.shelf.fetch():
        busy = web.client.get(HERE)
    assert (busy.status_code, "are being read" in busy.text, 'name="path"' in busy.text) == (503, True, True)
    assert web.client.get(HERE).status_code == 200


def test_a_directory_is_shown_in_order_and_not_without_end() -> None:
    """Directories first, then by name; what is too much is counted; a name that cannot be asked for has no path."""
    entries = [Entry(f"f{number:04}", "file", 0o644, 1) for number in range(1200)]
    entries += [Entry("var", "directory", 0o755, 0), Entry("\x01", "file", 0o600, 1)]
    folder = model.folder("/a/b/", entries, is_file=False)
    assert [line.path for line in folder.lines[:3]] == ["/a/b/var", "", "/a/b/f0000"]
    assert (len(folder.lines), folder.more, folder.crumbs) == (1000, 202, [("a", "/a"), ("b", "/a/b")])
    assert folder.lines[0].mode == "rwxr-xr-x"
