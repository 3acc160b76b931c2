"""`python -m tests.plugins.products.dying KIND FOLDER RUN VM`: begins a backup, says that it is in its middle, and waits to be killed."""

import sys
from pathlib import Path
from uuid import UUID

from tests.plugins.products.kinds import KINDS
from tests.plugins.products.stage import MIB, Gate, a_snapshot, a_vm, noise

if __name__ == "__main__":
    name, folder, run, vm = sys.argv[1:]
    kind = KINDS[name]
    stage = kind.stage(Path(folder))
    pool = kind.pool(noise(4 * MIB), noise(4 * MIB, 2))
    pool.gate = Gate(3 * MIB)
    stage.product.start_backup(a_vm(run_id=UUID(run), vm=vm), a_snapshot(4 * MIB, 4 * MIB), pool)
    assert pool.gate.reached.wait(60)
    sys.stdout.write("in the middle\n")
    sys.stdout.flush()
    sys.stdin.read()
