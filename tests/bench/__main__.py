"""`python -m tests.bench [NAME...]`: measures, never judges by a clock in a test. Each figure is a ratio taken in one run.

ingest    connect to mirror complete, 5,000 VMs, over a bare JSON-RPC get_all_records of the same classes
latency   VM.destroy answered to run recorded done, against a bare event.from loop that only sees the deletion
engine    workflows of 5 empty steps a second, against the raw driver's rows and against DBOS (pip install -e ".[bench]")
idle      CPU and memory of `vfo serve` with nothing to do, 5,000 VMs
notice    seconds until nothing is missing after 650 deletions while cut off, a deaf stream, a restart, a failover
downtime  guests' downtime for an offline backup, over the pool's own shutdown, snapshot and start; 100 VMs, 10 at a time
calls     XenAPI calls per VM and workflow, beside the least that would do
window    memory and threads that 1,000 runs which wait at once cost `vfo serve`
"""

import importlib
import json
import sys

NAMES = ("ingest", "latency", "engine", "idle", "notice", "downtime", "calls", "window")


def main(names: list[str]) -> int:
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        sys.stderr.write(f"no benchmark {', '.join(unknown)}; there are {', '.join(NAMES)}\n")
        return 2
    for name in names or NAMES:
        figures = importlib.import_module(f"tests.bench.{name}").run()
        print(f"{name}: {json.dumps(figures, default=str)}", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
