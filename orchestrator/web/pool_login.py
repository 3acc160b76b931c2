"""Signing in with the account of a pool: the pool says whether the password is right, and by its role how far somebody's word goes."""

from dataclasses import replace
from datetime import timedelta

from pydantic import SecretStr

from orchestrator.config.load import Loaded
from orchestrator.web.principal import Scope
from orchestrator.xapi import roles
from orchestrator.xapi.client import Client
from orchestrator.xapi.settings import PoolSettings
from workflows.ports import Denied, PoolError

PATIENCE = timedelta(seconds=5)  # somebody sits there and waits
# Whoever operates lets hosts reboot, turns SR-IOV off and fetches files of any backup: XenAPI allows the like from pool-operator on.
SCOPES = {
    "read-only": Scope.READ,
    "vm-operator": Scope.READ,
    "vm-admin": Scope.READ,
    "vm-power-admin": Scope.READ,
    "pool-operator": Scope.OPERATE,
    "pool-admin": Scope.ADMIN,
}
LONGEST = 500


class Silent(Exception):
    """A pool does not answer, so that it is not known who somebody is."""


def scope(loaded: Loaded, name: str, password: str) -> Scope | None:
    """What the account may do; None when a pool does not know it, or not by this password. Raises `Silent`.

    Every pool of the configuration is asked, and the least counts: what is done here may be done in each of them. The session that is made
    for it ends at once.
    """
    if not name or not password or max(len(name), len(password)) > LONGEST or "\0" in name + password:
        return None
    found = [_in(settings, name, password) for settings in loaded.pools.values()]
    if not found or None in found:
        return None
    return min((one for one in found if one is not None), key=list(Scope).index)


def _in(settings: PoolSettings, name: str, password: str) -> Scope | None:
    client = Client(replace(settings, username=name, password=SecretStr(password), patience=PATIENCE))
    try:
        role = roles.my_role(client)
    except Denied as error:
        if error.code.startswith("TLS_"):
            raise Silent(f"pool {settings.name}: {error}") from None
        return None
    except PoolError as error:
        raise Silent(f"pool {settings.name}: {error}") from None
    finally:
        client.close()
    return SCOPES.get(role or "")
