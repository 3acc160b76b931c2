"""Why following a pool may have to begin anew. None of these is a fault of ours: nothing was written, and the next load puts it right."""


class Interrupted(Exception):
    """Everything is to be loaded anew."""


class Doubt(Interrupted):
    """Two looks at the pool do not agree on what is gone."""


class Moved(Interrupted):
    """The session or the coordinator changed in the middle of a load: its halves may be of two minds."""


class Deposed(Interrupted):
    """Another listener holds the pool's lease: it writes, we do not."""
