"""Why a spool cannot be had, or cannot take more."""


class SpoolBusy(Exception):
    """Another process has this spool: stop it first, or give each a directory of its own."""


class SpoolUnwritable(Exception):
    """The disk does not take more, and nothing of this `put` was kept: try again later."""
