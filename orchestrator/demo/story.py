"""Tells the story as it happens, and ends with the proof."""

import contextlib
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from orchestrator import bootstrap
from orchestrator.cli import output
from orchestrator.config.load import load
from orchestrator.demo.actors import OtherClient, Process, SimulatedPool
from orchestrator.views import runs, vfs
from state import history
from state.store import Store

PATIENCE = 25.0
DELETED_BEFORE_THE_CRASH = 2
ENDED = ("done", "stuck")

CONFIGURATION = """
[pools.demo]
url = "{url}"
username = "{user}"
password = "{password}"

[reclaim]
grace = "1500ms"
looks = 3
every = "1h"

[listener]
lease = "2s"

[serve]
lease = "2s"

[console]
enabled = false
"""


class Story:
    """What has been told so far, and when."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began = time.monotonic()

    def says(self, text: str, style: str = "") -> None:
        """One line, with the seconds since the beginning."""
        self._console.print(f"{time.monotonic() - self._began:5.1f} s  {text}", style=style, markup=False)

    def shows(self, table: Table) -> None:
        """A table."""
        self._console.print(table)

    def chapter(self, text: str) -> None:
        """A heading."""
        self._console.print()
        self.says(text, "bold")


class Audience:
    """Looks at the pool and at the daemon's rows from outside, as the commands `vfo vfs` and `vfo runs` do."""

    def __init__(self, access: bootstrap.PoolAccess, store: Store, story: Story) -> None:
        self._access, self._store, self._story, self._heard = access, store, story, 0

    def ports(self) -> dict[str, dict[str, Any]]:
        """The ports as they are now, by name."""
        return {row["name"]: row for row in vfs.ports(self._access.port, self._access.ledger)}

    def runs(self) -> list[dict[str, Any]]:
        """All runs, oldest first."""
        with self._store.read() as session:
            return runs.listed(session, everything=True)[::-1]

    def all_ended(self) -> bool:
        """Whether no run is active."""
        return all(run["status"] in ENDED for run in self.runs())

    def has_found_more(self) -> bool:
        """Whether a run waits until nobody uses a port, or all have ended and there are more than before."""
        runs = self.runs()
        waits = any(run["status"] == "waiting" and "when nobody uses the port" in run["reason"] for run in runs)
        return waits or (len(runs) > DELETED_BEFORE_THE_CRASH and self.all_ended())

    def listen_until(self, reached: Callable[[], bool]) -> bool:
        """Tell what is recorded, as it is, until *reached*; False when patience ends."""
        ends = time.monotonic() + PATIENCE
        while not reached():
            if time.monotonic() > ends:
                return False
            self._tell_news()
            time.sleep(0.1)
        self._tell_news()
        return True

    def _tell_news(self) -> None:
        with self._store.read() as session:
            news = history.after(session, self._heard)
            titles = {row["id"]: row["title"] for row in runs.listed(session, everything=True)}
        for entry in news:
            self._heard = entry.seq or self._heard
            self._story.says(f"    {titles.get(entry.run_id, '')}: {entry.step} {entry.outcome} {entry.message}".rstrip(), "dim")


def tell(console: Console) -> int:
    """The whole story; 0 when it ended with the proof, 1 when it did not."""
    story = Story(console)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="vfo-demo-")))
        story.says("A pool of three hosts starts: simulated, but it speaks real XenAPI, in a process of its own.")
        pool = SimulatedPool(folder, "--speed", "0.02")
        stack.callback(pool.stop)
        config = folder / "vfo.toml"
        config.write_text(CONFIGURATION.format_map(pool.said))
        loaded = load(config)
        store = Store(loaded.database_url)
        stack.callback(store.close)
        (access,) = stack.enter_context(bootstrap.pools(loaded, store))
        somebody = stack.enter_context(contextlib.closing(OtherClient(pool.said["url"], pool.said["user"], pool.said["password"])))
        return _acts(story, Audience(access, store, story), pool, somebody, folder)


