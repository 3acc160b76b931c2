"""Bytes a second from the simulator's export into borg through the plugin, over `curl | borg create` by hand; and what memory that takes.

The simulator, whoever saves, and borg are processes of their own. Both ways save the same disk with the same parameters, each into a
repository of its own that has nothing yet; in turns, the median of the ratios counts. Then a sparse disk of 20 GiB is saved: the peak
memory of the process that saves must be what it was for the small one. What the plugin does besides (is the repository there and idle,
the manifest) takes its time once a backup and is shown apart: `around_s`.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import SecretStr

from orchestrator.xapi.client import Client
from orchestrator.xapi.settings import PoolSettings
from orchestrator.xapi.transfers import PoolTransfers
from orchestrator.xapi.transfers_source import PoolSource
from plugins.borg import Borg, BorgSettings
from plugins.kit import Kit
from plugins.values import Disk, Snapshot
from tests.bench import programs
from tests.plugins.products.stage import Jobs, a_vm

MIB, GIB = 1 << 20, 1 << 30
SIZE, FILLED, ROUNDS = 2 * GIB, GIB, 3
SPARSE, SPARSE_FILLED = 20 * GIB, 64 * MIB
TARGETS = {"ratio": 0.9}
SECRET = "hush"


def run() -> dict[str, Any]:
    """The ratio, MB/s both ways, and the peak memory for both disks in MB."""
    with programs.simulator("--control", hosts=1, vms=0, speed=0) as pool, tempfile.TemporaryDirectory() as folder:
        vdi = made_disk(pool, "full", SIZE, FILLED)
        whole(pool, vdi, SIZE)  # once, so that nobody reads it for the first time
        rounds = [_round(pool, vdi, Path(folder, str(number))) for number in range(ROUNDS)]
        sparse = saved(pool, made_disk(pool, "sparse", SPARSE, SPARSE_FILLED), SPARSE, Path(folder, "sparse"))
    hand = [one[0] for one in rounds]
    ours, without = [one[1]["seconds"] for one in rounds], [one[2]["seconds"] for one in rounds]
    return {
        "ratio": round(statistics.median(h / o for h, o in zip(hand, ours, strict=True)), 3),
        "ratio_without_checksums": round(statistics.median(h / o for h, o in zip(hand, without, strict=True)), 3),
        "targets": TARGETS,
        "plugin_mb_s": round(SIZE / statistics.median(ours) / 1e6),
        "hand_mb_s": round(SIZE / statistics.median(hand) / 1e6),
        "around_s": round(statistics.median(one[1]["around"] for one in rounds), 1),
        "peak_mb": {"2 GiB, half of it noise": max(one[1]["peak_mb"] for one in rounds), "20 GiB, sparse": sparse["peak_mb"]},
        "sparse_mb_s": round(SPARSE / sparse["seconds"] / 1e6),
    }


def made_disk(pool: dict[str, Any], name: str, size: int, filled: int) -> str:
    """A disk on the shared SR with so much noise at its beginning; its uuid."""
    client = Client(settings(pool))
    try:
        sr = next(ref for ref, row in client.call("SR.get_all_records").items() if row["name_label"] == "Shared SR")
        empty: dict[str, Any] = {key: {} for key in ("other_config", "xenstore_data", "sm_config")}
        words = {"name_label": name, "name_description": "", "type": "user", "sharable": False, "read_only": False, "tags": []}
        ref = client.call("VDI.create", {**empty, **words, "SR": sr, "virtual_size": size})
        control(pool, "fill-disk", vdi=ref, length=filled)
        return str(client.call("VDI.get_uuid", ref))
    finally:
        client.close()


def control(pool: dict[str, Any], verb: str, **values: Any) -> Any:
    """What the simulator's control port says."""
    request = urllib.request.Request(f"{pool['control']}/{verb}", json.dumps(values).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=600) as answer:
        return json.loads(answer.read())["result"]


