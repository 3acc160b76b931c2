"""`[database]` and `[broker]`: their URLs, and where their passwords are."""

from pathlib import Path

import pytest

from orchestrator.config.errors import ConfigError
from orchestrator.config.load import Loaded, load

POOL = '[pools.lab]\nurl = "https://xen1"\npassword = "hunter2"\n'
DATABASE = '[database]\nurl = "postgresql+psycopg://vfo@db.example.org/vfo"\n'
BROKER = '[broker]\nurl = "amqp://vfo@mq.example.org/vfo"\n'


def loaded(tmp_path: Path, text: str) -> Loaded:
    path = tmp_path / "vfo.toml"
    path.write_text(POOL + text)
    return load(path)


@pytest.mark.parametrize("scheme", ["postgresql", "postgresql+psycopg"])
def test_a_url_of_another_machine_is_taken_as_it_is(tmp_path: Path, scheme: str) -> None:
    """With several hosts too, as PostgreSQL's own clients have it."""
    url = f"{scheme}://vfo:s3@/vfo?host=a:5432&host=b:5432&target_session_attrs=read-write"
    config = loaded(tmp_path, f'[database]\nurl = "{url}"\n[broker]\nurl = "amqps://u:p@mq/vfo"')
    assert (config.database_url, config.broker_url) == (url, "amqps://u:p@mq/vfo")


def test_a_password_may_stand_in_a_file_or_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever signs it has, it is the password of the URL's user."""
    (tmp_path / "db.password").write_text("p@ss/word:1\n")
    monkeypatch.setenv("MQ_PASSWORD", "a b")
    config = loaded(tmp_path, f'{DATABASE}password_file = "db.password"\n{BROKER}password_env = "MQ_PASSWORD"')
    assert config.database_url == "postgresql+psycopg://vfo:p%40ss%2Fword%3A1@db.example.org/vfo"
    assert config.broker_url == "amqp://vfo:a%20b@mq.example.org/vfo"
    assert "word" not in repr(config).replace("password", "")
    assert "a%20b" not in repr(config)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (DATABASE + 'password_file = "gone"', "database.password_file = 'gone': there is no such file"),
        (BROKER + 'password_env = "VFO_NO_SUCH"', "broker.password_env = 'VFO_NO_SUCH': there is no such environment variable"),
        (DATABASE + 'password_file = "a"\npassword_env = "b"', "database: the password is given twice: by password_file and password_env"),
        ('[broker]\nurl = "amqp://u:p@mq/"\npassword_env = "b"', "broker: the password is given twice: by the url and password_env"),
        ('[database]\nurl = "postgresql://db/vfo"\npassword_env = "b"', "database: password_env: the url names no user"),
        ('[database]\nurl = "postgresql+asyncpg://db/vfo"', "database.url: write sqlite:///FILE or postgresql+psycopg://"),
        ('[broker]\nurl = "amqp:///vfo"', "broker.url: write embedded:// or amqp://USER@HOST/VHOST"),
        ('[broker]\nurl = "amqp://mq:port/"', "broker: url: it is not a URL"),
        (BROKER + 'ca_file = "gone.pem"', "broker.ca_file = 'gone.pem': there is no such file"),
    ],
)
def test_each_mistake_is_one_clear_line(tmp_path: Path, text: str, says: str) -> None:
    """The line names the section and what to do."""
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, text)
    assert len(error.value.lines) == 1
    assert says in error.value.lines[0]


@pytest.mark.parametrize("text", ['[database]\nurl = ["postgresql://u:s3cret@db/x"]', '[broker]\nurls = "amqp://u:s3cret@mq/"'])
def test_no_mistake_shows_the_password_of_a_url(tmp_path: Path, text: str) -> None:
    """Wherever a URL was written by mistake."""
    with pytest.raises(ConfigError) as error:
        loaded(tmp_path, text)
    assert "s3cret" not in str(error.value)
