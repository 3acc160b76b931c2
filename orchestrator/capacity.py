"""Keeps how many VFs a pool has, and what of them is taken, over time: a sample when that changed, and every hour."""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import astuple
from datetime import datetime

from orchestrator.bootstrap import PoolAccess
from orchestrator.reconcile import Accounts
from state import capacity
from state.capacity import Figures
from state.clock import of_machine
from state.store import Session, Store
from workflows.accounts import PortAccount
from workflows.outcome import wake_on_object
from workflows.ports import PoolError, PortLook

logger = logging.getLogger(__name__)

KINDS = ("vif", "network_sriov", "pif")
"""A change of one of these may be another number: a VIF is attached or not, a port comes or goes."""
LEAST, SHARE = 30.0, 20.0  # seconds to rest after a look at the least, and how many times as long as the look took
LOOK_UP = 2.0  # seconds
ANYWAY = 1800.0  # seconds after which it looks where nobody else has


class Capacity:
    """One pool's, in the process that listens to it (*is_ours*). It looks after changes, seldom; and takes what others have counted.

    *told*: of what was counted here. *least*: seconds between two looks.
    """

    def __init__(
        self,
        access: PoolAccess,
        store: Store,
        is_ours: Callable[[], bool],
        told: Callable[[str, Accounts], None],
        clock: Callable[[], datetime] = of_machine,
        least: float = LEAST,
    ) -> None:
        self._access = access
        self._store = store
        self._is_ours = is_ours
        self._told = told
        self._clock = clock
        self._least = least
        self._prefixes = tuple(wake_on_object(access.name, kind, "") for kind in KINDS)
        self._changed = threading.Event()
        self._accounts: Accounts | None = None
        self._last: dict[str, tuple[datetime, Figures]] | None = None

    def heard(self, keys: Iterable[str]) -> None:
        """Something changed in a pool, as the listener names it: look soon, when that may be other numbers."""
        if not self._changed.is_set() and any(key.startswith(self._prefixes) for key in keys):
            self._changed.set()

    def counted(self, accounts: Accounts) -> None:
        """Somebody has just looked at all ports: that is written down soon. From any thread."""
        self._accounts = accounts

    def run(self, stop: threading.Event) -> None:
        """Write down what changes until *stop* is set."""
        rested, anyway = 0.0, 0.0
        while not stop.wait(min(LOOK_UP, self._least)):
            if not self._is_ours():
                self._last, anyway = None, time.monotonic() + ANYWAY
                continue
            if self._accounts is not None:
                anyway = time.monotonic() + ANYWAY
            elif (self._changed.is_set() and time.monotonic() >= rested) or time.monotonic() >= anyway:
                began = time.monotonic()
                self._look()
                rested, anyway = time.monotonic() + max(self._least, SHARE * (time.monotonic() - began)), began + ANYWAY
            self._write()

    def _look(self) -> None:
        self._changed.clear()
        try:
            accounts = [(look, self._access.ledger.account(look)) for look in self._access.port.look_at_ports()]
        except PoolError as error:
            logger.debug("pool %s: its VFs could not be counted: %s", self._access.name, error)
        except Exception:  # the database may be away for a moment
            logger.exception("pool %s: its VFs could not be counted", self._access.name)
        else:
            self._told(self._access.name, accounts)
            self._accounts = accounts

    def _write(self) -> None:
        accounts, self._accounts = self._accounts, None
        if accounts is None or not self._is_ours():
            return
        try:
            self._last = self._store.do(lambda session: self.note(session, accounts))
        except Exception:  # the database may be away for a moment: the next count is another one
            self._last = None
            logger.exception("pool %s: how many VFs it has could not be written down", self._access.name)

    def note(self, session: Session, accounts: Accounts) -> dict[str, tuple[datetime, Figures]]:
        """Write a sample of what is other than in the last one, or of another hour; the last ones after that."""
        now, known = self._clock(), self._last if self._last is not None else capacity.latest(session, self._access.name)
        found = of_networks(accounts)
        found |= {network: Figures(last.name) for network, (_, last) in known.items() if last.ports and network not in found}
        begins = {network for network in found if network not in known or _hour(known[network][0]) != _hour(now)}
        gone = {network for network, one in found.items() if not one.ports}
        wanted = {network: one for network, one in found.items() if network in begins or known[network][1] != one}
        capacity.add(session, self._access.name, wanted, now=now, hourly=begins | gone)
        return {**known, **{network: (now, one) for network, one in wanted.items()}}


def of_networks(accounts: Accounts) -> dict[str, Figures]:
    """The numbers of the ports of each network (by uuid) together."""
    found: dict[str, Figures] = {}
    for look, account in accounts:
        one, other = _of_port(look, account), found.get(look.network, Figures(look.network_name))
        sums = [mine + theirs for mine, theirs in zip(astuple(one)[1:], astuple(other)[1:], strict=True)]
        found[look.network] = Figures(other.name or one.name, *sums)
    return found


def _of_port(look: PortLook, account: PortAccount) -> Figures:
    """The numbers of one port. A VF that is reserved for a VM that starts is in use; of a port that is not attached none can be used."""
    used = len(look.users) + len(look.starting)
    total = account.total or look.remaining + used
    rest = max(0, total - used - account.leaked)
    free, broken = (look.remaining, 0) if look.attached else (0, rest)
    return Figures(look.network_name, 1, total, used, free, min(account.promised, free), account.leaked, broken)


def _hour(at: datetime) -> datetime:
    return at.replace(minute=0, second=0, microsecond=0)