def _acts(story: Story, audience: Audience, pool: SimulatedPool, somebody: OtherClient, folder: Path) -> int:
    with _daemon(story, folder) as daemon:
        before = audience.ports()
        _show_ports(story, before)
        _delete_vms(story, audience, somebody)
        story.chapter(f"The daemon is killed in the middle of it (kill -9 {daemon.pid}).")
        daemon.kill()
        waiting = [run for run in audience.runs() if run["status"] not in ENDED]
        story.says(f"{len(waiting)} run(s) were not finished. Their rows are on disk.")
    with _daemon(story, folder):
        finished = audience.listen_until(audience.all_ended)
        story.says("Every run went on where it was." if finished else "Not every run ended in time.", "" if finished else "red")
        cured = _leak(story, audience, pool, somebody)
        after = audience.ports()
    return _prove(story, audience, before, after, complete=finished and cured)


@contextlib.contextmanager
def _daemon(story: Story, folder: Path) -> Iterator[Process]:
    """`vfo serve`, until the block ends; it may have been killed by then."""
    daemon = Process(folder, "serve", "--config", "vfo.toml")
    try:
        if not daemon.first_line():
            raise RuntimeError(f"vfo serve did not start: {(folder / 'serve.log').read_text()}")
        story.says("`vfo serve` follows the pool's events.")
        yield daemon
    finally:
        daemon.stop()


def _delete_vms(story: Story, audience: Audience, somebody: OtherClient) -> None:
    story.chapter("Somebody deletes VMs that hold VFs, with a tool of their own.")
    chosen = list(somebody.running_with_a_vf().items())[:DELETED_BEFORE_THE_CRASH]
    for ref, name in chosen:
        somebody.delete(ref)
        story.says(f"{name} is deleted.")
    audience.listen_until(lambda: len(audience.runs()) >= len(chosen))
    story.says(f"The daemon noticed: {len(chosen)} runs are on disk, waiting for the grace period to pass.")


def _leak(story: Story, audience: Audience, pool: SimulatedPool, somebody: OtherClient) -> bool:
    """A VM is deleted on a port that loses a VF at the same time; True when the daemon has found the leak and cured it."""
    story.chapter("Now a VF is lost: the pool keeps it reserved for a VM that is gone (older versions do that after a failed start).")
    port = max(audience.ports().values(), key=lambda row: len(row["users"]))
    name = port["users"][0]["name"]
    pool.leak(port["name"].rpartition("/")[0], port["network"], 1)
    somebody.delete(next(ref for ref, called in somebody.running_with_a_vf().items() if called == name))
    story.says(f"{name} is deleted, and one VF of {port['name']} is neither free nor used by anybody.")
    audience.listen_until(audience.has_found_more)
    for user in audience.ports()[port["name"]]["users"]:
        story.says(f"Found, with the evidence. The cure is to make the port's VFs anew, but {user['name']} uses one: that is waited for.")
        story.says(f"{user['name']}'s owner shuts it down.")
        somebody.shut_down(user["name"])
    cured = audience.listen_until(audience.all_ended)
    story.says("Cured, and proven." if cured else "The leak was not cured in time.", "" if cured else "red")
    return cured


def _show_ports(story: Story, ports: dict[str, dict[str, Any]]) -> None:
    rows = [
        [name, str(row["total"]), str(row["free"]), ", ".join(user["name"] for user in row["users"]) or "-"] for name, row in ports.items()
    ]
    story.shows(output.drawn(["port", "VFs", "free", "in use by"], rows))


def _prove(story: Story, audience: Audience, before: dict[str, Any], after: dict[str, Any], *, complete: bool) -> int:
    """Before and after of each port; the books balance when free + used + leaked are all there are."""
    story.chapter("The proof: what each port had and has.")
    balanced = all(row["total"] == row["free"] + len(row["users"]) + row["leaked"] for row in after.values())
    rows = []
    for name, now in after.items():
        numbers = [f"{before[name][key]} -> {now[key]}" for key in ("total", "free")]
        rows.append(
            [name, *numbers, f"{len(before[name]['users'])} -> {len(now['users'])}", f"{before[name]['leaked']} -> {now['leaked']}"]
        )
    story.shows(output.drawn(["port", "VFs", "free", "in use", "leaked, held by a run"], rows))
    done = sum(run["status"] == "done" for run in audience.runs())
    story.says(f"{done} runs proved their VFs free, each exactly once; the VF that was lost is back.")
    if balanced and complete and not any(row["leaked"] for row in after.values()):
        story.says("Every VF of every port is accounted for.", "bold green")
        return 0
    story.says("The books do not balance: this is a fault, please report it.", "bold red")
    return 1
