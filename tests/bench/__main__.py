"""`python -m tests.bench [NAME...]`: measures, never judges by a clock in a test. Each figure is a ratio taken in one run.

ingest    connect to mirror complete, 5,000 VMs, over a bare JSON-RPC get_all_records of the same classes
latency   VM.destroy answered to run recorded done, against a bare event.from loop that only sees the deletion
engine    workflows of 5 empty steps a second, against the raw driver's rows and against DBOS (pip install -e ".[bench]")
idle      CPU and memory of `vfo serve` with nothing to do, 5,000 VMs
notice    seconds until nothing is missing after 650 deletions while cut off, a deaf stream, a restart, a failover
downtime  guests' downtime for an offline backup, over the pool's own shutdown, snapshot and start; 100 VMs, 10 at a time
calls     XenAPI calls per VM and workflow, beside the least that would do
export    bytes a second from an export into borg through the plugin, over `curl | borg` by hand; memory for a sparse disk of 20 GiB
increment bytes that a borg repository grows by over bytes that changed, 1 % in extents of 64 KiB
window    memory and threads that 1,000 runs which wait at once cost `vfo serve`
plan      seconds to plan a window over 10,000 VMs from values, and what its run costs; over the wire for information
night     a window of ten minutes and 40 VMs: in peace with borg, then with five kill -9 and a product that fails for one VM in five
roundtrip bytes that borg and restic store for eight VMs, at first and after 1 % changed; one for each deleted and restored

Of several machines, on PostgreSQL and RabbitMQ (those of VFO_TEST_POSTGRES and VFO_TEST_RABBITMQ, else their own). Exit code 1 when a
figure misses its target, which stands beside it:

engine_postgresql  workflows of 5 empty steps a second, against the raw driver on one connection and against DBOS
scale     steps a second of runs that wait 90 % of their time, with 1, 2 and 4 worker processes, over that many times one
history   claims a second with 1,000,000 finished runs over the rate with none, on PostgreSQL and on SQLite
handover  seconds from kill -9 of the active listener to the next event handled, ten times each with two leases
storm     500 VMs deleted and 100 backed up by two processes of each role, while all of them, RabbitMQ and PostgreSQL are killed: it fails
          where anything took effect twice or is left over

Of the console, with Debian's chromium; exit code 1 in the same way:

console   milliseconds to DOM content loaded of the map of 5,056 VFs, and from a VF's change to its cell; CPU with fifty consoles open
lists     each list of the console and the API with 10,000 VMs: milliseconds to the first byte and to DOM content loaded, bytes
"""

import importlib
import json
import sys

NAMES = (
    "ingest", "latency", "engine", "idle", "notice", "downtime", "calls", "window", "plan", "export", "increment", "night", "roundtrip",
    "engine_postgresql", "scale", "history", "handover", "storm", "console", "lists",
)  # fmt: skip


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.stderr.write(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}\n")
        return 2
    missed = []
    for name in names or NAMES:
        figures = importlib.import_module(f"tests.bench.{name}").run()
        print(f"{name}: {json.dumps(figures, default=str)}", flush=True)
        missed += [f"{name}: {figure}" for figure in figures.get("missed", ())]
    if missed:
        sys.stderr.write(f"missed their targets: {', '.join(missed)}\n")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
