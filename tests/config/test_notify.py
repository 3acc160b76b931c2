"""`[notify.NAME]`: channels, and what is wrong with them; their URLs are shown to nobody."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from orchestrator.config.errors import ConfigError
from orchestrator.config.load import Loaded, load
from orchestrator.notify.kinds import Kind

POOL = '[pools.lab]\nurl = "https://xen1"\npassword = "hunter2"\n'
CHAT = '[notify.chat]\nurl = "slack://t0ken/s3cret"\n'


def loaded(tmp_path: Path, text: str) -> Loaded:
    path = tmp_path / "vfo.toml"
    path.write_text(POOL + text)
    return load(path)


def test_a_url_may_stand_in_a_file_or_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that is printed of the configuration shows it."""
    (tmp_path / "chat.url").write_text("slack://t0ken/s3cret\n")
    monkeypatch.setenv("MAIL_URL", "mailto://ann:s3cret@example.org")
    config = loaded(
        tmp_path, '[notify.chat]\nurl_file = "chat.url"\n[notify.mail]\nurl_env = "MAIL_URL"\n[notify.x]\nurl = "json://s3cret"'
    )
    assert {name: url.get_secret_value() for name, url in config.channels.items()} == {
        "chat": "slack://t0ken/s3cret", "mail": "mailto://ann:s3cret@example.org", "x": "json://s3cret",
    }  # fmt: skip
    assert "s3cret" not in repr(config)


def test_what_is_told_unless_it_is_said_is_what_needs_somebody(tmp_path: Path) -> None:
    """A window that ended well does not; one word may stand for a list."""
    settings = loaded(tmp_path, f'{CHAT}[notify.mail]\nurl = "json://x"\nevents = "window-ended"\npools = "lab"').settings.notify
    assert set(settings["chat"].events) == set(Kind) - {Kind.WINDOW_ENDED}
    assert (settings["mail"].events, settings["mail"].pools) == ((Kind.WINDOW_ENDED,), ("lab",))


def test_a_digest_is_due_by_the_clock_of_its_zone(tmp_path: Path) -> None:
    """In summer and in winter."""
    written = loaded(tmp_path, f'{CHAT}digest = "7:30"\ntimezone = "Europe/Berlin"').settings.notify["chat"]
    mornings = written.mornings()
    assert mornings is not None
    assert mornings.opens(datetime(2026, 1, 1, tzinfo=UTC)) == datetime(2026, 1, 1, 6, 30, tzinfo=UTC)
    assert mornings.opens(datetime(2026, 7, 1, tzinfo=UTC)) == datetime(2026, 7, 1, 5, 30, tzinfo=UTC)
    assert loaded(tmp_path, CHAT).settings.notify["chat"].mornings() is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[notify.chat]\n", "notify.chat: give exactly one of url, url_file, url_env (given: none)"),
        (CHAT + 'url_env = "X"', "notify.chat: give exactly one of url, url_file, url_env (given: url, url_env)"),
        ('[notify.chat]\nurl_file = "gone"', "notify.chat.url_file = 'gone': there is no such file"),
        ('[notify.chat]\nurl_env = "VFO_NO_SUCH"', "notify.chat.url_env = 'VFO_NO_SUCH': there is no such environment variable"),
        ('[notify.chat]\nurl_env = "slack://t0ken/s3cret"', "notify.chat.url_env: there is no such environment variable"),
        ('[notify.chat]\nurl_file = "slack://t0ken/s3cret"', "notify.chat.url_file: there is no such file"),
        (CHAT + 'pools = ["attic"]', "notify.chat.pools = 'attic': there is no pool of that name"),
        (CHAT + 'digest = "25:00"', "notify.chat.digest = '25:00': write a time of day such as \"07:30\""),
        (CHAT + 'timezone = "Mars"', "notify.chat.timezone = 'Mars': write a time zone"),
        (CHAT + "report = true", 'notify.chat: report: the page goes with the digest: write digest = "07:30"'),
        (CHAT + 'events = ["all"]', "notify.chat.events.0: Input should be 'stuck-run'"),
        ('[notify.chat]\nurls = "slack://t0ken/s3cret"', "notify.chat.urls: there is no such setting; there are url, url_file"),
        ('[notify.chat]\nurl = ["slack://t0ken/s3cret"]', "notify.chat.url: Input should be a valid string"),
        ('[notify]\nurl = "slack://t0ken/s3cret"', "notify.url: Input should be a valid dictionary"),
        (
            CHAT + '[hooks.people]\nplugin = "apprise"\nurls = "json://x"',
            'hooks.people: backup_ended is told by [notify.chat] too: write which = ["host_changed", "vf_freed"], or leave out the table',
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_line_and_without_a_url(tmp_path: Path, text: str, says: str) -> None:
    """Whatever it was written as."""
    with pytest.raises(ConfigError) as told:
        loaded(tmp_path, text)
    assert says in str(told.value)
    assert "vfo.toml:" in str(told.value)
    assert "s3cret" not in str(told.value)


def test_an_observer_that_says_something_else_may_stand_beside_channels(tmp_path: Path) -> None:
    """What no channel tells of."""
    text = CHAT + '[hooks.people]\nplugin = "apprise"\nurls = "json://x"\nwhich = ["host_changed", "vf_freed"]'
    assert loaded(tmp_path, text).settings.hooks["people"].plugin == "apprise"
