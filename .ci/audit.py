"""`make audit`: asks OSV (osv.dev) what is known against the packages in the locks.

A finding fails. So does an audit that is no audit; only where OSV cannot be reached nothing is said against a
package, and this says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

OSV = "https://api.osv.dev/v1/query"
# what stands in the end of pip-audit's traceback, or of its error, when nobody answered
AWAY = ("ConnectionError", "ConnectTimeout", "ReadTimeout", "ServiceError", "ProxyError", "SSLError")


def main(url: str, *locks: str) -> int:
    return max(audit(lock, url) for lock in locks)


def audit(lock: str, url: str) -> int:
    """The exit code for one lock: 1 for a finding. Raises SystemExit when pip-audit fails in another way."""
    asked = [Path(sys.executable).with_name("pip-audit"), "-s", "osv", "--osv-url", url]
    how = ["--disable-pip", "--require-hashes", "--progress-spinner", "off", "--format", "json", "-r", lock]
    done = subprocess.run([*asked, *how], capture_output=True, text=True)
    if not done.stdout:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        if not any(word in done.stderr for word in AWAY):
            raise SystemExit(f"{lock}: pip-audit failed: {reason}")
        print(f"{lock}: NOT AUDITED, the advisory service cannot be reached ({url})")
        return 0
    packages = json.loads(done.stdout)["dependencies"]
    found = [(one, known) for one in packages for known in one.get("vulns", [])]
    for package, known in found:
        fixed = ", ".join(known["fix_versions"]) or "none yet"
        print(f"{lock}: {package['name']} {package['version']}: {known['id']}, fixed in: {fixed}")
    skipped = [one["name"] for one in packages if "skip_reason" in one]
    if skipped:
        print(f"{lock}: nothing could be said of {', '.join(skipped)}")
    print(f"{lock}: {len(packages) - len(skipped)} packages audited, {len(found)} findings")
    return 1 if found or len(skipped) == len(packages) else 0


if __name__ == "__main__":
    url, locks = (sys.argv[1], sys.argv[2:]) if "://" in sys.argv[1] else (OSV, sys.argv[1:])
    sys.exit(main(url, *locks))
