"""What a workflow would do to a thing, said before anything is touched."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """One run that would be started.

    *title*: what it is about ("prepare-backup of VM web-01"). *sentences*: what would be done, in order, with the numbers that decide it.
    *calls*: the XenAPI calls that would change something, in order ("VM.clean_shutdown"). *refusals*: why it would not be done at all,
    as the run itself would say; empty: it would be.
    """

    title: str
    sentences: tuple[str, ...]
    calls: tuple[str, ...] = ()
    refusals: tuple[str, ...] = ()
