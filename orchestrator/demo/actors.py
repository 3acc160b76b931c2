"""Who plays in the demo: a simulated pool, the daemon, and another client that knows nothing of us."""

import json
import subprocess
import sys
import urllib.request
import xmlrpc.client
from pathlib import Path
from typing import Any

START_SECONDS = 20.0


class Process:
    """A `vfo` command running beside us; what it says goes to a file."""

    def __init__(self, folder: Path, *words: str) -> None:
        self._errors = (folder / f"{words[0]}.log").open("ab")
        command = [sys.executable, "-m", "orchestrator", *words]
        self._running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=self._errors, cwd=folder)  # noqa: S603 - our own command

    def first_line(self) -> str:
        """The first line of its output; empty when it ended without one."""
        assert self._running.stdout is not None  # noqa: S101 - it was opened as a pipe
        return self._running.stdout.readline().decode()

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._running.pid

    def kill(self) -> None:
        """End it as a crash would, with SIGKILL."""
        self._running.kill()
        self._ended()

    def stop(self) -> None:
        """End it as an administrator would, with SIGTERM; with SIGKILL when it does not listen."""
        self._running.terminate()
        try:
            self._ended()
        except subprocess.TimeoutExpired:
            self.kill()

    def _ended(self) -> None:
        self._running.wait(START_SECONDS)
        if self._running.stdout:
            self._running.stdout.close()
        self._errors.close()


class SimulatedPool:
    """A pool in a process of its own, with its control port."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._process = Process(folder, "simulate", "--control", *options)
        line = self._process.first_line()
        if not line:
            raise RuntimeError(f"the simulated pool did not start: see {folder / 'simulate.log'}")
        self.said: dict[str, Any] = json.loads(line)

    def leak(self, host: str, network: str, count: int) -> None:
        """Reserve VFs for nobody, as old pools do by mistake."""
        body = json.dumps({"host": host, "network": network, "count": count}).encode()
        request = urllib.request.Request(f"{self.said['control']}/leak", body, {"Content-Type": "application/json"})  # noqa: S310 - loopback
        with urllib.request.urlopen(request, timeout=10):  # noqa: S310 - as above
            return

    def stop(self) -> None:
        """End it."""
        self._process.stop()


class OtherClient:
    """Somebody's own tool: plain XenAPI over XML-RPC, which has never heard of us."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self._server = xmlrpc.client.ServerProxy(url)
        self._session = ""
        self._session = self.call("session.login_with_password", user, password, "1.0", "somebody's tool")

    def close(self) -> None:
        """Hang up."""
        self._server("close")()

    def call(self, method: str, *params: Any) -> Any:
        """What the pool answers."""
        words = (self._session, *params) if self._session else params
        answer: Any = getattr(self._server, method)(*words)
        if answer["Status"] != "Success":
            raise RuntimeError(f"{method}: {answer['ErrorDescription']}")
        return answer["Value"]

    def running_with_a_vf(self) -> dict[str, str]:
        """The VMs that hold a VF: ref to name_label."""
        records = self.call("VM.get_all_records")
        return {
            ref: record["name_label"]
            for ref, record in sorted(records.items(), key=lambda item: item[1]["name_label"])
            if record["attached_PCIs"]
        }

    def replug(self, host: str) -> None:
        """Unplug and plug the host's SR-IOV logical PIFs: where the driver takes it, their VFs are made anew."""
        pifs = self.call("PIF.get_all_records")
        hosts = self.call("host.get_all_records")
        for ref, pif in pifs.items():
            if pif["sriov_logical_PIF_of"] and hosts[pif["host"]]["name_label"] == host:
                self.call("PIF.unplug", ref)
                self.call("PIF.plug", ref)

    def shut_down(self, name: str) -> None:
        """Shut the VM of that name down, as its owner would."""
        (vm,) = self.call("VM.get_by_name_label", name)
        self.call("VM.clean_shutdown", vm)

    def delete(self, vm: str) -> None:
        """Pull the plug and delete the VM, without a thought for its VF."""
        self.call("VM.hard_shutdown", vm)
        self.call("VM.destroy", vm)
