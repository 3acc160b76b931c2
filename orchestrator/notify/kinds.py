"""What people are told of: the words that `events` of a channel takes."""

from enum import StrEnum


class Kind(StrEnum):
    """A kind of news. What *lasts* is told once while it is so; the others happened at a moment."""

    STUCK_RUN = "stuck-run"
    APPROVAL = "approval"
    LEAKED_VFS = "leaked-vfs"
    VANISHED_VFS = "vanished-vfs"
    BACKUPS_MISSING = "backups-missing"
    WINDOW_ENDED = "window-ended"
    POOL_AWAY = "pool-away"
    DEAD_LETTERS = "dead-letters"
    NO_WORKER = "no-worker"


DEFAULT = tuple(kind for kind in Kind if kind is not Kind.WINDOW_ENDED)
"""What is told unless `events` says otherwise: what needs somebody. A window that ended well does not."""
LASTING = frozenset(Kind) - {Kind.BACKUPS_MISSING, Kind.WINDOW_ENDED}
DIGEST = "digest"
"""The summary of a day: of a channel's own, so none of its events."""
