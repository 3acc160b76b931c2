"""Every workflow there is, by name."""

from workflows.reclaim import RECLAIM
from workflows.workflow import Workflow

WORKFLOWS: dict[str, Workflow] = {workflow.name: workflow for workflow in (RECLAIM,)}
