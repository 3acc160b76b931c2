"""A plugin's own settings: secrets in three ways, and mistakes that name the key and never a secret."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, model_validator

from plugins import settings
from plugins.settings import BesideConfig, Settings, WrongSettings


class Store(Settings):
    """As a product might have them."""

    repository: str
    passphrase: SecretStr
    token: SecretStr | None = None
    folder: BesideConfig = Path("here")
    jobs: int = 1


GOOD: dict[str, Any] = {"repository": "/srv/repo", "passphrase": "hunter2"}


def mistakes(folder: Path, **written: Any) -> list[str]:
    with pytest.raises(WrongSettings) as error:
        settings.read(Store, written, folder)
    assert "hunter2" not in str(error.value)
    return [str(mistake) for mistake in error.value.mistakes]


def test_a_secret_may_be_written_in_a_file_or_in_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The model gets it under its own name in any case; the file is beside the configuration, its line end is no part of it."""
    (tmp_path / "secret").write_text("hunter2\n")
    monkeypatch.setenv("REPO_PASS", "hunter2")
    for way in ({"passphrase": "hunter2"}, {"passphrase_file": "secret"}, {"passphrase_env": "REPO_PASS"}):
        found = settings.read(Store, {"repository": "/srv/repo", **way}, tmp_path)
        assert found.passphrase.get_secret_value() == "hunter2"
        assert "hunter2" not in repr(found)


def test_an_optional_secret_may_be_left_out(tmp_path: Path) -> None:
    """Or given in any of the ways."""
    (tmp_path / "token").write_text("t")
    assert settings.read(Store, GOOD, tmp_path).token is None
    given = settings.read(Store, {**GOOD, "token_file": "token"}, tmp_path).token
    assert given is not None
    assert given.get_secret_value() == "t"


def test_paths_are_beside_the_configuration(tmp_path: Path) -> None:
    """Unless they are absolute."""
    assert settings.read(Store, {**GOOD, "folder": "a/b"}, tmp_path).folder == tmp_path / "a/b"
    assert settings.read(Store, {**GOOD, "folder": "/a/b"}, tmp_path).folder == Path("/a/b")


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"repository": "x"}, "passphrase: it is needed: give one of passphrase, passphrase_file, passphrase_env"),
        ({**GOOD, "passphrase_env": "X"}, "passphrase: give at most one of passphrase, passphrase_file, passphrase_env"),
        ({"repository": "x", "passphrase_file": "gone"}, "passphrase_file = 'gone': there is no such file"),
        ({"repository": "x", "passphrase_env": "NO_SUCH_VFO"}, "passphrase_env = 'NO_SUCH_VFO': there is no such environment variable"),
        ({"repository": "x", "passphrase_file": 5}, "passphrase_file = 5: write the path of a file"),
        ({**GOOD, "passphrase": ["hunter2"]}, "passphrase: Input should be a valid string"),
        ({**GOOD, "repository": 5}, "repository = 5: Input should be a valid string"),
        ({**GOOD, "jobs": "many"}, "jobs = 'many': Input should be a valid integer"),
        ({**GOOD, "colour": "red"}, "colour = 'red': there is no such setting; there are repository, passphrase (or passphrase_file,"),
        ({**GOOD, "pass_phrase": "hunter2"}, "pass_phrase: there is no such setting"),
        ({**GOOD, "url": "https://ann:hunter2@host/"}, "url = 'https://ann:***@host/': there is no such setting"),
    ],
)
def test_each_mistake_names_its_key_and_what_to_do(tmp_path: Path, written: dict[str, Any], says: str) -> None:
    """One mistake is one line; what may be a secret is not in it."""
    (told,) = mistakes(tmp_path, **written)
    assert told.startswith(says)


class Encrypted(Store):
    """A model that looks at its secret, as borg's does."""

    @model_validator(mode="after")
    def _can_be_read(self) -> "Encrypted":
        if not self.passphrase.get_secret_value():
            raise ValueError("a passphrase is needed")
        return self


@pytest.mark.parametrize(
    ("written", "says"),
    [
        ({"passphrase_file": "gone"}, "passphrase_file = 'gone': there is no such file"),
        (
            {"passphrase_env": "NO_SUCH_VFO", "passphrase_file": "gone"},
            "passphrase: give at most one of passphrase, passphrase_file, passphr",
        ),
        ({"passphrase_env": "NO_SUCH_VFO", "passphrase": "a"}, "passphrase: give at most one of passphrase, passphrase_file, passphr"),
    ],
)
def test_a_secret_that_cannot_be_read_is_one_mistake(tmp_path: Path, written: dict[str, Any], says: str) -> None:
    """It was given: nothing else is said of it, neither by the model nor of the key that it was given by."""
    with pytest.raises(WrongSettings) as error:
        settings.read(Encrypted, {"repository": "x", **written}, tmp_path)
    (told,) = map(str, error.value.mistakes)
    assert told.startswith(says)


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    """Those of secrets and those of the rest."""
    assert len(mistakes(tmp_path, passphrase_file="gone", jobs="many")) == 3
