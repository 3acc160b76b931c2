"""An NBD server that is not ours: nbdkit with forced TLS, where a simulated host says that its own is.

It serves the files of a folder by the uuid in the export's name, and only with a session in it, as xapi's does. A file UUID.breaks
makes it fail to read from that offset on; `calls` has one line for each read.
"""

import os
import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from orchestrator.simulator import SimulatedPool

PORT = 10809
SCRIPT = """
import os, re, errno
API_VERSION = 2
FOLDER = os.environ["VFO_DISKS"]

def thread_model():
    import nbdkit
    return nbdkit.THREAD_MODEL_PARALLEL

def open(readonly):
    import nbdkit
    found = re.fullmatch(r"/([0-9a-f-]{36})[?]session_id=OpaqueRef:.+", nbdkit.export_name())
    path = os.path.join(FOLDER, found[1]) if found else ""
    if not os.path.exists(path):
        raise OSError(errno.ENOENT, "no such disk")
    return {"fd": os.open(path, os.O_RDONLY), "breaks": path + ".breaks", "calls": os.path.join(FOLDER, "calls")}

def close(h):
    os.close(h["fd"])

def get_size(h):
    return os.fstat(h["fd"]).st_size

def can_write(h):
    return False

def pread(h, buf, offset, flags):
    import builtins
    with builtins.open(h["calls"], "a") as calls:
        calls.write(f"{offset} {len(buf)}\\n")
    if os.path.exists(h["breaks"]):
        with builtins.open(h["breaks"]) as file:
            if offset + len(buf) > int(file.read()):
                raise OSError(errno.EIO, "broken")
    buf[:] = os.pread(h["fd"], len(buf), offset)
"""


def needed() -> None:
    """The test is skipped on a machine without nbdkit, and fails where nothing may be skipped."""
    found = shutil.which("nbdkit") and subprocess.run(["nbdkit", "python", "--dump-plugin"], capture_output=True, check=False)
    if not found or found.returncode:
        words = "nbdkit with its plugin for Python is not installed: apt-get install nbdkit nbdkit-plugin-python"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)


class Serving:
    """A running nbdkit. *folder*: where the disks are."""

    def __init__(self, pool: SimulatedPool, folder: Path, *, own_certificate: bool = True) -> None:
        needed()
        self.folder = folder / "disks"
        self.folder.mkdir()
        self._pool = pool
        self._host = pool.database.refs("host")[0]
        self.address = f"127.{random.randint(1, 254)}.{random.randint(0, 254)}.{random.randint(1, 254)}"  # the port is always the same
        self._certificates(folder, own=own_certificate)
        script = folder / "disks.py"
        script.write_text(SCRIPT)
        words = ["nbdkit", "--foreground", "--exit-with-parent", "--tls=require", f"--tls-certificates={folder / 'tls'}"]
        self._process = subprocess.Popen(
            [*words, "--ipaddr", self.address, "--port", str(PORT), "--verbose", "python", script],
            env={**os.environ, "VFO_DISKS": str(self.folder)}, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._process.stderr
        for line in self._process.stderr:
            if "bound to" in line or "accepting" in line or "listening" in line:
                break
        else:
            raise AssertionError("nbdkit did not begin to listen")
        self._reader = threading.Thread(target=self._process.stderr.read, daemon=True)
        self._reader.start()

    def _certificates(self, folder: Path, *, own: bool) -> None:
        from orchestrator.simulator import certificates

        shown = self._pool.server.certificate(self._host) if own else certificates.make("elsewhere")
        place = folder / "tls"
        place.mkdir()
        (place / "ca-cert.pem").write_text(shown.pem)
        (place / "server-cert.pem").write_text(shown.pem)
        (place / "server-key.pem").write_text(shown.key)

    def announce(self) -> None:
        """Have the simulated host say so: its management network is of purpose nbd, at the server's address."""
        db = self._pool.database
        for _, pif in db.rows("PIF"):
            if pif["host"] == self._host and pif["management"]:
                db.set("network", pif["network"], purpose=["nbd"])
        (ref,) = [ref for ref, pif in db.rows("PIF") if pif["host"] == self._host and pif["management"]]
        db.set("PIF", ref, IP=self.address)

    def copy(self, vdi: str) -> Path:
        """Serve what the simulated disk (uuid) has now."""
        from orchestrator.simulator import space
        from orchestrator.simulator.control import find

        db = self._pool.database
        ref = find(db, "VDI", vdi)
        size, held = int(db.get("VDI", ref)["virtual_size"]), space.content(db, ref)
        path = self.folder / vdi
        with path.open("wb") as file:
            for span in held.spans(0, size):
                file.write(span.bytes())
        return path

    def read(self) -> list[tuple[int, int]]:
        """What was read: offsets and lengths."""
        place = self.folder / "calls"
        lines = place.read_text().splitlines() if place.exists() else []
        return [(int(offset), int(length)) for offset, length in map(str.split, lines)]

    def stop(self) -> None:
        """End it."""
        self._process.kill()  # asked kindly, it waits for whoever reads
        self._reader.join(60)
        with self._process:
            pass


assert sys.platform == "linux", "127.0.0.0/8 belongs to this machine on Linux alone"
