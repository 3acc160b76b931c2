"""Every workflow there is, by name."""

from workflows.assign import ASSIGN
from workflows.back_up import BACK_UP
from workflows.bring_back import BRING_BACK
from workflows.clean_up import CLEAN_UP
from workflows.disable import DISABLE
from workflows.enable import ENABLE
from workflows.keep_window import KEEP_WINDOW
from workflows.prepare import PREPARE
from workflows.put_right import PUT_RIGHT
from workflows.reclaim import RECLAIM
from workflows.release import RELEASE
from workflows.release_backup import RELEASE as RELEASE_BACKUP
from workflows.release_halted import RELEASE_HALTED
from workflows.restore import RESTORE
from workflows.verify_boot import VERIFY_BOOT
from workflows.workflow import Workflow

EVERY = (
    RECLAIM,
    ASSIGN,
    RELEASE,
    PREPARE,
    RELEASE_BACKUP,
    BACK_UP,
    KEEP_WINDOW,
    PUT_RIGHT,
    ENABLE,
    DISABLE,
    BRING_BACK,
    CLEAN_UP,
    RELEASE_HALTED,
    RESTORE,
    VERIFY_BOOT,
)

WORKFLOWS: dict[str, Workflow] = {workflow.name: workflow for workflow in EVERY}
