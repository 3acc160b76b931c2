"""Transfers of values: jobs that say what they are told to say, and remember what they were to write.

stage.transfers.says = ["running", "lost", "done"]   # what a look gives, the last one for ever
"""

from dataclasses import dataclass, field
from uuid import UUID

from plugins.errors import RetryLater
from plugins.values import Progress, RestorePoint

SHA = "a" * 64


@dataclass
class FakeTransfers:
    """Satisfies `workflows.services.Transfers`. *begun*: every job that was begun, *written*: disks (VDI uuid) by number."""

    says: list[str] = field(default_factory=lambda: ["running", "done"])
    begun: list[str] = field(default_factory=list)
    at_work: set[str] = field(default_factory=set)
    over: set[str] = field(default_factory=set)
    written: dict[str, int] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    busy: int = 0

    def begin_restore(self, run_id: UUID, product: str, point: RestorePoint, number: int, vdi: str) -> str:
        """A job that writes the disk."""
        if self.busy:
            self.busy -= 1
            raise RetryLater("4 jobs are at work")
        return self._begin(f"restore.{vdi}:{run_id}", vdi, number)

    def begin_import(self, run_id: UUID, product: str, point: RestorePoint, SR: str, key: str) -> str:
        """None is played here."""
        raise NotImplementedError

    def import_job(self, run_id: UUID, key: str) -> str:
        """None is played here."""
        raise NotImplementedError

    def begin_check(self, run_id: UUID, product: str, point: RestorePoint) -> str:
        """A job that reads the point."""
        return self._begin(f"check.{product}:{run_id}", "", 0)

    def _begin(self, job: str, vdi: str, number: int) -> str:
        if job not in self.at_work and job not in self.over:
            self.begun.append(job)
            self.at_work.add(job)
        if vdi:
            self.written[vdi] = number
        return job

    def look(self, job: str) -> Progress:
        """As it was told."""
        if job in self.over:
            return Progress("done", 1.0, read=100, details={"sha256": SHA})
        if job not in self.at_work:
            return Progress("lost", message="nothing is known of it")
        said = self.says.pop(0) if len(self.says) > 1 else self.says[0]
        if said == "done":
            self.at_work.discard(job)
            self.over.add(job)
            return self.look(job)
        if said in ("lost", "failed"):
            self.at_work.discard(job)
            return Progress(said, message="the checksum differs" if said == "failed" else "")
        return Progress("running", fraction=0.5, read=50)

    def cancel(self, job: str) -> None:
        """It ends at once."""
        self.cancelled.append(job)
        self.at_work.discard(job)
