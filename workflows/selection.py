"""Which VMs a policy means. Pure."""

from fnmatch import fnmatchcase

from workflows.objects import VM
from workflows.policies import Selection

FOLDER = "folder"
"""The key of other_config in which XenCenter keeps a VM's folder ("/production/web")."""


def selects(selection: Selection, pool: str, vm: VM) -> bool:
    """Whether the selection takes this VM of the pool. Snapshots, templates and control domains are never taken."""
    if vm.is_snapshot or vm.is_template or vm.is_control_domain or _excluded(selection, vm):
        return False
    return (
        (not selection.pools or pool in selection.pools)
        and (not selection.tags or bool(selection.tags & set(vm.tags)))
        and (not selection.names or _fits(selection.names, vm.name))
        and (not selection.power_state or vm.power_state in selection.power_state)
        and (not selection.folder or _is_in(selection.folder, vm.other_config.get(FOLDER, "")))
    )


def _excluded(selection: Selection, vm: VM) -> bool:
    return _fits(selection.exclude_names, vm.name) or bool(selection.exclude_tags & set(vm.tags))


def _fits(globs: tuple[str, ...], name: str) -> bool:
    return any(fnmatchcase(name.casefold(), glob.casefold()) for glob in globs)


def _is_in(folder: str, found: str) -> bool:
    wanted = "/" + folder.strip("/")
    return wanted in ("/", found) or found.startswith(wanted + "/")
