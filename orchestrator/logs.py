"""What the daemon writes to standard error: everybody's records in one shape, text for people or JSON for programs."""

import logging
import sys

import structlog
from structlog.typing import Processor

SHARED: list[Processor] = [
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def set_up(level: str, shape: str) -> None:
    """Send all records of *level* and above to standard error, as "text" or "json"."""
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if shape == "json"
        # tracebacks as Python writes them: structlog's own choice, where rich is installed, shows every local variable, secrets included
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback)
    )
    after: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    after += [structlog.processors.format_exc_info] if shape == "json" else []
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=SHARED, processors=[*after, renderer]))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("alembic").setLevel(logging.WARNING)
