"""The one error of XenAPI, and the one that ends a call whose server went away."""


class Failure(Exception):
    """What a call is answered with when it fails: `Failure("HANDLE_INVALID", "VM", ref)`; `details` is [code, *params], all strings."""

    def __init__(self, code: str, *params: object) -> None:
        self.details = [code, *map(str, params)]
        super().__init__(*self.details)


class Interrupted(Exception):
    """The toolstack stops or restarts: the call ends where it is, and nobody is answered."""


def internal(text: str) -> Failure:
    """INTERNAL_ERROR as OCaml prints an exception `Failure` with this text."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return Failure("INTERNAL_ERROR", f'Failure("{quoted}")')


def field_not_found(name: str) -> Failure:
    """A create record lacks a field (server_helpers.ml)."""
    return Failure("INTERNAL_ERROR", f'Server_helpers.Dispatcher_FieldNotFound("{name}")')


def handle_invalid(cls: str, ref: str) -> Failure:
    """The object is gone, or never was, or is of another class."""
    return Failure("HANDLE_INVALID", cls, ref)
