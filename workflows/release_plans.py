"""What the release of a prepared VM would do, said before anything is touched. Pure."""

from datetime import timedelta

from workflows import backup_plans, recovering_plans
from workflows.plan import Plan
from workflows.workflow import Data


def of_held(title: str, data: Data) -> Plan:
    """The plan of a run of release-backup, by its *data*, from the moment when it is released."""
    vifs = ", ".join(f"{vif['device']} ({vif['MAC']})" for vif in data["vifs"])
    kept = timedelta(seconds=data["retention"])
    back = [f"shut the VM down if it runs, put VIFs {vifs} back on their networks, and start it again"] if data["failed_over"] else []
    said = ("end the hold: the product is done", *back, *([f"keep the snapshot for {kept}"] if kept else []))
    moves = ("VIF.move",) * len(data["vifs"])
    guard, unguard = backup_plans.GUARD, backup_plans.OPEN
    calls = (*guard, "VM.clean_shutdown", *moves, *unguard, "VM.start_on", *backup_plans.ERASE) if data["failed_over"] else ()
    return Plan(title, (*said, "destroy the snapshot with its disks"), (*calls, *recovering_plans.REMOVE))
