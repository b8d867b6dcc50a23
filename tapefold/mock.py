"""Whether the simulator that a recorder is pointed at is there: the first thing that goes wrong on one's own machine."""

import http.client
import ipaddress
import urllib.error
import urllib.request
from urllib.parse import urlsplit

import structlog

_TIMEOUT_S = 2.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy does not see this machine's ports
_BROKEN = 500


def look_for(url: str, command: str) -> None:
    """Say so in the log when `url` is on this machine and nobody serves there; the recorder goes on trying.

    command: what starts the simulator.
    """
    split = urlsplit(url)
    if not _is_here(split.hostname or ""):
        return
    health = f"{split.scheme}://{split.netloc}/health"
    try:
        with _DIRECT.open(health, timeout=_TIMEOUT_S):
            return
    except urllib.error.HTTPError as error:
        if error.code < _BROKEN:  # something serves, though not one of our simulators
            return
        said = f"HTTP {error.code}"
    except (OSError, ValueError, http.client.HTTPException) as error:  # the last: what serves there speaks no HTTP
        said = str(error)
    structlog.get_logger("mock").error(
        "Mock API not healthy", url=health, said=said, next=f"start `{command}` and check the port"
    )


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
