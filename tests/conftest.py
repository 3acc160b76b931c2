"""What all tests share."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.services import compiled

pytest_plugins = ["tests.services.fixtures"]
compiled.share()

# Hundreds of processes begin in a whole run, and each would compile everything that it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# Databases wait for the disk at each commit, which was most of the time: tests' files are in memory, where there is room for them.
MEMORY = Path("/dev/shm")
ROOM = 2 << 30
if MEMORY.is_dir() and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM:
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Journeys begin first: they wait more than they work, and what works goes on beside them."""
    items.sort(key=lambda item: Path("tests/journey") not in item.path.relative_to(item.config.rootpath).parents)
