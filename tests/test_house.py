import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
HEAVY = (
    "sqlmodel",
    "sqlalchemy",
    "kombu",
    "XenAPI",
    "alembic",
    "cryptography",
    "fastapi",
    "tenacity",
    "prometheus_client",
    "uvicorn",
    "argon2",
    "jinja2",
    "apprise",
)
COMMANDS = (
    "",
    "demo",
    "init",
    "doctor",
    "serve",
    "vfs",
    "runs",
    "run",
    "reclaim",
    "assign",
    "audit",
    "release",
    "simulate",
    "workflow",
    "workflow show",
    "backup",
    "backup prepare",
    "backup release",
    "backup list",
    "backup restore",
    "backup files",
    "backup verify",
    "cluster status",
    "db",
    "db check",
    "db export",
    "db prune",
    "deploy",
    "deploy systemd",
    "notify",
    "notify test",
    "plugin",
    "plugin list",
    "plugin new",
    "plugin check",
    "window",
    "window plan",
    "policy",
    "policy run",
    "policy write",
    "recover",
    "report",
    "sriov",
    "sriov enable",
    "token",
    "token create",
    "user",
    "user add",
)


def all_tests() -> Iterator[tuple[Path, ast.FunctionDef]]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                yield path, node


def test_every_test_says_what_it_specifies() -> None:
    """Each test has a docstring: the specification that it holds the product to."""
    silent = [f"{path.relative_to(ROOT)}: {node.name}" for path, node in all_tests() if not ast.get_docstring(node)]
    assert not silent


def test_no_test_sleeps() -> None:
    """A test waits for something with a deadline; it never passes time."""
    sleepers = [path for path in (ROOT / "tests").rglob("test_*.py") if "time.sleep(" in path.read_text() and path != Path(__file__)]
    assert not sleepers


def test_every_module_is_in_the_contracts_of_the_third_parties() -> None:
    """A new module of the machine is named where import-linter says who may use XenAPI, kombu, tenacity and the simulator."""
    modules = {f"orchestrator.{path.stem}" for path in (ROOT / "orchestrator").iterdir() if not path.name.startswith("_")}
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    for contract in (one for one in contracts if " only in orchestrator." in one["name"]):
        owners = {word.strip(",") for word in contract["name"].split() if word.startswith("orchestrator.")}
        assert modules - set(contract["source_modules"]) - owners <= {"orchestrator.embedded"}, contract["name"]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_loads_nothing_heavy(command: str) -> None:
    """`--help` of every command imports no database, broker, XenAPI or web framework."""
    program = f"""
import sys
from orchestrator.cli.app import app
try:
    app({[*command.split(), "--help"]!r})
except SystemExit as end:
    assert not end.code, end.code
loaded = [name for name in {HEAVY!r} if name in sys.modules]
assert not loaded, loaded
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    assert "Usage: " in done.stdout
