"""Several processes on one SQLite file: the command line works while the service runs."""

import subprocess
import sys
from pathlib import Path

from state import runs
from state.run import Status
from state.store import Store
from tests.state import moments

ROOT = Path(__file__).parents[2]

TAKER = """
import sys
from state import claims
from state.run import Phase, Status
from state.store import Store
from tests.state import moments

store = Store(sys.argv[1])
print("ready", flush=True)
sys.stdin.readline()
taken = 0
with store.read() as session:
    ids = [run.id for run in claims.due(session, now=moments.later(1), limit=1000)]
for run_id in ids:
    with store.write() as session:
        run = claims.claim(session, run_id, now=moments.later(1), lease=moments.LEASE)
    if run is not None:
        taken += 1
        assert moments.record(store, run, moments.ended())
store.close()
print(taken)
"""


def test_two_processes_take_every_run_once(store: Store) -> None:
    """Both are at it at the same time; together they took each run exactly once, and neither found the database locked."""
    for number in range(150):
        moments.create(store, f"vm:{number}")
    takers = [
        subprocess.Popen(
            [sys.executable, "-c", TAKER, store.name],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for taker in takers:
        assert taker.stdout is not None
        assert taker.stdout.readline() == "ready\n"
    answers = []
    for taker in takers:
        assert taker.stdin is not None
        taker.stdin.write("go\n")
        taker.stdin.flush()
    for taker in takers:
        said, complained = taker.communicate(timeout=60)
        assert taker.returncode == 0, complained
        answers.append(int(said))
    assert sum(answers) == 150
    with store.read() as session:
        assert runs.counts(session)[Status.DONE] == 150
