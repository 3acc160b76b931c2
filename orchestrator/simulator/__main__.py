"""`python -m orchestrator.simulator`: the simulator without the command line of the product."""

import argparse
import sys

from orchestrator.simulator import main, world


def parse(arguments: list[str]) -> main.Options:
    """The options of `vfo simulate`."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.simulator", description=main.__doc__)
    default = main.Options()
    for name in ("host", "user", "password"):
        parser.add_argument(f"--{name}", default=getattr(default, name))
    for name in ("port", "hosts", "ports", "vfs", "vms", "seed"):
        parser.add_argument(f"--{name}", type=int, default=getattr(default, name))
    parser.add_argument("--speed", type=float, default=default.speed)
    parser.add_argument("--driver", choices=world.DRIVERS, default=default.driver)
    parser.add_argument("--sriov", choices=("on", "off"), default="on")
    parser.add_argument("--tls", action="store_true")
    parser.add_argument("--control", action="store_true")
    given = vars(parser.parse_args(arguments))
    return main.Options(**{**given, "sriov": given["sriov"] == "on"})


if __name__ == "__main__":
    sys.exit(main.run(parse(sys.argv[1:])))
