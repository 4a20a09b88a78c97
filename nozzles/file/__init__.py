"""Write each envelope as one line of JSON to a file that is rotated by size and age, and compressed when finished.

In:    batches.
Out:   PATH, which grows; finished ones beside it: PATH.0000000001, PATH.0000000002, … the higher the newer, with .zst
       when compressed. All are made with mode 0600, and hold whole lines only.
Drops: nothing; how many finished files are kept is a setting.

At least once: a batch whose write was cut short by a kill, or that was not known to be safe, is there again.
"""

from nozzles.file.config import Config
from nozzles.file.finished import FinishedFiles
from nozzles.file.rotating import RotatingFile
from nozzles.file.service import open_nozzle
from nozzles.sdk import NozzleKind

__all__ = ["Config", "FinishedFiles", "RotatingFile", "kind", "open_nozzle"]

kind = NozzleKind(Config, open_nozzle, "at-least-once")
