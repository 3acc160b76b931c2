"""The page on vendors: its tables are read as a configuration, its scripts are run beside stand-ins for the vendors' programs."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from orchestrator.config import plugins as config_plugins
from orchestrator.config.load import load
from plugins import hooks, manager
from plugins.kit import Kit
from plugins.testing import MemoryJobs

PAGE = (Path(hooks.__file__).parent / "README.md").read_text().partition("\n## Vendors\n")[2].partition("\n## ")[0]
SCRIPTS = {Path(name).name: text for text, name in re.findall(r"```sh\n(#!/bin/sh\n# (\S+?):? .*?)```", PAGE, re.DOTALL)}
TABLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
POOL = '[pools.lab]\nurl = "https://xen1"\npassword = "x"\n'
BCONSOLE = """#!/bin/sh
read -r order; echo "$order" >>orders
case $order in
    "run job=web-01 yes") echo "Job queued. JobId=42" ;;
    "run "*) echo "Job resource not found" ;;
    "llist jobid=42") echo "      jobid: 42"; echo "  jobstatus: $(head -n 1 states)"; sed -i 1d states ;;
esac
"""


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """A folder with the scripts of the page and stand-ins for the programs that they call."""
    stand_ins = {"bconsole": BCONSOLE, "vfo": '#!/bin/sh\necho "$@"\n', "xo-cli": '#!/bin/sh\necho "$@" >orders\nexit "${XO_ENDS:-0}"\n'}
    for name, text in {**SCRIPTS, **stand_ins}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def run(here: Path, *words: str, **environment: str) -> tuple[int, str]:
    """The exit code and the last line of a script."""
    told = {"PATH": f"{here}:{os.environ['PATH']}", "VFO_RUN_ID": "r-1", "VFO_VM_NAME": "web-01", "VFO_VM": "uuid-1", **environment}
    pauses = {"BAREOS_PAUSE": "0", "XO_PAUSE": "0.1"}
    done = subprocess.run(
        [str(here / words[0]), *words[1:]], cwd=here, env={**pauses, **told}, capture_output=True, text=True, timeout=30, check=False
    )
    return done.returncode, (done.stdout.strip().splitlines() or [""])[-1]


def test_every_table_is_a_configuration(tmp_path: Path) -> None:
    """And every product in it is one."""
    assert len(TABLES) == 3
    for number, text in enumerate(TABLES):
        path = tmp_path / f"{number}.toml"
        path.write_text(POOL + text)
        settings = load(path).settings
        made = manager.load(
            config_plugins.tables(settings.products, settings.hooks), tmp_path, lambda _, name: Kit(name, tmp_path, MemoryJobs())
        )
        assert [one.problem for one in made.failed] == []


def test_a_product_calls_us_before_and_after(here: Path) -> None:
    """With its VMs, in the mode that holds no VF."""
    assert run(here, "vfo-before", "web-01", "db 1") == (
        0, "backup prepare --config /etc/vfo/vfo.toml --mode failover --hold 8h --wait web-01 db 1",
    )  # fmt: skip
    assert run(here, "vfo-after", "web-01", VFO_CONFIG="x.toml") == (0, "backup release --config x.toml web-01")


@pytest.mark.parametrize(
    ("states", "ends"),
    [
        ("C\nR\nT\n", (0, "vfo progress 1 point=42")),
        ("R\nf\n", (1, "job 42 ended with status f")),
        ("R\n", (75, "the director does not say how job 42 is")),
    ],
)
def test_a_bareos_job_ends_as_it_ends(here: Path, states: str, ends: tuple[int, str]) -> None:
    """Well, badly, or to be asked again: then the job that was begun is gone on with, and none is begun beside it."""
    (here / "states").write_text(states)
    assert run(here, "bareos-job") == ends
    assert (here / "r-1.jobid").exists() == (ends[0] == 75)
    if ends[0] == 75:
        (here / "states").write_text("T\n")
        assert run(here, "bareos-job")[0] == 0
    assert (here / "orders").read_text().count("run job=web-01 yes") == 1


def test_a_bareos_job_that_there_is_not_fails(here: Path) -> None:
    """Nothing is waited for."""
    assert run(here, "bareos-job", VFO_VM_NAME="db-01") == (1, "no job was queued for db-01")


def test_a_bareos_job_is_cancelled_once_it_was_begun(here: Path) -> None:
    """By the id that was noted; without one there is nothing to end."""
    assert run(here, "bareos-cancel")[0] == 0
    assert not (here / "orders").exists()
    (here / "r-1.jobid").write_text("42\n")
    assert run(here, "bareos-cancel")[0] == 0
    assert (here / "orders").read_text() == "cancel jobid=42 yes\n"
    assert not (here / "r-1.jobid").exists()


def test_a_job_of_xen_orchestra_is_run_for_one_vm(here: Path) -> None:
    """And ends as `xo-cli` does."""
    ids = {"XO_JOB": "j-1", "XO_SCHEDULE": "s-1"}
    assert run(here, "xo-job", **ids)[0] == 0
    assert (here / "orders").read_text() == "backupNg.runJob id=j-1 schedule=s-1 vm=uuid-1\n"
    assert run(here, "xo-job", XO_ENDS="3", **ids)[0] == 3
