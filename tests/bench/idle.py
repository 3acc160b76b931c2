"""What `vfo serve` costs when nothing happens: CPU over a minute, and memory, with 5,000 VMs in the pool."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

SECONDS = 60.0
VMS = 5000
TICKS = os.sysconf("SC_CLK_TCK")


def run() -> dict[str, Any]:
    """CPU seconds a second (a fraction of one core) and resident memory in MB, after the pool was loaded."""
    with tempfile.TemporaryDirectory() as folder:
        simulator = _start("simulate", "--vms", str(VMS))
        daemon = None
        try:
            said = json.loads(_line(simulator))
            config = Path(folder, "vfo.toml")
            config.write_text('[pools.lab]\nurl = "{url}"\nusername = "{user}"\npassword = "{password}"\n'.format_map(said))
            daemon = _start("serve", "--config", str(config))
            _line(daemon)
            time.sleep(5)
            before, began = cpu(daemon.pid), time.monotonic()
            time.sleep(SECONDS)
            fraction = (cpu(daemon.pid) - before) / (time.monotonic() - began)
            return {"vms": VMS, "cpu_fraction": round(fraction, 5), "resident_mb": round(_resident(daemon.pid), 1)}
        finally:
            for process in (daemon, simulator):
                if process:
                    process.terminate()
                    process.wait(20)


def _start(*words: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "orchestrator", *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def _line(process: subprocess.Popen[bytes]) -> bytes:
    assert process.stdout is not None
    return process.stdout.readline()


def cpu(pid: int) -> float:
    """Seconds of CPU that the process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1024
