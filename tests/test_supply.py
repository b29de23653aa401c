"""What others wrote and we ship: known by its hash, listed, and held against what is known of it."""

import json
import re
import subprocess
import sys
import threading
from base64 import b64encode
from hashlib import sha384
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from running_panel import free_port

ROOT = Path(__file__).parent.parent
LOCK = "click==8.5.1 --hash=sha256:" + "0" * 64 + "\nflask==3.1.3 --hash=sha256:" + "0" * 64 + "\n"
KNOWN = {
    "vulns": [
        {
            "id": "GHSA-xxxx",
            "affected": [
                {
                    "package": {"name": "flask", "ecosystem": "PyPI"},
                    "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "3.1.4"}]}],
                }
            ],
        }
    ]
}


@pytest.fixture
def osv():
    """An advisory service: its address, and what it knows of which package."""
    known = {}

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            content = json.dumps(known.get(asked["package"]["name"], {})).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query", known
    server.shutdown()
    server.server_close()


@pytest.fixture
def audit(tmp_path):
    lock = tmp_path / "a.lock"
    lock.write_text(LOCK)

    def run(url):
        command = [sys.executable, ROOT / ".ci" / "audit.py", url, str(lock)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)

    return run


def test_an_audit_without_findings_passes(osv, audit):
    done = audit(osv[0])
    assert done.returncode == 0 and "2 packages audited, 0 findings" in done.stdout


def test_a_finding_fails_and_says_what_to_take(osv, audit):
    osv[1]["flask"] = KNOWN
    done = audit(osv[0])
    assert done.returncode == 1 and "flask 3.1.3: GHSA-xxxx, fixed in: 3.1.4" in done.stdout


def test_an_audit_that_could_not_be_made_is_not_called_one(audit):
    done = audit(f"http://127.0.0.1:{free_port()}/v1/query")
    assert done.returncode == 0 and "NOT AUDITED" in done.stdout and "findings" not in done.stdout


def test_what_is_vendored_is_what_was_recorded():
    """`sha384-… name` a line, as a browser would want it in `integrity`."""
    vendored = ROOT / "static" / "vendor"
    recorded = dict(line.split()[::-1] for line in (vendored / "SHA384").read_text().splitlines())
    files = [path for path in vendored.iterdir() if path.name != "SHA384"]
    assert {
        path.name: f"sha384-{b64encode(sha384(path.read_bytes()).digest()).decode()}" for path in files
    } == recorded


def test_every_page_loads_what_is_vendored_and_nothing_else_of_others():
    scripts = re.findall(r"vendor/[\w./-]+", (ROOT / "templates" / "base.html").read_text())
    assert scripts and all((ROOT / "static" / name).is_file() for name in scripts)


def test_the_list_of_what_is_shipped_names_every_locked_package_and_what_is_vendored(tmp_path):
    target, lock = tmp_path / "sbom.cdx.json", ROOT / "requirements.lock"
    command = [sys.executable, "-W", "ignore", ROOT / ".ci" / "sbom.py", target]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    listed = {one["purl"] for one in json.loads(target.read_text())["components"]}
    pinned = re.findall(r"^([\w.-]+)==([^\s;]+)", lock.read_text(), re.MULTILINE)
    assert len(pinned) > 50 and {f"pkg:pypi/{name}@{version}" for name, version in pinned} <= listed
    vendored = [path.name for path in (ROOT / "static" / "vendor").glob("*.js")]
    assert len([one for one in listed if one.startswith("pkg:npm/")]) == len(vendored) > 0


def test_the_audit_asks_for_every_lock():
    asked = (ROOT / "Makefile").read_text()
    assert ".ci/audit.py requirements.lock requirements-dev.lock" in asked
    assert "make audit" in (ROOT / ".ci" / "audit").read_text()
