"""Browsers, a served pool for them, and the application in this process for what needs no browser."""

import re
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from orchestrator.actions import users
from orchestrator.actions.place import Place
from orchestrator.demo.actors import OtherClient
from orchestrator.web.server import Server
from tests.journey.lab import Lab
from tests.services import programs, typist
from tests.web.conftest import PASSWORD, Web, image, make_web, shelf, web

__all__ = ["image", "make_web", "shelf", "web"]

PATIENCE = 60_000  # milliseconds: other tests have the machine too
MORE = """
[console]
listen = "127.0.0.1:{port}"

[sriov.fast]
network = "fast"
ports = {{ device = "eth2" }}
reboot = "approved"

[maintenance.night]
schedule = "0 22 * * *"
duration = "8h"

[products.shelf]
plugin = "xva"
directory = "{folder}"

[windows.dark]
schedule = "0 22 * * *"
duration = "8h"
timezone = "Europe/Berlin"

[policies.databases]
vms = {{ names = ["db-*"] }}
mode = "online"
product = "shelf"
window = "dark"

[policies.mail]
vms = {{ names = ["mail-*"] }}
product = "shelf"
"""
HOSTILE = "<script>document.title='owned'</script><b>\"'x"


@dataclass
class Served:
    """A simulated pool and `vfo serve` with its console at *url*."""

    lab: Lab
    url: str

    def typed(self, *words: str) -> str:
        """What a command answers that is typed where it is served."""
        done = typist.run(words, self.lab.folder, timeout=200)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def other_client(self) -> closing[OtherClient]:
        """Somebody's own tool, with a session of its own: a coordinator that was rebooted knows none from before."""
        return closing(OtherClient(*(self.lab.pool.said[name] for name in ("url", "user", "password"))))

    def rename(self, before: str, after: str) -> None:
        """As somebody with a tool of their own does."""
        with self.other_client() as client:
            (vm,) = client.call("VM.get_by_name_label", before)
            client.call("VM.set_name_label", vm, after)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for the tests of a module, with a user of each scope; one VM has a name and a tag that are a script."""
    port, shelf = programs.free_port(), tmp_path_factory.mktemp("shelf")
    options = ("--hosts", "2", "--vfs", "8", "--vms", "12", "--disk-mib", "4", "--speed", "0.01")
    with closing(Lab(tmp_path_factory.mktemp("served"), *options)) as lab:
        for host in ("host1", "host2"):
            lab.control("driver", host=host, driver="modprobe")
        without = re.sub(r"\[console\]\n[^\[]*", "", lab.config.read_text())
        lab.config.write_text(without + MORE.format(port=port, folder=shelf))
        for scope in ("read", "operate", "admin"):
            users.add(Place(lab.store, "tests"), users.Wanted(scope, PASSWORD, scope))
        made = Served(lab, f"http://127.0.0.1:{port}")
        with made.other_client() as client:
            client.call("VM.add_tags", client.call("VM.get_by_name_label", "proxy-01")[0], HOSTILE)
        made.rename("proxy-01", HOSTILE)
        with closing(_Daemon(lab)):
            yield made


class _Daemon:
    def __init__(self, lab: Lab) -> None:
        self._process = lab.serve()

    def close(self) -> None:
        self._process.stop()


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """A browser, started by the first test that asks for it: Debian's, as nothing is downloaded."""
    program = programs.needed("chromium", "chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=programs.CHROMIUM)
        yield browser
        browser.close()


class Address(Protocol):
    """Something that people can be at."""

    @property
    def url(self) -> str:
        """Where its console is."""
        ...


@dataclass
class Person:
    """Somebody at a browser, who is signed in; *said*: what its console said that should not be there."""

    served: Address
    context: BrowserContext
    said: list[str] = field(default_factory=list)

    def opens(self, path: str) -> Page:
        """A page in a tab of its own."""
        page = self.context.new_page()
        page.on("console", lambda message: self.said.append(f"{path}: {message.text}") if message.type in ("error", "warning") else None)
        page.on("pageerror", lambda error: self.said.append(f"{path}: {error}"))
        page.goto(self.served.url + path, wait_until="load")
        return page

    def signs_in(self, name: str, password: str = PASSWORD) -> Page:
        """By the form."""
        page = self.opens("/login")
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Sign in").click()
        return page


class People:
    """Who is at a browser in a test."""

    def __init__(self, browser: Browser, served: Address) -> None:
        self._browser = browser
        self._served = served
        self._all: list[Person] = []

    def nobody(self, width: int = 1440, *, dark: bool = False) -> Person:
        """A browser that has never been here."""
        context = self._browser.new_context(viewport={"width": width, "height": 900}, color_scheme="dark" if dark else "light")
        context.set_default_timeout(PATIENCE)
        self._all.append(Person(self._served, context))
        return self._all[-1]

    def somebody(self, scope: str = "operate", width: int = 1440, *, dark: bool = False) -> Person:
        """Who may do what the scope says."""
        person = self.nobody(width, dark=dark)
        page = person.signs_in(scope)
        page.wait_for_url(f"{self._served.url}/")
        page.close()
        return person

    def leave(self) -> list[str]:
        """Close everything; what browsers complained of."""
        for person in self._all:
            person.context.close()
        return [line for person in self._all for line in person.said]


@pytest.fixture
def people(chromium: Browser, served: Served) -> Iterator[People]:
    """People at browsers. No page of theirs may break its own policy, or have a script that fails."""
    made = People(chromium, served)
    yield made
    assert made.leave() == []


@dataclass
class Here:
    """A console of this process at *url*."""

    url: str


def listening() -> str:
    """What a configuration says in [console] to be reached by a browser."""
    return f'listen = "127.0.0.1:{programs.free_port()}"\n'


@contextmanager
def people_at(web: Web, chromium: Browser) -> Iterator[People]:
    """People at the application of this process, whose configuration is `listening`; what their browsers complain of fails."""
    stop, server = threading.Event(), Server(web.office.loaded)
    serving = threading.Thread(target=server.run, args=(stop, web.office, timedelta(seconds=5)), daemon=True)
    serving.start()
    people = People(chromium, Here(server.url))
    try:
        yield people
    finally:
        said = people.leave()
        stop.set()
        serving.join(60)
    assert said == []


VENDOR = Path(__file__).parent / "vendor"
