"""What all tests share."""

from tests.services import compiled

pytest_plugins = ["tests.services.fixtures"]
compiled.share()
