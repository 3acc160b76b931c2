"""How much tests take on: enough to find a fault with every change, or all of it where VFO_TEST_LONG=1 asks for that."""

import os

LONG = os.environ.get("VFO_TEST_LONG") == "1"


def of(everything: int, part: int) -> int:
    """So many."""
    return everything if LONG else part