def settings(pool: dict[str, Any]) -> PoolSettings:
    """How the pool is reached."""
    return PoolSettings("lab", pool["url"], pool["user"], SecretStr(pool["password"]))


def whole(pool: dict[str, Any], vdi: str, size: int) -> None:
    """Read the disk and throw it away."""
    transfers = PoolTransfers(settings(pool))
    room = bytearray(MIB)
    with transfers.read_disk(vdi, size) as stream:
        while stream.readinto(room):
            pass


def _round(pool: dict[str, Any], vdi: str, folder: Path) -> tuple[float, dict[str, Any], dict[str, Any]]:
    for name in ("", "without"):
        Path(folder, name).mkdir()
    return _by_hand(pool, vdi, folder), saved(pool, vdi, SIZE, folder), saved(pool, vdi, SIZE, folder / "without", checksums=False)


def _by_hand(pool: dict[str, Any], vdi: str, folder: Path) -> float:
    """Seconds of `curl | borg create`."""
    repository = folder / "by-hand"
    environment = {**os.environ, "BORG_PASSPHRASE": SECRET, "BORG_BASE_DIR": str(folder / "base")}
    subprocess.run(["borg", "init", "--encryption", "repokey-blake2", repository], env=environment, check=True, capture_output=True)
    client = Client(settings(pool))
    try:
        client.call("pool.get_all")
        url = f"{pool['url']}/export_raw_vdi?vdi={vdi}&format=raw&session_id={client.session.handle}"
        began = time.monotonic()
        words = (
            "create",
            "--json",
            "--chunker-params",
            "fixed,65536",
            "--compression",
            "zstd,3",
            "--stdin-name",
            "disk",
            f"{repository}::a",
            "-",
        )
        with (
            subprocess.Popen(["curl", "--silent", "--fail", url], stdout=subprocess.PIPE) as curl,
            subprocess.Popen(["borg", *words], stdin=curl.stdout, stdout=subprocess.PIPE, env=environment) as borg,
        ):
            answer = json.loads(borg.communicate()[0])
        assert answer["archive"]["stats"]["original_size"] >= SIZE, answer
        return time.monotonic() - began
    finally:
        client.close()


def saved(pool: dict[str, Any], vdi: str, size: int, folder: Path, *, checksums: bool = True) -> dict[str, Any]:
    """A backup by the plugin, in a process of its own."""
    folder.mkdir(exist_ok=True)
    given = json.dumps({"pool": pool, "vdi": vdi, "size": size, "folder": str(folder), "checksums": checksums})
    done = subprocess.run([sys.executable, "-m", "tests.bench.export", given], stdout=subprocess.PIPE, check=True)
    return dict(json.loads(done.stdout))


def _save(given: dict[str, Any]) -> dict[str, Any]:
    folder, jobs, took = Path(given["folder"]), Jobs(), []
    (folder / "kit").mkdir(exist_ok=True)
    written = {"repository": "repository", "passphrase": SECRET, "checksums": given["checksums"]}
    product = Borg(BorgSettings.model_validate(written, context={"folder": folder}), Kit("nas", folder / "kit", jobs))
    put = product._repository.put

    def timed(name: str, pieces: Iterator[memoryview], told: Any) -> int:
        began = time.monotonic()
        stored = put(name, pieces, told)
        took.append(time.monotonic() - began)
        return stored

    product._repository.put = timed  # type: ignore[method-assign]
    disk = Disk(0, "0", given["vdi"], given["vdi"], "disk", given["size"])
    snapshot = Snapshot(str(uuid4()), "s", datetime.now(UTC), (disk,))
    source = PoolSource(PoolTransfers(settings(given["pool"])), snapshot)
    began = time.monotonic()
    ended = jobs.join(product.start_backup(a_vm(), snapshot, source), within=3600)
    assert ended.state == "done", ended
    whole_time = time.monotonic() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": took[0], "around": whole_time - took[0], "peak_mb": round(peak, 1), "stored": ended.stored}


if __name__ == "__main__":
    print(json.dumps(_save(json.loads(sys.argv[1]))))
