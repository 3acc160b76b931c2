# ruff: noqa: T201 - a command line prints
"""A vendor's command line, as one might be: keeps backups as files in a directory. `python vendor_cli.py VERB DIRECTORY`."""

import json
import os
import sys
from pathlib import Path

VERB, FOLDER = sys.argv[1], Path(sys.argv[2])
GIVEN = json.load(sys.stdin)


def job() -> int:
    FOLDER.mkdir(exist_ok=True)
    print("vfo progress 0.5 read=1024 stored=512")
    part = FOLDER / f"{os.environ['VFO_RUN_ID']}.part"
    part.write_text(json.dumps(GIVEN["manifest"]) + "\n")
    part.rename(part.with_suffix(".json"))
    print(f"vfo progress 1 read=2048 stored=1000 point={os.environ['VFO_RUN_ID']}")
    print(f"saved {len(json.loads(os.environ['VFO_DISKS']))} disks")
    return 0


def listed() -> int:
    print("reading the catalogue", file=sys.stderr)
    for path in FOLDER.glob("*.json"):
        print(path.read_text(), end="")
    return 0


def verify() -> int:
    there = (FOLDER / f"{os.environ['VFO_POINT']}.json").exists()
    print("it is there" if there else "it is not there")
    return 0 if there else 1


def forget() -> int:
    path = FOLDER / f"{os.environ['VFO_POINT']}.json"
    if path.exists():
        print(f"vfo freed {path.stat().st_size}")
        path.unlink()
    return 0


def cancel() -> int:
    with (FOLDER / "cancelled").open("a") as file:
        file.write(os.environ["VFO_RUN_ID"] + "\n")
    return 0


sys.exit({"job": job, "list": listed, "verify": verify, "forget": forget, "cancel": cancel}[VERB]())
