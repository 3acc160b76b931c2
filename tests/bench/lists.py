"""Every list of the console and the API with 10,000 VMs: how long until it is there, and how big it is."""

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
from playwright.sync_api import Page, sync_playwright

from tests.bench import programs, targets
from tests.bench.console import CONFIG, PASSWORD
from tests.services.programs import CHROMIUM, free_port

HOSTS, VFS, VMS = 16, 128, 10_000  # 2,048 VFs: a fifth of the VMs runs with one
TIMES = 2
MOST_MS, MOST_BYTES = 1000.0, 1_000_000
PAGES = ("/", "/vfs", "/vms", "/vms?has=vf", "/vms?q=web-05", "/vms?page=200", "/runs", "/runs?status=all", "/backup", "/backup/report",
         "/backup/points", "/pools", "/plugins", "/audit")  # fmt: skip
ANSWERS = ("/vms", "/vms?limit=1000", "/vms?with_vfs=true", "/vfs", "/hosts", "/ports", "/networks", "/pools", "/runs", "/policies",
           "/restore-points", "/audit", "/reports", "/vfs/history")  # fmt: skip
MORE = """
[sriov.fast]
network = "SR-IOV"
ports = {{ device = "eth1" }}

[windows.leap]
schedule = "0 3 29 2 *"
duration = "1h"

[products.shelf]
plugin = "xva"
directory = "{folder}"

[policies.all]
vms = {{ names = ["*"] }}
product = "shelf"
window = "leap"
"""
TIMING = """() => {
    const [taken] = performance.getEntriesByType('navigation');
    return [taken.responseStart - taken.requestStart, taken.domContentLoadedEventEnd, taken.decodedBodySize];
}"""


def run() -> dict[str, Any]:
    """Of each page the milliseconds to its first byte and to DOM content loaded, and its bytes; of each answer the same but for the DOM."""
    with _served() as (url, token), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        page = browser.new_page()
        page.goto(f"{url}/login")
        page.get_by_label("Name").fill("ada")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(f"{url}/")
        pages = {path: _page(page, url + path) for path in PAGES}
        page.goto(f"{url}/login")  # no page is live any more
        browser.close()
        answers = {path: _answer(f"{url}/api/v1{path}", token) for path in ANSWERS}
    slowest, biggest = max(one["loaded_ms"] for one in pages.values()), max(one["bytes"] for one in pages.values())
    judged = targets.judged({"slowest_page_ms": (slowest, MOST_MS), "biggest_page_bytes": (biggest, MOST_BYTES)}, most=True)
    return judged | {"vms": VMS, "pages": pages, "answers": answers}


@contextlib.contextmanager
def _served() -> Iterator[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder, programs.simulator(hosts=HOSTS, vfs=VFS, vms=VMS) as pool:
        port, config = free_port(), Path(folder, "vfo.toml")
        config.write_text(CONFIG.format_map({**pool, "port": port}) + MORE.format(folder=folder))
        config.chmod(0o600)
        typed = [sys.executable, "-m", "orchestrator"]
        add = [*typed, "user", "add", "ada", "--scope", "admin", "--password-stdin", "--config", str(config)]
        subprocess.run(add, input=PASSWORD, text=True, check=True, capture_output=True)
        create = [*typed, "token", "create", "bench", "--scope", "admin", "--config", str(config)]
        token = subprocess.run(create, text=True, check=True, capture_output=True).stdout.strip()
        with programs.running("orchestrator", "serve", "--config", str(config)) as process:
            assert process.stdout
            assert process.stdout.readline(), "vfo serve did not start"
            time.sleep(30)  # the pool is known, and its VFs are counted
            yield f"http://127.0.0.1:{port}", token


def _page(page: Page, address: str) -> dict[str, float]:
    """Loaded some times, after a first time of which only how long it took is kept."""
    taken = []
    for _ in range(TIMES + 1):
        page.goto(address, wait_until="load")
        taken.append(page.evaluate(TIMING))
    first, loaded = (round(statistics.median(one[place] for one in taken[1:]), 1) for place in (0, 1))
    return {"first_byte_ms": first, "loaded_ms": loaded, "bytes": taken[-1][2], "cold_ms": round(taken[0][1], 1)}


def _answer(address: str, token: str) -> dict[str, float]:
    taken = []
    for _ in range(TIMES + 1):
        began = time.perf_counter()
        answer = httpx2.get(address, headers={"Authorization": f"Bearer {token}"}, timeout=120)
        taken.append((1000 * (time.perf_counter() - began), len(answer.content)))
        assert answer.status_code == 200, (address, answer.text)
    return {"ms": round(statistics.median(one for one, _ in taken[1:]), 1), "bytes": taken[-1][1]}
