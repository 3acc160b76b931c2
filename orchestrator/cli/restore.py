"""`vfo backup list` and `restore`: what products have, and a VM made from it."""

from __future__ import annotations

from typing import Annotated

import typer

from orchestrator.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath, DryRun, PoolName, Wait

PointID = Annotated[str, typer.Argument(metavar="ID", help="A restore point, as `vfo backup list` has it; the beginning is enough.")]
Product = Annotated[str | None, typer.Option("--product", help="Only this product, by its name in the configuration.")]


def list_points(
    *,
    vm: Annotated[str | None, typer.Option("--vm", help="Only those of this VM, by uuid or name; it may be gone.")] = None,
    product: Product = None,
    pool: PoolName = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """List the restore points that the products have, oldest first, whatever the database knows."""
    from orchestrator.actions import products
    from orchestrator.cli import house, output
    from orchestrator.views import points as views

    loaded = house.configuration(config)
    with house.rows(loaded) as store, products.plugged(loaded, store) as made:
        names = products.chosen(loaded, product)
        seen = products.every(made, names)
    found = seen.found
    if pool is not None:
        found = [one for one in found if one[1].pool == pool]
    known = found
    if vm is not None:
        found = views.of_vm(found, vm)
    if as_json:
        output.json([views.as_json(*one) for one in found])
    elif found:
        headings = ["id", "VM", f"taken at ({output.zone()})", "product", "policy", "pool", "disks", "size"]
        output.table(headings, [views.row(*one, output.moment(one[1].taken_at)) for one in found])
    elif not seen.unseen and len(seen.silent) < len(names):
        output.console().print(views.nothing(known, vm), markup=False)
    if seen.silent:
        typer.echo(f"vfo: {products.of_silent(seen.silent)}", err=True)
    if seen.unseen:
        raise seen.error()


def restore(  # noqa: PLR0913 - one parameter is one option
    written: PointID,
    *,
    name: Annotated[str | None, typer.Option("--as", help="The new VM's name; without it the one it had.")] = None,
    sr: Annotated[str | None, typer.Option("--sr", help="The SR for its disks, by uuid or name; without it where they were.")] = None,
    network_map: Annotated[
        list[str] | None, typer.Option("--network-map", metavar="OLD=NEW", help="A network of the backup and the one to take, each.")
    ] = None,
    new_macs: Annotated[bool, typer.Option("--new-macs", help="Give its VIFs other MACs, as beside the VM that was saved.")] = False,
    starts: Annotated[bool, typer.Option("--start", help="Start it, and see that it holds its VFs.")] = False,
    product: Product = None,
    wait: Wait = False,
    dry_run: DryRun = False,
    pool: Annotated[str | None, typer.Option("--pool", help="The pool to restore into; without it the one it was in.")] = None,
    as_json: AsJson = False,
    config: ConfigPath = DEFAULT_CONFIG,
) -> None:
    """Get a VM back: record, disks, VIFs with their MACs and VFs. Never over a VM that is there."""
    from orchestrator.actions import products
    from orchestrator.actions import restore as action
    from orchestrator.cli import house, start

    action.assert_written({"as": name, "sr": sr})
    with house.desk(config, pool) as desk, products.plugged(desk.loaded, desk.store) as made:
        owned = products.named(made, products.chosen(desk.loaded, product), written)
        wanted = action.Wanted(pool, name, sr, [_pair(one) for one in network_map or ()], new_macs, starts)
        start.show_or_begin(desk, action.propose(desk, owned, wanted), dry_run=dry_run, wait=wait, as_json=as_json)


def _pair(written: str) -> tuple[str, str]:
    """A network of the backup, and the one to take for it."""
    from orchestrator.cli.failures import WrongInput

    old, equals, new = written.rpartition("=")
    if not (old and equals and new):
        raise WrongInput("write OLD=NEW, each a network's uuid or name", option="network-map", value=written)
    return old, new
