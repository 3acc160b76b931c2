"""Where somebody acts: the rows, and who it is, as it is written down."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from state.clock import of_machine
from state.store import Store


@dataclass(frozen=True, slots=True)
class Place:
    """*by*: who acts. *how*: by what ("cli", "api", "console", "rule")."""

    store: Store
    by: str
    how: str = "cli"
    clock: Callable[[], datetime] = of_machine
