from datetime import timedelta
from pathlib import Path

import pytest

from orchestrator.config.errors import ConfigError
from orchestrator.config.load import Loaded, load

POOL = '[pools.lab]\nurl = "https://xen1"\npassword = "hunter2"\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "vfo.toml"
    path.write_text(text)
    return path


def loaded(tmp_path: Path, text: str) -> Loaded:
    return load(written(tmp_path, text))


def test_a_pool_and_nothing_else_is_enough(tmp_path: Path) -> None:
    """Everything but the pools has a default; the database is beside the file."""
    config = loaded(tmp_path, POOL)
    assert config.pools["lab"].username == "root"
    assert config.settings.reclaim.grace == timedelta(seconds=30)
    assert config.database_url == f"sqlite:///{tmp_path}/vfo.sqlite3"


def test_a_password_file_is_read_without_its_line_end(tmp_path: Path) -> None:
    """Relative to the configuration file; editors end files with a newline that is no part of the password."""
    (tmp_path / "secret").write_text("hunter2\n")
    config = loaded(tmp_path, '[pools.lab]\nurl = "https://xen1"\npassword_file = "secret"\n')
    assert config.pools["lab"].password.get_secret_value() == "hunter2"


def test_fingerprints_are_read_in_any_writing(tmp_path: Path) -> None:
    """With colons or without, upper or lower case, one or several."""
    digest = "ab" * 32
    one = loaded(tmp_path, f'{POOL}fingerprint = "{":".join(["AB"] * 32)}"')
    several = loaded(tmp_path, f'{POOL}fingerprint = ["{digest}", "{digest.upper()}"]')
    assert one.pools["lab"].fingerprints == (digest,)
    assert several.pools["lab"].fingerprints == (digest, digest)


def test_the_environment_goes_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """VFO_DATABASE__URL and the like let a container set what the file does not know."""
    monkeypatch.setenv("VFO_DATABASE__URL", "sqlite:////var/lib/vfo/runs.sqlite3")
    assert loaded(tmp_path, POOL).database_url == "sqlite:////var/lib/vfo/runs.sqlite3"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "pools: there is none"),
        ("[pools.lab]\n", "pools.lab.url: it is needed"),
        (POOL + 'colour = "red"', "pools.lab.colour = 'red': there is no such setting"),
        (POOL + "[reclaims]\n", "reclaims: there is no such setting; there are pools, database, broker, reclaim, "),
        (POOL + "[windows.n]\nschedule='0 1 * * *'\nduration='1h'\nlimits={hosts=1}", "there are pool, host, sr, port"),
        (POOL + "[sriov.a]\nnetwork='n'\nports={port='e'}", "sriov.a.ports.port = 'e': there is no such setting; there are device, "),
        (POOL + "[[assign]]\ntag='a'\nnetwork='n'\ntags=1", "there is no such setting; there are tag, network, "),
        (POOL + '[reclaim]\ngrace = "soon"', "reclaim.grace = 'soon': write a duration such as"),
        (POOL + "calls_at_once = 0", "vfo.toml:4: pools.lab.calls_at_once = 0: Input should be greater than or equal to 1"),
        (POOL + "[reclaim]\nlooks = 0", "reclaim.looks = 0: Input should be greater than or equal to 1"),
        (POOL + '[serve]\nworkers = "many"', "serve.workers = 'many': Input should be a valid integer"),
        (POOL.replace("https://xen1", "xen1"), "pools.lab.url = 'xen1': write the coordinator's address"),
        (POOL.replace("https://xen1", "https://xen1:port"), "pools.lab.url"),
        (POOL.replace("https://xen1", "https://root:x@xen1"), "no user or password in the address"),
        (POOL + 'fingerprint = "abc"', "pools.lab.fingerprint = 'abc': write the SHA-256"),
        (POOL + 'ca_file = "ca.pem"', "pools.lab.ca_file = 'ca.pem': there is no such file"),
        (POOL + 'insecure = true\nca_file = "ca.pem"', "at most one of fingerprint, ca_file, insecure"),
        (POOL + 'password_file = "secret"', "exactly one of password, password_file, password_env"),
        ('[pools.lab]\nurl = "https://xen1"', "exactly one of password, password_file, password_env (given: none)"),
        ('[pools.lab]\nurl = "https://xen1"\npassword_file = "gone"', "pools.lab.password_file = 'gone': there is no such file"),
        ('[pools.lab]\nurl = "https://xen1"\npassword_env = "VFO_NO_SUCH"', "no such environment variable"),
        (POOL + '[database]\nurl = "mysql://x"', "database.url: write sqlite:///FILE"),
        ("pools = [", "it is not TOML"),
        (POOL + '[log]\nlevel = "loud"', "log.level = 'loud': Input should be 'debug', 'info', 'warning' or 'error'"),
    ],
)
def test_each_mistake_is_one_clear_line(tmp_path: Path, text: str, says: str) -> None:
    """The line names the file, the setting, its value and what to do."""
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, text)
    assert len(error.value.lines) == 1
    assert says in error.value.lines[0]
    assert str(tmp_path) in error.value.lines[0]


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Nobody should have to start five times to hear of five mistakes."""
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, POOL + "[serve]\nworkers = 0\n[reclaim]\nlooks = 0\n")
    assert len(error.value.lines) == 2


def test_a_file_that_is_not_there_says_how_to_make_it(tmp_path: Path) -> None:
    """`vfo init` is the way to a configuration."""
    with pytest.raises(ConfigError, match="vfo init"):
        load(tmp_path / "gone.toml")


@pytest.mark.parametrize("more", ["password_file = 5", "password = 7", 'password_env = ["x"]'])
def test_no_mistake_shows_a_password(tmp_path: Path, more: str) -> None:
    """What stands under a password's name is never repeated, nor is the password anywhere else."""
    text = f'[pools.lab]\nurl = "https://xen1"\n{more}\nx = 1' if more.startswith("password =") else f"{POOL}{more}"
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, text)
    assert "hunter2" not in str(error.value)
    assert " = 7" not in str(error.value)


def test_a_loaded_configuration_hides_its_passwords(tmp_path: Path) -> None:
    """repr, which ends in logs and traces, has no secret in it."""
    assert "hunter2" not in repr(loaded(tmp_path, POOL))
