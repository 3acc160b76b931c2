"""What the console has for its whole life."""

from orchestrator.web.console.liveness import Liveness
from orchestrator.web.console.pages import Pages
from orchestrator.web.console.sights import Sights
from orchestrator.web.office import Office
from state import users


class Counter:
    """*cookie*: the name of the browser's; with TLS one that no other site of the same domain can set."""

    def __init__(self, office: Office) -> None:
        settings = office.loaded.settings.console
        self.office = office
        self.secure = settings.certificate is not None or (settings.url or "").startswith("https:")
        self.cookie = "__Host-vfo" if self.secure else "vfo"
        self.pages = Pages()
        self.sights = Sights(office.pools)
        self.liveness = Liveness(
            office,
            self.sights,
            lambda port: self.pages.draw("_port.html", port=port, found=frozenset(), oob=True),
            lambda place, said: self.pages.draw("_sum.html", place=place, said=said, oob=True),
        )
        office.at_the_end(self.close)

    def close(self) -> None:
        """End what watches."""
        self.liveness.close()

    def has_users(self) -> bool:
        """Whether there is anybody who could sign in; with the pools' own users there always is."""
        if self.office.loaded.settings.console.login == "pool":
            return True
        with self.office.store.read() as session:
            return bool(users.listed(session))
