"""The plugins that there are, and what the configuration makes of them."""

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.actions.failures import NotSo, WrongInput
from orchestrator.config import plugins as config
from orchestrator.config.lines import Lines
from orchestrator.views import plugins as views
from orchestrator.views.plugins import Row
from plugins.manager import OBSERVERS, Table


@dataclass(frozen=True, slots=True)
class Listed:
    """Every plugin and instance.

    *complaints*: what is wrong with those that cannot be used, a line each; *written_wrong*: whether some of that stands in their tables.
    """

    rows: Sequence[Row]
    complaints: Sequence[str]
    written_wrong: bool

    def assert_usable(self) -> None:
        """WrongInput or NotSo with the complaints, where there are any."""
        if self.complaints:
            kind = WrongInput if self.written_wrong else NotSo
            raise kind("\n".join(self.complaints))


def listed(path: Path, tables: Iterable[Table], lines: Lines) -> Listed:
    """All that are shipped or installed, and those that these tables of the configuration at *path* make; loaded and made for it."""
    with tempfile.TemporaryDirectory(prefix="vfo-plugins-") as scratch:
        rows, made = views.look(tables, path.absolute().parent, Path(scratch))
    tabled = [one for one in made.failed if one.section != OBSERVERS]
    said = [line for one in tabled for line in config.complaints(one, path, lines)]
    said += [f"{row.name}: {row.why}" for row in rows if row.state == "failed" and not row.table]
    return Listed(rows, said, any(config.is_written_wrong(one) for one in tabled))
