"""Changed-block tracking as the storage driver does it: a log for each tracked disk, linked from snapshot to snapshot."""

from typing import Self


class ChangeLog:
    """The blocks that were written after the previous snapshot was taken; `next` is the log of what was written after this one's."""

    def __init__(self, previous: Self | None = None) -> None:
        self.blocks = bytearray()
        self.previous = previous
        self.next: Self | None = None
        if previous is not None:
            previous.next = self

    def mark(self, number: int) -> None:
        """The block was written."""
        if number >= len(self.blocks):
            self.blocks.extend(bytes(number + 1 - len(self.blocks)))
        self.blocks[number] = 1

    def remove(self) -> None:
        """The disk is gone: its neighbours are linked, and the later one has what was in this log too."""
        if self.previous is not None:
            self.previous.next = self.next
        if self.next is not None:
            self.next.previous = self.previous
            for number in self.numbers():
                self.next.mark(number)
        self.previous = self.next = None

    def numbers(self) -> set[int]:
        """The marked blocks."""
        return {number for number, marked in enumerate(self.blocks) if marked}

    def until(self, later: "ChangeLog") -> set[int] | None:
        """The blocks that were written between this snapshot and the later one; None when there is no way from one to the other."""
        found: set[int] = set()
        log = self
        while log is not later:
            if log.next is None:
                return None
            log = log.next
            found |= log.numbers()
        return found
