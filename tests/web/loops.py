"""Coroutines of tests."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def carry_out(work: Coroutine[Any, Any, None]) -> None:
    """Carry it out in a thread of its own: where a browser was started, the thread of the tests has a loop that runs already."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, work).result()
