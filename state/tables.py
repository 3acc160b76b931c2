"""Every table in one place: importing this knows the whole schema, which migrations and their test compare."""

from state.audit import Audit
from state.backups import Backup, Pause
from state.capacity import Sample
from state.columns import Row
from state.history import History
from state.holds import Hold
from state.idempotency import Idempotency
from state.inventory import KnownVM
from state.jobs import JobRow
from state.leases import LeaseRow
from state.openings import Opening
from state.ports import LeakHold, PortRow
from state.promises import Promise
from state.run import Run
from state.sign_ins import SignIn
from state.tokens import Token
from state.told import Notice, Telling
from state.users import User
from state.woken import Woken
from state.written import WrittenRow

METADATA = Row.metadata
TABLES = (Run, History, LeaseRow, KnownVM, PortRow, LeakHold, Hold, Promise, Backup, Pause, JobRow, Opening, Woken,
          User, Token, SignIn, Audit, Idempotency, Notice, Telling, WrittenRow, Sample)  # fmt: skip
