"""Every table in one place: importing this knows the whole schema, which migrations and their test compare."""

from state.columns import Row
from state.history import History
from state.holds import Hold
from state.inventory import KnownVM
from state.leases import LeaseRow
from state.ports import LeakHold, PortRow
from state.promises import Promise
from state.run import Run

METADATA = Row.metadata
TABLES = (Run, History, LeaseRow, KnownVM, PortRow, LeakHold, Hold, Promise)
