"""Several processes of `vfo serve` on one database and one broker, as a service manager keeps them: one that dies is begun again."""

import contextlib
import json
import os
import random
import signal
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path

from orchestrator.config.load import load
from orchestrator.demo.actors import Process
from state import runs
from state.run import Run, Status
from state.store import Store
from tests.journey.lab import Lab
from tests.services import typist

SERVICES = '\n[database]\nurl = "{database}"\n[broker]\nurl = "{broker}"\n[metrics]\nport = 0\n'
SERVING = 2 / 3
"""The share of the processes that must have begun to serve before another one is killed."""


class Shared(Lab):
    """A lab whose rows are in a PostgreSQL and whose messages go by a RabbitMQ; *more* is written after the configuration's tables."""

    def __init__(self, folder: Path, database: str, broker: str, *options: str, more: str = "", **said: str) -> None:
        super().__init__(folder, *options, **said)
        self.store.close()
        with self.config.open("a") as file:
            file.write(SERVICES.format(database=database, broker=broker) + more)
        self.store = Store(load(self.config).database_url)

    def runs(self) -> list[Run]:
        """Every run; a database that goes away over the question is asked again."""
        return self.store.do(lambda session: runs.listed(session, statuses=frozenset(Status), limit=100_000))

    def effects(self) -> dict[str, dict[str, int]]:
        """What changed the pool, by the pool's own count: method to uuid to how often."""
        found: dict[str, dict[str, int]] = self.asked("effects")
        return found

    def typed(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Type a command in the lab's folder."""
        return typist.run(words, self.folder, timeout=200)

    def odd_ports(self) -> list[str]:
        """The ports of which the ledger and the pool do not say the same, or that have lost or promised VFs."""
        said = self.typed("vfs", "--json")
        assert said.returncode == 0, said.stderr
        return [
            f"port {port['name']}: {found}"
            for port in json.loads(said.stdout)
            if (found := {key: port[key] for key in ("promised", "leaked", "missing", "odd") if port[key]})
            or port["free"] + len(port["users"]) != port["total"]
        ]


class Member:
    """One process of the cluster, as its service manager keeps it."""

    def __init__(self, lab: Lab, role: str) -> None:
        self._lab = lab
        self.role = role
        self.deaths = 0
        self._process = self._begin()

    def _begin(self) -> Process:
        process, self._serves = Process(self._lab.folder, "serve", "--role", self.role), threading.Event()
        threading.Thread(target=_heard, args=(process, self._serves), daemon=True).start()
        return process

    @property
    def is_ready(self) -> bool:
        """Whether it has said that it serves."""
        return self._serves.is_set()

    def ready(self, seconds: float = 120) -> None:
        """Wait until it serves."""
        assert self._serves.wait(seconds), self._lab.log()[-3000:]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def kill(self) -> None:
        """End it as a crash does, and begin it again at once."""
        self.deaths += 1
        self._process.kill()
        self._process = self._begin()

    def pause(self) -> None:
        """SIGSTOP."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def ended(self) -> bool:
        """Whether it has ended by itself; then it is begun again."""
        if os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            return False
        self._process.stop()
        self._process = self._begin()
        return True

    def kill_for_good(self) -> None:
        """End it as a crash does; nobody begins it again."""
        self._process.kill()

    def stop(self) -> None:
        """SIGTERM; SIGKILL when it does not listen."""
        self._process.stop()


class Cluster:
    """So many processes of each role."""

    def __init__(self, lab: Lab, roles: Sequence[str]) -> None:
        self.members = [Member(lab, role) for role in roles]
        self.ended_by_themselves = 0
        for member in self.members:
            member.ready()

    def __enter__(self) -> "Cluster":
        return self

    def __exit__(self, *_: object) -> None:
        for member in self.members:
            member.stop()

    def of(self, role: str) -> list[Member]:
        """The processes of a role."""
        return [member for member in self.members if member.role == role]

    def kill_one(self, chance: random.Random) -> str:
        """End one of those that serve as a crash does; its role. "" where too few serve: on a slow machine a storm must not be a calm."""
        serving = [member for member in self.members if member.is_ready]
        if len(serving) < len(self.members) * SERVING:
            return ""
        member = chance.choice(serving)
        member.kill()
        return member.role

    def keep(self) -> None:
        """Begin those again that ended by themselves, as a service manager does."""
        self.ended_by_themselves += sum(member.ended() for member in self.members)


def _heard(process: Process, serves: threading.Event) -> None:
    """What a process says first; one that dies before that is begun again by who keeps it."""
    with contextlib.suppress(ValueError):  # its output was closed meanwhile: it was killed
        if process.first_line():
            serves.set()


def wait(seconds: float) -> None:
    """Let the others work."""
    threading.Event().wait(seconds)
