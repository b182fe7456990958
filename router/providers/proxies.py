"""The proxy that the environment names for an address, as other programs read it.

`HTTP_PROXY`, `HTTPS_PROXY` and `ALL_PROXY`, in capitals or not, each for its scheme; hosts, domains and networks in
`NO_PROXY` are reached directly, and so is this machine itself. Read once for each model, not for each request.
"""

import ipaddress
from contextlib import closing
from http.client import HTTPResponse
from urllib.request import ProxyHandler, build_opener, getproxies_environment, proxy_bypass

from yarl import URL

from router.errors import ProviderError

THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
SUPPORTED = ("http", "https")
RUN_HERE = frozenset({"embedded", "ollama", "ollama_chat"})  # unless an address says otherwise


def proxy_for(address: URL) -> URL | None:
    """Return the proxy of an address, None where it is reached directly.

    Raises ProviderError for other kinds, and for what is no address.
    """
    host = address.host
    if not host or _is_this_machine(host):
        return None
    proxies = getproxies_environment()
    named = proxies.get(address.scheme) or proxies.get("all")
    if not named or proxy_bypass(f"{host}:{address.port}") or _is_in(host, proxies.get("no", "")):
        return None
    try:
        proxy = URL(named if "://" in named else f"http://{named}")
    except ValueError:  # what it says may hold a password
        raise _no_address(host) from None
    if proxy.scheme not in SUPPORTED:
        message = f"the proxy for {host} is of a kind that is not supported: {proxy.scheme}"
        raise ProviderError(message, dispatched=False, code="not_configured")
    if not proxy.host:
        raise _no_address(host)
    return proxy


def _no_address(host: str) -> ProviderError:
    message = f"the proxy that the environment names for {host} is no address"
    return ProviderError(message, dispatched=False, code="not_configured")


def open_directly(address: str, timeout_s: float) -> "closing[HTTPResponse]":
    """Ask an address of this machine, through no proxy; raises OSError."""
    return closing(build_opener(ProxyHandler({})).open(address, timeout=timeout_s))


def except_this_machine() -> str:
    """Return `NO_PROXY` with this machine in it, for libraries that would not see to that themselves."""
    excepted = getproxies_environment().get("no", "")
    return ",".join(filter(None, (excepted, *THIS_MACHINE))) if excepted.strip() != "*" else excepted


def is_on_this_machine(model: str, api_base: str | None) -> bool:
    """Tell whether a model runs here, inside this process or behind a loopback address."""
    if api_base is None:
        return model.partition("/")[0] in RUN_HERE
    try:
        host = URL(api_base).host
    except ValueError:
        return False
    return host is not None and _is_this_machine(host)


def _is_this_machine(host: str) -> bool:
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_in(host: str, excepted: str) -> bool:
    """Tell whether an address is in one of the networks among what is reached directly."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    for one in excepted.split(","):
        try:
            if address in ipaddress.ip_network(one.strip(), strict=False):
                return True
        except ValueError:
            continue
    return False
