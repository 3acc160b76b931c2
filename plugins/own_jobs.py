"""What every product says of its jobs whose jobs are its kit's."""

from plugins.hooks import hookimpl
from plugins.kit import Kit
from plugins.values import Progress


class OwnJobs:
    """The hooks about a job that `start_backup` began by `kit.jobs`."""

    def __init__(self, kit: Kit) -> None:
        self._kit = kit

    @hookimpl
    def poll_backup(self, job: str) -> Progress:
        """How the job stands."""
        return self._kit.jobs.look(job)

    @hookimpl
    def cancel_backup(self, job: str) -> bool:
        """End it; True once it has ended."""
        self._kit.jobs.cancel(job)
        return self._kit.jobs.look(job).state != "running"
