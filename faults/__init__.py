"""`make faults`: breaks things on purpose, with real processes, and counts what became of the messages.

The processes, the database server and the gateway that it uses are those of the tests.
"""

import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[1] / "tests"))
