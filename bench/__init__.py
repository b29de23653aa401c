"""What wa-admin costs, as ratios against the plainest thing that does the same on the same machine.

`make bench` prints a table and one line of JSON. Ratios are of CPU time, measured in interleaved rounds, so
that a busy machine changes both sides alike; only they, and what is counted, can fail the run. Servers and
browsers are those of the tests.
"""

import sys
from pathlib import Path

sys.path.insert(1, str(Path(__file__).parents[1] / "tests"))
