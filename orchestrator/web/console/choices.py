"""What there is to choose from in the steps to a policy: VMs with their tags and folders, products, modes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from orchestrator.config.load import Loaded
from orchestrator.web.console.models import vms as lines
from orchestrator.web.console.models import wizard as model
from orchestrator.web.console.models.vms import Line
from orchestrator.web.console.models.wizard import Answers
from orchestrator.web.console.sights import Sights
from orchestrator.web.office import Office
from plugins.manager import PRODUCTS
from workflows import selection
from workflows.backup_modes import AUTO, FAILOVER, OFFLINE, ONLINE
from workflows.objects import VM
from workflows.policies import Selection

SHOWN = 30  # VMs that are named
TAGS = 60  # tags that are offered
PLUGINS = {
    "borg": "disks into a borg repository: incremental, deduplicated, compressed, encrypted",
    "restic": "disks into a restic repository: incremental, deduplicated, compressed, encrypted",
    "xva": "whole VMs as XVA files in a directory",
    "command": "a product with a command line of its own",
    "webhook": "a service that is told over HTTP",
}
ABILITIES = {
    "restore points are listed": {"list_backups"},
    "VMs come back": {"open_disk", "open_vm"},
    "backups are verified": {"verify_backup"},
    "old ones are forgotten": {"forget_backups"},
}
MODES = {
    AUTO: "the least that the product needs of each VM: the plan says which, and why",
    ONLINE: "a snapshot while it runs; the VM is down for nothing",
    OFFLINE: "shut down, snapshot without its VFs, started again with them",
    FAILOVER: "without its VFs while the product works, on an ordinary network: two short halts",
}


@dataclass(frozen=True, slots=True)
class Meant:
    """Whom a selection means now. *asks*: whether it asks for anything. *unseen*: pools that could not be looked at, and why."""

    asks: bool
    total: int
    running: int
    with_vfs: int
    shown: Sequence[Line]
    more: int
    unseen: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Known:
    """The tags and folders that VMs have now; *tags* with those that are chosen, each with how many VMs have it."""

    tags: Sequence[tuple[str, int]]
    folders: Sequence[str]


@dataclass(frozen=True, slots=True)
class Product:
    """A table [products.NAME]. *can*: what it does beside saving; *problem*: why it cannot be used now."""

    name: str
    plugin: str
    what: str
    can: Sequence[str]
    problem: str


def meant(sights: Sights, answers: Answers) -> Meant:
    """Whom the answers mean, as pools were seen a moment ago."""
    table = model.selection(answers)
    asks = bool(table.keys() - {"exclude"})
    wanted = _selection(answers)
    found, unseen = sights.vms()
    pairs = [(pool, vm) for pool, vms in found.items() for vm in vms if asks and selection.selects(wanted, pool, vm)]
    pairs.sort(key=lambda pair: (pair[1].name.lower(), pair[1].uuid))
    some = [lines.line(pool, vm) for pool, vm in pairs[:SHOWN]]
    running = sum(vm.power_state == "Running" for _, vm in pairs)
    with_vfs = sum(bool(vm.sriov_vifs) for _, vm in pairs)
    return Meant(asks, len(pairs), running, with_vfs, some, max(0, len(pairs) - SHOWN), unseen)


def _selection(answers: Answers) -> Selection:
    return Selection(
        tags=frozenset(answers.many("tags")),
        names=tuple(answers.many("names")),
        folder=answers.one("folder"),
        power_state=frozenset(answers.many("power_state")),
        pools=frozenset(answers.many("pools")),
        exclude_names=tuple(answers.many("exclude_names")),
        exclude_tags=frozenset(answers.many("exclude_tags")),
    )


def known(sights: Sights, answers: Answers) -> Known:
    """The most frequent tags, those that are chosen whatever else, by name."""
    every = [vm for vms in sights.vms()[0].values() for vm in vms if not (vm.is_snapshot or vm.is_template or vm.is_control_domain)]
    counts: dict[str, int] = dict.fromkeys(answers.many("tags"), 0)
    for tag in (tag for vm in every for tag in vm.tags):
        counts[tag] = counts.get(tag, 0) + 1
    often = sorted(counts, key=lambda tag: (tag not in answers.many("tags"), -counts[tag], tag))[:TAGS]
    return Known([(tag, counts[tag]) for tag in sorted(often, key=str.lower)], sorted(set(_folders(every))))


def _folders(vms: Sequence[VM]) -> Iterator[str]:
    for vm in vms:
        if folder := vm.other_config.get(selection.FOLDER, ""):
            yield folder


def products(office: Office) -> list[Product]:
    """Each product of the configuration, and what it is."""
    settings = office.loaded.settings.products
    if not settings:
        return []
    made = {one.name: one for one in office.shelf.plugged().plugins.instances if one.section == PRODUCTS}
    found = []
    for name, table in settings.items():
        hooks = set(made[name].hooks) if name in made else set()
        can = [said for said, some in ABILITIES.items() if some & hooks]
        found.append(Product(name, table.plugin, PLUGINS.get(table.plugin, ""), can, made[name].problem if name in made else ""))
    return found


def modes(loaded: Loaded) -> list[tuple[str, str, bool]]:
    """Each mode, what it is, and whether it can be had."""
    return [(name, what, name != FAILOVER or bool(loaded.settings.backup.fallback_network)) for name, what in MODES.items()]
