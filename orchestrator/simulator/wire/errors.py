"""What may go wrong between bytes and calls."""


class Malformed(Exception):
    """The request cannot be read: HTTP 500 with HTML, not an answer of XenAPI."""


class Cut(Exception):
    """The connection is to be closed without an answer."""
