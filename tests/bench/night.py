"""A night of a backup administrator: a window of ten minutes and 40 VMs, once in peace with borg, once with all that goes wrong.

The stormy one: the daemon is killed with -9 five times within the window, and the product fails for one VM in five. The figures are how
many were saved, failed and missed, with the reasons; it fails where the pool is not as it was, or a VM was saved twice.
"""

import json
import random
import re
import shutil
import tempfile
import time
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from tests.journey import kills
from tests.journey.lab import Lab, wait_until
from tests.journey.test_backups import typed
from tests.journey.test_windows import lines, over, runs_of
from workflows import keep_window

VMS = 40
KILLS = 5
MINUTES = 10
SPEED = "0.05"
WINDOW = """
[windows.night]
schedule = "{minute} {hour} * * *"
duration = "{minutes}m"

[policies.all]
vms = {{ names = ["*"] }}
product = "nas"
window = "night"
mode = "offline"
retries = 1
"""
BORG = '\n[products.nas]\nplugin = "borg"\nrepository = "repository"\npassphrase = "correct horse"\n'
ONE_IN_FIVE = '\n[products.nas]\nplugin = "command"\njob = ["{script}"]\n'
SCRIPT = '#!/bin/sh\nsleep 2\ncase "$VFO_VM_NAME" in db-*|web-*) echo "the tape of $VFO_VM_NAME is full" >&2; exit 1;; esac\n'


def run() -> dict[str, Any]:
    """Both nights, with their plans and reports."""
    calm = _night(BORG, 0) if shutil.which("borg") else "left out: borg is not installed"
    return {"calm": calm, "storm": _night(ONE_IN_FIVE, KILLS)}


def _night(product: str, deaths: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "job"
        script.write_text(SCRIPT)
        script.chmod(0o755)
        lab = Lab(Path(folder), "--hosts", "2", "--vms", str(VMS), "--vfs", "24", "--speed", SPEED, "--disk-mib", "8")
        try:
            return _kept(lab, product.format(script=script) if "{script}" in product else product, deaths)
        finally:
            lab.close()


def _kept(lab: Lab, product: str, deaths: int) -> dict[str, Any]:
    at = datetime.now().astimezone() + timedelta(seconds=70)
    with lab.config.open("a") as file:
        file.write(product + WINDOW.format(minute=at.minute, hour=at.hour, minutes=MINUTES))
    before = kills.look(lab)
    slots = json.loads(typed(lab, "window", "plan", "night", "--json")[1])[0]["slots"]
    hits, chance = 0, random.Random(5)
    daemon = lab.serve()
    wait_until(lambda: runs_of(lab, keep_window.NAME), 120, "the window opens")
    began = time.monotonic()
    for _ in range(deaths):
        time.sleep(chance.uniform(5, 30))
        daemon.kill()
        hits += not over(lab)
        daemon = lab.serve()
    try:
        wait_until(lambda: over(lab) and all(run.finished_at for run in lab.runs()), 60 * MINUTES + 300, "all runs have ended")
    finally:
        daemon.stop()
    ended = Counter(line.status for line in lines(lab))
    twice = [vm for vm, times in Counter(line.vm for line in lines(lab) if line.status == "saved").items() if times > 1]
    wrong = kills.wrong(lab, before)
    assert (twice, wrong) == ([], []), (twice, wrong)
    said = typed(lab, "report")
    return {
        "planned": {"VMs": len(slots), "would be missed by estimate": sum(bool(slot["why"]) for slot in slots)},
        "minutes": round((time.monotonic() - began) / 60, 1), "killed in the window": hits, "ended": dict(ended),
        "why not": dict(Counter(re.sub(r"[a-z]+-[0-9]+", "VM", line.reason)[:160] for line in lines(lab) if line.status != "saved")),
        "report": said[1].splitlines()[-1], "exit code of the report": said[0],
    }  # fmt: skip
