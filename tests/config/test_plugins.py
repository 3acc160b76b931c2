"""Tables of plugins in the configuration, and on which line errors say that they are."""

from pathlib import Path

import pytest

from orchestrator.config import plugins
from orchestrator.config.errors import ConfigError
from orchestrator.config.plugins import PluginFiles
from orchestrator.plugged import Plugged
from state.store import Store
from tests.config.test_load import POOL, loaded

TABLES = '[products.nas]\nplugin = "nothing"\nrepository = "x"\n[hooks.freeze]\nplugin = "log"\n'


def test_a_table_is_its_plugin_s_to_check(tmp_path: Path) -> None:
    """The configuration wants to know which plugin; the rest is handed on as it was written."""
    settings = loaded(tmp_path, POOL + TABLES).settings
    product, hook = plugins.tables(settings.products, settings.hooks)
    assert (product.label, product.plugin, dict(product.written)) == ("products.nas", "nothing", {"repository": "x"})
    assert (hook.label, hook.plugin, dict(hook.written)) == ("hooks.freeze", "log", {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[products.nas]\n", "vfo.toml:4: products.nas.plugin: it is needed"),
        ('[products.nas]\nplugin = 5\n', "vfo.toml:5: products.nas.plugin = 5: Input should be a valid string"),
        ('[products."a/b"]\nplugin = "x"\n', "products.a/b"),
        ("[serve]\nlease = '1s'\njobs = 0\n", "vfo.toml:6: serve.jobs = 0: Input should be greater than or equal to 1"),
        ("[reclaim]\n\nlooks = 0\n", "vfo.toml:6: reclaim.looks = 0"),
        ('[[assign]]\ntag = "x"\nnetwork = "n"\npool = "gone"\n', "vfo.toml:4: assign, table 1: pool = 'gone'"),
        ('[sriov.a]\nnetwork = "n"\nports = { device = "e" }\npool = "gone"\n', "vfo.toml:7: sriov.a.pool = 'gone'"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_line(tmp_path: Path, text: str, says: str) -> None:
    """Nobody searches a long file for a setting."""
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, POOL + text)
    assert len(error.value.lines) == 1
    assert says in error.value.lines[0]


def test_a_secret_of_a_table_of_the_configuration_is_not_shown(tmp_path: Path) -> None:
    """Whatever is wrong about it."""
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, POOL + '[log]\npassphrase = "hunter3"\n')
    assert "hunter3" not in str(error.value)


def test_the_directories_of_plugins_are_beside_the_database_or_where_they_are_wanted(tmp_path: Path) -> None:
    """A configuration in /etc is not where a daemon writes."""
    config = tmp_path / "etc" / "vfo.toml"
    assert plugins.folder(PluginFiles(), config, f"sqlite:///{tmp_path}/var/vfo.db") == tmp_path / "var" / "vfo-plugins"
    assert plugins.folder(PluginFiles(), config, "postgresql+psycopg://host/db") == tmp_path / "etc" / "vfo-plugins"
    assert plugins.folder(PluginFiles(folder=Path("here")), config, "sqlite:////x/y") == tmp_path / "etc" / "here"


def test_a_plugin_that_fails_stops_nothing_and_is_told_with_its_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The daemon starts; its log says which table, on which line, and why."""
    config = loaded(tmp_path, POOL + TABLES)
    store = Store(config.database_url)
    plugged = Plugged(config, store, lambda: None)  # type: ignore[arg-type,return-value]
    plugged.close()
    store.close()
    assert f"{config.path}:4: products.nas: there is no plugin 'nothing'" in plugged.complaints[0]
    assert f"{config.path}:7: hooks.freeze: plugin 'log' has neither" in plugged.complaints[1]
    assert plugged.complaints[0] in caplog.text
