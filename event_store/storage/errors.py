"""Why a store cannot be had, or cannot take more: each is named by what the caller can do."""


class SegmentDamaged(Exception):
    """A file of events is not what was written: what about it. The rest of the store serves without it."""


class StoreBusy(Exception):
    """Another process writes to this folder: stop it first, or give each a folder of its own."""


class StoreClosed(Exception):
    """This store was closed: nothing of what was appended is kept, and nothing is wrong with it."""


class StoreDamaged(Exception):
    """What the folder holds cannot be trusted as a whole: it needs a person, and nothing in it was changed."""


class StoreFull(Exception):
    """The disk does not take more, and nothing of this call was kept: try again when there is room."""


class StoreLocked(Exception):
    """What the folder holds is sealed, and not with the key that was given: nothing in it was changed."""


class StoreMissing(Exception):
    """There is no store in this folder, or none yet."""
