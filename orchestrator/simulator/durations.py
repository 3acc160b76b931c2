"""How long operations take on real hosts, in seconds; Call.work scales them by the server's speed."""

from typing import Final

START: Final = 5.0
CLEAN_SHUTDOWN: Final = 8.0
HARD_SHUTDOWN: Final = 1.0
REBOOT: Final = 12.0
SUSPEND: Final = 10.0
RESUME: Final = 8.0
MIGRATE: Final = 15.0
SNAPSHOT: Final = 2.0
CHECKPOINT: Final = 10.0
CLONE: Final = 2.0
COPY: Final = 20.0
REVERT: Final = 4.0
DESTROY: Final = 0.5
DISK: Final = 0.5
PLUG: Final = 1.0
VBD_GOES: Final = 4.0
# Bytes a second that export_raw_vdi and import_raw_vdi move, and how long a disk stays busy after them.
TRANSFER_RATE: Final = 100 * 1024 * 1024
DISK_BUSY: Final = 3.0
# How long after a snapshot is gone its chain is shorter: the driver's garbage collector starts when the SR has been quiet (sm, cleanup.py).
COALESCE: Final = 30.0

# A guest that never acknowledges is given up after 30 s, one that acknowledges and goes on after 20 minutes (xenopsd's timeouts).
GUEST_ACKNOWLEDGES: Final = 30.0
GUEST_SHUTS_DOWN: Final = 1200.0

ENABLE_VFS: Final = 4.0
REBUILD_INITRD: Final = 90.0

# host.reboot answers at once and acts later (recorded on a running xapi: about 10 s).
BEFORE_REBOOT: Final = 10.0
# How long high availability waits before it takes a silent host for dead.
HA_FENCES: Final = 60.0
HOST_BOOT: Final = 240.0
UNTIL_ENABLED: Final = 20.0
UNTIL_VFS: Final = 10.0
TOOLSTACK_RESTART: Final = 15.0
