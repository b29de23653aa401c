"""`make sbom`: lists what is shipped, the packages of the lock and the files that are vendored, as CycloneDX.

The second lie in no lock: their names, versions and hashes are in static/vendor/SHA384.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from base64 import b64decode
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
VENDORED = re.compile(r"(?P<name>.+?)-(?P<version>\d[\d.]*\d)\.min\.js")
CALLED_BY_NPM = {"htmx": "htmx.org"}


def main(target: Path) -> None:
    program = Path(sys.executable).with_name("cyclonedx-py")
    how = ["--pyproject", str(ROOT / "pyproject.toml"), "--output-reproducible", "-o", str(target)]
    subprocess.run([program, "requirements", str(ROOT / "requirements.lock"), *how], check=True)
    listed = json.loads(target.read_text())
    listed["components"] += vendored()
    listed["dependencies"] += [{"ref": one["bom-ref"]} for one in vendored()]
    target.write_text(json.dumps(listed, indent=2) + "\n")
    print(f"{target} lists {len(listed['components'])} parts that are shipped with wa-admin")


def vendored() -> list[dict[str, Any]]:
    lines = (ROOT / "static" / "vendor" / "SHA384").read_text().splitlines()
    return [_component(*line.split()) for line in lines]


def _component(recorded: str, file: str) -> dict[str, Any]:
    found = VENDORED.fullmatch(file)
    if found is None:
        raise SystemExit(f"static/vendor/{file} is not called <name>-<version>.min.js")
    purl = f"pkg:npm/{CALLED_BY_NPM.get(found['name'], found['name'])}@{found['version']}"
    content = b64decode(recorded.removeprefix("sha384-")).hex()
    return {
        "type": "library",
        "bom-ref": purl,
        "name": found["name"],
        "version": found["version"],
        "purl": purl,
        "hashes": [{"alg": "SHA-384", "content": content}],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
