import threading
import types
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr

from plugins import bounded, hooks, implementations, kinds, log, manager
from plugins.errors import PluginError
from plugins.kinds import Kind, Offer
from plugins.kit import Kit
from plugins.manager import Table
from plugins.settings import Settings
from plugins.values import RunEnded

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
RUN = UUID(int=1)
ENDED = RunEnded(RUN, "lab", "reclaim-vfs", "VM web-1", "done", "proven", NOON)
MODULE = "plugin_of_a_test"


def plugin(**functions: object) -> types.SimpleNamespace:
    return types.SimpleNamespace(**{name: hooks.hookimpl(function) for name, function in functions.items()})  # type: ignore[call-overload]


class Shelf:
    """A product that does nothing."""

    class Settings(Settings):
        """What it is told."""

        folder: str
        passphrase: SecretStr | None = None

    def __init__(self, settings: Any, kit: Kit) -> None:
        if settings.folder == "raise":
            raise RuntimeError("no folder")
        if settings.folder == "exit":
            raise SystemExit(3)
        self.settings, self.kit = settings, kit

    @hooks.hookimpl
    def start_backup(self, vm: object, snapshot: object, source: object) -> str:
        return "job"

    @hooks.hookimpl
    def poll_backup(self, job: str) -> None: ...

    @hooks.hookimpl
    def cancel_backup(self, job: str) -> bool:
        return True


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module that an installed package would bring; tests put a plugin in it as `it`."""
    made = types.ModuleType(MODULE)
    monkeypatch.setitem(__import__("sys").modules, MODULE, made)
    return made


def kit(section: str, name: str) -> Kit:
    return Kit(name, Path("/nonexistent"), jobs=None)  # type: ignore[arg-type]


def loaded(module: types.ModuleType, it: object, *tables: Table) -> manager.Plugins:
    module.it = it  # type: ignore[attr-defined]
    return manager.load(tables, Path("/etc/vfo"), kit, {"it": Offer("it", "their-package", "1.2", f"{MODULE}:it")})


def product(**written: object) -> Table:
    return Table("products", "nas", "it", written)


@pytest.mark.parametrize(("wrong", "right"), [("vf_fread", "vf_freed"), ("start_bakup", "start_backup"), ("before_vms", "before_vm")])
def test_a_misspelt_hook_is_named_with_the_one_that_was_meant(wrong: str, right: str) -> None:
    """A hook that does not exist would never be called, so the plugin is refused."""
    with pytest.raises(PluginError, match=f"no hook '{wrong}': did you mean '{right}'"):
        implementations.of(plugin(**{wrong: lambda: None}))


def test_a_hook_with_a_value_that_it_is_not_given_is_refused() -> None:
    """The value is named."""
    with pytest.raises(PluginError, match="virtual_machine"):
        implementations.of(plugin(before_vm=lambda virtual_machine: None))


def test_a_forgotten_mark_is_an_error() -> None:
    """A function with a hook's name and without @hookimpl would silently never be called."""

    class Forgetful:
        def before_vm(self, vm: object) -> None: ...

    with pytest.raises(PluginError, match="before_vm bears the name of a hook and not its mark"):
        implementations.of(Forgetful())


def test_a_wrapper_is_refused() -> None:
    """No plugin comes between another one and its caller."""

    class Wrapper:
        @hooks.hookimpl(wrapper=True)
        def before_vm(self, vm: object) -> Any:
            yield

    with pytest.raises(PluginError, match="before_vm: a wrapper"):
        implementations.of(Wrapper())


def test_a_hook_may_leave_values_out() -> None:
    """It is called with those that it asks for."""
    told: list[object] = []

    def after_vm(result: object) -> None:
        told.append(result)

    found = implementations.of(plugin(after_vm=after_vm, before_vm=lambda: told.append("called")))
    found["after_vm"]("vm", "result")
    found["before_vm"]("vm")
    assert told == ["result", "called"]


def test_an_installed_module_observes_without_a_table(module: types.ModuleType) -> None:
    """As does the log, which everybody has."""
    plugins = loaded(module, plugin(run_ended=lambda: None))
    assert {one.name for one in plugins.observers} == {"it"}
    assert {one.name for one in manager.load((), Path(), kit).observers} >= {"log"}


