"""Names and words that the runbooks fix: modules of the services, addresses, and what is said when something is missing."""

import json
import os
import socketserver
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import structlog

from tapefold import mock
from tapefold.settings import Settings, load_settings
from tapefold.supervisor import EXIT_REFUSED
from topics.errors import SettingsError

ROOT = Path(__file__).resolve().parents[2]
SHIMS = {
    "rest_service": ("run", "rest"),
    "ws_service": ("run", "ws"),
    "rag_service": ("run", "rag"),
    "portal_service": ("run", "portal"),
    "migrator": ("migrate",),
}


def python(*arguments, **environment):
    """Python in the repository's root, as the runbooks' units start it, with none of our variables but these."""
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "PYTHONPATH"}}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize("module", SHIMS)
def test_a_service_is_the_same_under_the_runbooks_name(module, tmp_path):
    """The same help but for the name it goes by, the same refusals and codes of exit; options are handed on."""
    ours, theirs = ("-m", "tapefold", *SHIMS[module]), ("-m", f"src.services.{module}")
    helped = [python(*arguments, "--help") for arguments in (ours, theirs)]
    assert [0, 0] == [done.returncode for done in helped]
    assert 1 == len({" ".join(done.stdout.partition("[OPTIONS]")[2].split()) for done in helped})
    for wrong in (("--state-dir", str(tmp_path)), ("--no-such-option",)):
        refused = [python(*arguments, *wrong, PIPELINE_ENV="AWS") for arguments in (ours, theirs)]
        assert refused[0].returncode in {2, EXIT_REFUSED}
        assert refused[0].returncode == refused[1].returncode
    assert "tapefold: S3_BUCKET is required" in python(*theirs, PIPELINE_ENV="AWS").stderr


def test_every_module_of_the_services_is_one_of_these():
    """None that nobody tries."""
    there = {path.stem for path in (ROOT / "src" / "services").glob("*.py")} - {"__init__"}
    assert set(SHIMS) == there


def test_the_upstreams_addresses_are_those_of_the_runbooks(monkeypatch):
    """Word for word, unless somebody sets others."""
    for name in ("KALSHI_REST_URL", "IEM_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    settings = Settings()
    assert "https://api.elections.kalshi.com/trade-api/v2" == settings.kalshi_rest_url
    assert "https://mesonet.agron.iastate.edu" == settings.iem_base_url


def test_a_bucket_is_required_of_aws_alone(monkeypatch):
    """By its exact words; and as nothing goes to S3, AWS is refused with a bucket, too."""
    monkeypatch.setenv("PIPELINE_ENV", "AWS")
    with pytest.raises(SettingsError) as without:
        load_settings()
    assert "S3_BUCKET is required when PIPELINE_ENV=AWS" == str(without.value)
    monkeypatch.setenv("S3_BUCKET", "b")
    with pytest.raises(SettingsError, match="PIPELINE_ENV: expected LOCAL, was AWS"):
        load_settings()
    monkeypatch.setenv("PIPELINE_ENV", "LOCAL")
    monkeypatch.delenv("S3_BUCKET")
    assert "LOCAL" == load_settings().pipeline_env
    monkeypatch.setenv("PIPELINE_ENV", "GCP")
    with pytest.raises(SettingsError, match="PIPELINE_ENV"):
        load_settings()


@pytest.mark.parametrize(
    ("library", "command", "said"),
    [
        ("ib_async", "'run', 'tws'", "ib_async is required for `run tws`"),
        ("chdb", "'run', 'store'", "chdb is required for the embedded store"),
    ],
)
def test_a_library_that_one_command_needs_is_named(library, command, said, tmp_path):
    """The others go on without it; this one says what is missing, and for what."""
    without = f"import sys; sys.modules[{library!r}] = None; from tapefold.cli import main; sys.argv = ['tapefold', %s]; main()"
    assert 0 == python("-c", without % "'--help'").returncode
    done = python("-c", without % command, TAPEFOLD_STATE_DIR=str(tmp_path))
    assert EXIT_REFUSED == done.returncode, done.stderr
    assert f"tapefold: {said}: install it" in done.stderr


def looked(url):
    """What is said of a url."""
    with structlog.testing.capture_logs() as lines:
        mock.look_for(url, "tapefold simulate kalshi")
    return [(line["log_level"], line["event"], line["url"], line["said"]) for line in lines]


@pytest.mark.parametrize("status", [200, 404, 503])
def test_a_simulator_that_serves_is_healthy(status):
    """Whatever serves there may be another's; one that answers with a failure is not healthy."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(status if self.path == "/health" else 500)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        root = f"http://localhost:{server.server_port}"
        said = looked(f"{root}/trade-api/v2")
        server.shutdown()
        thread.join()
    expected = [("error", "Mock API not healthy", f"{root}/health", "HTTP 503")] if status == 503 else []
    assert expected == said


def test_a_simulator_that_is_not_there_is_said_and_others_are_not_asked():
    """By the exact words; an upstream that is no simulator is left to its recorder."""
    ((level, event, url, said),) = looked("http://127.0.0.1:1/trade-api/v2")
    assert ("error", "Mock API not healthy", "http://127.0.0.1:1/health") == (level, event, url)
    assert "refused" in said
    assert [] == looked("https://upstream.invalid/trade-api/v2")


@pytest.mark.parametrize("service", ["rest", "iem"])
def test_a_recorder_says_first_that_its_simulator_is_not_there(service, tmp_path):
    """In its log, before it asks anything."""
    environment = {
        "KALSHI_SERIES": "KXHIGHNY", "IEM_STATIONS": "KNYC", "KALSHI_REST_URL": "http://127.0.0.1:1/x",
        "IEM_BASE_URL": "http://127.0.0.1:1",
    }  # fmt: skip
    done = python("-m", "tapefold", "run", service, "--state-dir", str(tmp_path), **environment)
    (line,) = [json.loads(line) for line in done.stderr.splitlines() if "Mock API not healthy" in line]
    assert (service, "http://127.0.0.1:1/health") == (line["service"], line["url"])


def test_what_speaks_no_http_is_not_healthy_and_ends_nothing(monkeypatch):
    """Some other program has the port; a proxy that is set is not asked, it does not see this machine's ports."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")

    class Greeter(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(b"220 mail.example\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greeter) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        ((level, event, _, said),) = looked(f"http://127.0.0.1:{server.server_address[1]}")
        server.shutdown()
    assert ("error", "Mock API not healthy", "220 mail.example") == (level, event, said.strip())
