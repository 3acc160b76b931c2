"""The product's programs as processes of their own, so that what is measured shares no interpreter with what measures."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
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
def simulator(*flags: str, **options: int) -> Iterator[dict[str, Any]]:
    """A simulated pool; where it is and who may log in, as it says itself."""
    words = [*flags, *(word for name, value in options.items() for word in (f"--{name}", str(value)))]
    with running("orchestrator.simulator", *words) as process:
        assert process.stdout
        yield json.loads(process.stdout.readline())


def size_of(folder: Path) -> int:
    """The bytes of all files below; 0 where there is no folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
