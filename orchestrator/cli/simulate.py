"""`vfo simulate`: a pool to try things on."""

from enum import StrEnum
from typing import Annotated

import typer


class Driver(StrEnum):
    """How the simulated NICs' driver makes VFs."""

    sysfs = "sysfs"
    modprobe = "modprobe"
    manual = "manual"
    enable_fails = "enable-fails"


class Switch(StrEnum):
    """On or off."""

    on = "on"
    off = "off"


def simulate(  # noqa: PLR0913 - each is an option of the command
    *,
    host: Annotated[str, typer.Option(help="The address to listen on; in 127.0.0.0/8 each member gets the next one.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port; 0 takes a free one.")] = 0,
    tls: Annotated[bool, typer.Option("--tls", help="Serve HTTPS, with a certificate for each host.")] = False,
    hosts: Annotated[int, typer.Option(min=1, max=64)] = 3,
    ports: Annotated[int, typer.Option(min=1, max=16, help="SR-IOV capable ports on each host.")] = 2,
    vfs: Annotated[int, typer.Option(min=1, max=128, help="VFs of each port.")] = 8,
    vms: Annotated[int, typer.Option(min=0, max=20000)] = 12,
    disk_mib: Annotated[int, typer.Option(min=0, max=2 << 20, help="The size of each VM's disk, in MiB; 0: of 10 to 40 GiB.")] = 0,
    driver: Annotated[Driver, typer.Option(help="How the NICs' driver makes VFs.")] = Driver.sysfs,
    sriov: Annotated[Switch, typer.Option(help="on: the first port of every host is enabled and half of the VMs hold a VF.")] = Switch.on,
    speed: Annotated[float, typer.Option(min=0, help="0: operations are done at once; 1: they take as long as on real hosts.")] = 0,
    seed: Annotated[int, typer.Option(help="The same seed gives the same pool.")] = 1,
    user: Annotated[str, typer.Option()] = "root",
    password: Annotated[str, typer.Option(help="The first line of output has it too.")] = "simulated",  # noqa: S107 - a simulated pool guards nothing
    control: Annotated[bool, typer.Option("--control", help="Open the control port, on loopback, for faults and hidden state.")] = False,
) -> None:
    """Serve a simulated pool over real XenAPI until SIGTERM or SIGINT; the first line of output is JSON and says where."""
    from orchestrator.simulator import main

    options = main.Options(
        host=host,
        port=port,
        tls=tls,
        hosts=hosts,
        ports=ports,
        vfs=vfs,
        vms=vms,
        disk_mib=disk_mib,
        driver=driver.value,
        sriov=sriov is Switch.on,
        speed=speed,
        seed=seed,
        user=user,
        password=password,
        control=control,
    )
    raise typer.Exit(main.run(options))