def test_a_class_is_made_for_each_table_with_its_settings_and_kit(module: types.ModuleType) -> None:
    """Two tables are two instances."""
    module.it = Shelf  # type: ignore[attr-defined]
    tables = [Table("products", name, "it", {"folder": name}) for name in ("a", "b")]
    plugins = loaded(module, Shelf, *tables)
    begin: Any = [plugins.product(name).hooks["start_backup"].function for name in ("a", "b")]
    made = [function.__self__ for function in begin]
    assert [(one.settings.folder, one.kit.name) for one in made] == [("a", "a"), ("b", "b")]


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"folder": "raise"}, "RuntimeError: no folder"),
        ({"folder": "exit"}, "it tried to end the process: SystemExit"),
        ({}, "folder: it is needed"),
        ({"folder": 5}, "folder = 5: Input should be a valid string"),
        (
            {"folder": "x", "colour": 1},
            "colour = 1: there is no such setting; there are folder, passphrase (or passphrase_file, passphrase_env)",
        ),
    ],
)
def test_an_instance_that_cannot_be_made_says_why(module: types.ModuleType, written: dict[str, object], says: str) -> None:
    """Whoever asks for it is told; the load goes on."""
    plugins = loaded(module, Shelf, product(**written))
    assert says in plugins.failed[0].problem
    with pytest.raises(PluginError, match=r"nas\] cannot be used"):
        plugins.product("nas")


def test_a_product_that_lacks_what_every_product_needs_is_refused(module: types.ModuleType) -> None:
    """It could not be asked how its job stands."""
    plugins = loaded(module, plugin(start_backup=lambda: "job"), product())
    assert "it lacks poll_backup, cancel_backup" in plugins.failed[0].problem


def test_an_observer_is_of_no_use_as_a_hook_table_when_it_is_told_already(module: types.ModuleType) -> None:
    """A module is told of everything without a table: with one it would be told twice."""
    plugins = loaded(module, plugin(run_ended=lambda: None), Table("hooks", "x", "it"))
    assert "neither an acting nor an observing hook" in plugins.failed[0].problem
    assert len(plugins.observers) == 1


def test_a_plugin_that_is_not_there_names_those_that_are() -> None:
    """The shipped ones and the installed ones."""
    plugins = manager.load([Table("products", "nas", "bork")], Path(), kit)
    assert "there is no plugin 'bork': there are borg," in plugins.failed[0].problem


@pytest.mark.parametrize(
    ("value", "says"),
    [("no_such_module_at_all:it", "there is no module 'no_such_module_at_all'"), ("plugins.log:nothing", "AttributeError")],
)
def test_an_entry_point_that_cannot_be_imported_is_a_problem_of_its_own(value: str, says: str) -> None:
    """The kind bears its reason."""
    assert says in kinds.load(Offer("x", "their-package", "1", value)).problem


def test_an_import_that_hangs_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The daemon starts all the same."""
    (tmp_path / "hangs_at_import.py").write_text("import threading\nhere = threading.Event()\nhere.wait()\n")
    monkeypatch.syspath_prepend(tmp_path)
    found = kinds.load(Offer("x", "their-package", "1", "hangs_at_import:it"), timedelta(seconds=0.2))
    assert "has not come to an end" in found.problem
    __import__("sys").modules["hangs_at_import"].here.set()


def test_two_packages_with_one_name_are_both_refused() -> None:
    """Nobody could say which of them would be used; the shipped ones keep their names."""
    points = [
        types.SimpleNamespace(name=name, value="a:b", dist=types.SimpleNamespace(name=dist, version="1"))
        for name, dist in (("twin", "one"), ("twin", "two"), ("borg", "three"))
    ]
    found = kinds.offers(points)  # type: ignore[arg-type]
    assert "one and two both offer 'twin'" in str(found["twin"])
    assert isinstance(found["borg"], Offer)
    assert "the name of a shipped plugin" in str(found["borg of three"])


def test_a_late_call_is_left_and_one_in_time_answers() -> None:
    """What it raises comes through."""
    held = threading.Event()
    assert bounded.call(lambda: 5, timedelta(seconds=5), "quick") == 5
    with pytest.raises(bounded.Late):
        bounded.call(held.wait, timedelta(seconds=0.05), "slow")
    held.set()
    with pytest.raises(KeyError):
        bounded.call(lambda: dict[str, str]()["x"], timedelta(seconds=5), "raises")


def test_a_kind_knows_whether_it_is_made_for_each_table() -> None:
    """A class is; a module is there as it stands."""
    offer = Offer("x", "", "", "")
    assert Kind(offer, Shelf).is_class
    assert not Kind(offer, log).is_class
