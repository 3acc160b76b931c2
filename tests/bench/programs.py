"""The product's programs as processes of their own, so that what is measured shares no interpreter with what measures."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def running(module: str, *words: str) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m MODULE WORDS`, ended with the block."""
    process = subprocess.Popen([sys.executable, "-m", module, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(20)
        if process.stdout:
            process.stdout.close()


@contextlib.contextmanager
def simulator(**options: int) -> Iterator[dict[str, Any]]:
    """A simulated pool; where it is and who may log in, as it says itself."""
    words = [word for name, value in options.items() for word in (f"--{name}", str(value))]
    with running("orchestrator.simulator", *words) as process:
        assert process.stdout
        yield json.loads(process.stdout.readline())
