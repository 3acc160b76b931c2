"""What the console costs and how quick it is: first paint of a big map, a VF's change to its cell, and fifty consoles left open."""

import contextlib
import http.client
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright

from tests.bench import programs, targets
from tests.bench.idle import cpu
from tests.bench.latency import Plain
from tests.services.programs import CHROMIUM, free_port

SMALL, BIG = (3, 79), (64, 79)  # hosts, VFs of each
LOADS, CHANGES = 9, 40
CONSOLES, SECONDS = 50, 20.0
PASSWORD = "a password for a benchmark"
CONFIG = """
[pools.lab]
url = "{url}"
username = "{user}"
password = "{password}"

[console]
listen = "127.0.0.1:{port}"
"""
WATCH = """vm => {
    window.seen = [];
    const look = () => window.seen.push([Date.now(), document.querySelectorAll(`[data-vm="${vm}"]`).length]);
    new MutationObserver(look).observe(document.getElementById("map"), {childList: true, subtree: true});
}"""


@dataclass(frozen=True, slots=True)
class Served:
    """A simulated pool and `vfo serve` with its console."""

    pool: dict[str, Any]
    url: str
    pid: int


def run() -> dict[str, Any]:
    """Milliseconds to DOM content loaded and of a change, fractions of a core; each beside its target."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        with _served(*SMALL) as served:
            page = _signed_in(browser, served)
            small, idle, live = _first_paint(page, served), _idle(page, served), _live(page, served)
        with _served(*BIG) as served:
            big = _first_paint(_signed_in(browser, served), served)
        browser.close()
    allowed = 1.5 * small + 300
    judged = targets.judged(
        {"first_paint_ms": (big, allowed), "live_ms": (live["median"], 200.0), "fifty_consoles_cpu": (idle["fifty"], 0.1)}, most=True
    )
    return judged | {"first_paint_small_ms": small, "live": live, "cpu": idle, "vfs": BIG[0] * BIG[1]}


@contextlib.contextmanager
def _served(hosts: int, vfs: int) -> Iterator[Served]:
    with (
        tempfile.TemporaryDirectory() as folder,
        programs.simulator("--hosts", str(hosts), "--vfs", str(vfs), "--vms", str(4 * hosts)) as pool,
    ):
        port, config = free_port(), Path(folder, "vfo.toml")
        config.write_text(CONFIG.format_map({**pool, "port": port}))
        config.chmod(0o600)
        add = [sys.executable, "-m", "orchestrator", "user", "add", "ada", "--scope", "admin", "--password-stdin", "--config", str(config)]
        subprocess.run(add, input=PASSWORD, text=True, check=True, capture_output=True)
        with programs.running("orchestrator", "serve", "--config", str(config)) as process:
            assert process.stdout
            assert process.stdout.readline(), "vfo serve did not start"
            time.sleep(5)  # the pool is known
            yield Served(pool, f"http://127.0.0.1:{port}", process.pid)


def _signed_in(browser: Browser, served: Served) -> Page:
    page = browser.new_page()
    page.goto(f"{served.url}/login")
    page.get_by_label("Name").fill("ada")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{served.url}/")
    return page


def _first_paint(page: Page, served: Served) -> float:
    """The median of some loads of the page with the map, the first one left out."""
    taken = []
    for _ in range(LOADS + 1):
        page.goto(f"{served.url}/vfs", wait_until="load")
        taken.append(page.evaluate("performance.getEntriesByType('navigation')[0].domContentLoadedEventEnd"))
    return round(statistics.median(taken[1:]), 1)


class Bare:
    """The bare loop: when a VM was first seen in each power state since the last change, in milliseconds."""

    def __init__(self, pool: dict[str, Any], vm: str) -> None:
        self._client, self._vm = Plain(pool), vm
        self.seen: dict[str, float] = {}
        self._token = self._client.call("event.from", ["vm"], "", 0.0)["token"]
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        while not self._stop.is_set():
            batch = self._client.call("event.from", ["vm"], self._token, 1.0)
            at, self._token = time.time() * 1000, batch["token"]
            for event in batch["events"]:
                if event["ref"] == self._vm and event["operation"] == "mod":
                    self.seen.setdefault(event["snapshot"]["power_state"], at)

    def stop(self) -> None:
        """End with the answer at hand."""
        self._stop.set()
        self._thread.join()


def _live(page: Page, served: Served) -> dict[str, float]:
    """A VM with a VF is shut down and started: milliseconds from the bare loop's event to the changed cell, another moment each time."""
    client = Plain(served.pool)
    network = client.call("network.get_by_name_label", "SR-IOV")[0]
    vm = next(one["VM"] for one in client.call("VIF.get_all_records").values() if one["network"] == network and one["currently_attached"])
    uuid, bare = client.call("VM.get_uuid", vm), Bare(served.pool, vm)
    page.goto(f"{served.url}/vfs", wait_until="load")
    page.evaluate(WATCH, uuid)
    time.sleep(2)
    taken = []
    for number in range(CHANGES):
        state, cells = ("Halted", 0) if number % 2 == 0 else ("Running", 1)
        bare.seen.clear()
        page.evaluate("window.seen.length = 0")
        client.call("VM.hard_shutdown", vm) if state == "Halted" else client.call("VM.start", vm, False, False)
        taken.append(_shown(page, cells) - bare.seen[state])
        time.sleep(0.7 + number % 7 / 10)
    bare.stop()
    return {"median": round(statistics.median(taken), 1), "p90": round(statistics.quantiles(taken, n=10)[8], 1), "changes": CHANGES}


def _shown(page: Page, cells: int) -> float:
    """When the VM first had so many cells, in milliseconds. The page's policy lets nobody wait for that inside it."""
    ends = time.monotonic() + 30
    while True:
        moments = [at for at, count in page.evaluate("window.seen") if count == cells]
        if moments:
            return float(moments[0])
        assert time.monotonic() < ends, "the cell did not change"
        time.sleep(0.05)


def _idle(page: Page, served: Served) -> dict[str, float]:
    """The daemon's part of a core with no console open, and with fifty that show the map."""
    page.goto(f"{served.url}/vfs", wait_until="load")
    stream = page.locator("[sse-connect]").first.get_attribute("sse-connect")
    cookie = "; ".join(f"{one['name']}={one['value']}" for one in page.context.cookies())
    page.goto("about:blank")
    time.sleep(3)
    none = _cpu_over(served.pid)
    with contextlib.ExitStack() as stack:
        for _ in range(CONSOLES):
            connection = http.client.HTTPConnection(urlsplit(served.url).netloc, timeout=60)
            stack.callback(connection.close)
            connection.request("GET", str(stream), headers={"Cookie": cookie, "Accept": "text/event-stream"})
            answer = connection.getresponse()
            assert answer.status == 200, json.dumps([answer.status, answer.reason])
        time.sleep(3)
        fifty = _cpu_over(served.pid)
    return {"none": none, "fifty": fifty}


def _cpu_over(pid: int) -> float:
    before, began = cpu(pid), time.monotonic()
    time.sleep(SECONDS)
    return round((cpu(pid) - before) / (time.monotonic() - began), 4)
