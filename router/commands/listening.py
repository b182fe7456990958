"""Whether a server can listen where it is told to, and who is in its way."""

import errno
import os
import socket
from pathlib import Path

from router.providers.proxies import open_directly
from router.server import base_url
from router.settings import WrongSetting

ASK_TIMEOUT_S = 1.0
LISTENS = "0A"  # in the tables of the kernel


def require_free(host: str, port: int) -> None:
    """Raise WrongSetting that says what to do where nobody can listen at an address: it is taken, or not ours."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        raise WrongSetting(f"server.host: no address goes by the name {host}") from None
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as tried:
                tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                tried.bind(address)
        except OSError as error:
            if error.errno != errno.EAFNOSUPPORT:
                raise WrongSetting(_describe(error, host, port)) from None


def _describe(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            elsewhere = f"stop it, or choose another port: --port {port + 1 if port < 65_535 else 0}, or server.port"
            return f"port {port} on {host} is taken by {_holder(host, port)}; {elsewhere}"
        case errno.EACCES:
            return f"server.port: port {port} needs more rights than this user has; choose one above 1023"
        case errno.EADDRNOTAVAIL:
            return f"server.host: {host} is no address of this machine; 127.0.0.1 is for it alone, 0.0.0.0 for all"
    return f"server.host: nobody can listen at {host}, port {port}: {error.strerror}"


def _holder(host: str, port: int) -> str:
    """Say who listens at a port of this machine, as far as the system tells this user."""
    process = _process_at(port)
    who = f" (process {process[0]}, {process[1]})" if process else ""
    url = base_url(host, port)
    try:
        with open_directly(f"{url}/health/live", ASK_TIMEOUT_S) as reply:
            is_ours = reply.read(100) == b'{"status":"alive"}'
    except (OSError, ValueError):
        is_ours = False
    return f"a Tierwise that serves at {url}{who}" if is_ours else f"another program{who}"


def _process_at(port: int) -> tuple[int, str] | None:
    """Return id and name of the process that listens at a port; None where Linux does not tell."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    for directory in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(file) in sockets for file in (directory / "fd").iterdir()):
                return int(directory.name), (directory / "comm").read_text().strip()
        except OSError:  # it is gone, or another user's
            continue
    return None


def _listening_inodes(port: int) -> list[str]:
    found = []
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:  # another system
            continue
        for _, local, _, state, *rest in (line.split() for line in lines):
            if state == LISTENS and int(local.rpartition(":")[2], 16) == port:
                found.append(rest[5])
    return found
