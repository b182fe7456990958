"""Asking the configured models for one token each, and saying what is wrong where one does not answer."""

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from socket import gaierror
from urllib.parse import urlsplit

from sqlalchemy import Engine

from router.clock import SystemClock
from router.commands.models import ConfiguredModel, models_of
from router.errors import Cause, ProviderError
from router.ledger import pricelist
from router.ledger.prices import PriceBook
from router.ledger.shipping import Shipper, spool_directory
from router.ledger.spool import Spool
from router.providers.base import ModelTarget
from router.providers.catalog import answers_chat, family_of
from router.providers.clients import Providers
from router.providers.openai.backends import address_of
from router.providers.proxies import is_on_this_machine
from router.settings import Settings
from router.tiers.probe import probe

PURPOSE = "doctor"
PATIENCE_S = 30.0
LOCAL_PATIENCE_S = 90.0  # a model on this machine may have to be loaded
ADVICE = {
    Cause.CREDENTIALS: "the key is wrong, has ended, or is not for this model",
    Cause.NO_CREDIT: "the account at the provider has no credit left",
    Cause.RATE_LIMITED: "the provider limits this key; try again later, or have the limit raised",
    Cause.OVERLOADED: "the provider has no room at the moment; try again later",
    Cause.BAD_REQUEST: "the provider does not take the request as it is configured (effort, limits)",
    Cause.NOT_FOUND: "it has no model of this name for this key, or api_base is not its address",
    Cause.CONTENT_FILTER: "the provider refuses even a harmless question",
    Cause.CONTEXT_TOO_LONG: "its context is too short for anything",
    Cause.UNREACHABLE: "nobody answers there",
    Cause.TIMEOUT_CONNECT: "no connection in time; look at the network, at proxies and firewalls",
    Cause.TIMEOUT_FIRST_BYTE: "it was reached and did not begin to answer in time",
    Cause.TIMEOUT_IDLE: "it was reached and stopped within its answer",
    Cause.TIMEOUT_TOTAL: "it was reached and did not end its answer in time",
    Cause.BROKEN_OFF: "it closed the connection within its answer",
    Cause.NONSENSE: "what it sent is no answer; is api_base the address of something else?",
}


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What came of asking one model; `failure` is None where it answered, and where it was not asked."""

    model: str
    says: str
    failure: Cause | None = None


async def ask_freely(models: Sequence[ModelTarget], configured: Settings) -> list[ProbeResult]:
    """Ask what costs nothing: the list of models, or whether the weights load."""
    providers = Providers(trust_env=configured.trust_env)

    async def ask(target: ModelTarget) -> str:
        return await _ping(providers, target, "it was not asked for an answer")

    return await _ask_all(models, configured, providers, ask)


async def _ping(providers: Providers, target: ModelTarget, why: str) -> str:
    """Look whether a model is there, where that costs nothing; raises ProviderError or TimeoutError."""
    if family_of(target) == "litellm":
        return f"not looked for, because that would cost a token; {why}"
    async with asyncio.timeout(_patience_s(target)):
        await providers.of(target).ping(target)
    return f"is there; {why}"


async def ask_for_a_token(models: Sequence[ModelTarget], configured: Settings, engine: Engine) -> list[ProbeResult]:
    """Ask each model for one token, which goes through a spool into the books; raises Unavailable."""
    clock, providers = SystemClock(), Providers(trust_env=configured.trust_env)
    pricelist.sync(engine, configured.model_names(), configured.prices, clock.now_us())
    prices = PriceBook.load(engine)
    spool = Spool.open(spool_directory(configured.state_dir), durability=configured.durability)

    async def ask(target: ModelTarget) -> str:
        if not answers_chat(target.name):
            return await _ping(providers, target, "it answers no conversations and was not asked")
        hurried = replace(target, timeout_s=min(target.timeout_s, _patience_s(target)))
        await probe(hurried, PURPOSE, spool, prices, providers.of, clock)
        return "answers"

    try:
        return await _ask_all(models, configured, providers, ask)
    finally:
        await asyncio.to_thread(Shipper(spool, engine).ship_once)
        spool.close()


async def _ask_all(
    models: Sequence[ModelTarget],
    configured: Settings,
    providers: Providers,
    ask: Callable[[ModelTarget], Awaitable[str]],
) -> list[ProbeResult]:
    named = {(model.name, model.calls.api_base): model for model in models_of(configured)}

    async def result_of(target: ModelTarget) -> ProbeResult:
        try:
            return ProbeResult(target.name, await ask(target))
        except ProviderError as error:
            model = named.get((target.name, target.api_base))
            return ProbeResult(target.name, describe_failure(error, target, model, os.environ), error.cause)
        except TimeoutError:
            late = f"did not answer within {_patience_s(target):g} s"
            return ProbeResult(target.name, f"{Cause.TIMEOUT_TOTAL}: {late}", Cause.TIMEOUT_TOTAL)

    try:
        return list(await asyncio.gather(*map(result_of, models)))
    finally:
        await providers.close()


def describe_failure(
    error: ProviderError, target: ModelTarget, model: ConfiguredModel | None, environ: Mapping[str, str]
) -> str:
    """Say why a model does not answer: the cause, where it was asked, with which key, and what may be done."""
    status = f" (HTTP {error.provider_status})" if error.provider_status and error.provider_status >= 400 else ""
    advice = _why_unreachable(error) or ADVICE.get(error.cause, "")
    parts = [f"{error.cause}{status}: {error.message}", f"asked at {_address(target)}"]
    if model is not None and error.cause in (Cause.CREDENTIALS, Cause.NO_CREDIT, Cause.NOT_FOUND, Cause.RATE_LIMITED):
        parts.append(model.describe_key(environ))
    return "; ".join(filter(None, (*parts, advice)))


def _address(target: ModelTarget) -> str:
    """Where a model is asked, without what an address may hold of a secret."""
    try:
        base = address_of(target) if family_of(target) == "openai" else target.api_base
    except ProviderError:
        base = None
    if base is None:
        return "its provider's own address"
    parts = urlsplit(base)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _why_unreachable(error: ProviderError) -> str:
    """Tell a name that is unknown, a port that nobody listens on and a certificate that is not trusted apart."""
    for cause in _causes(error):
        if isinstance(cause, gaierror) or "DNS" in type(cause).__name__:
            return "DNS knows no such name"
        if isinstance(cause, ssl.SSLError):
            return "TLS failed: the certificate is not trusted, or the port does not speak TLS"
        if isinstance(cause, ConnectionRefusedError):
            return "nothing listens there; is the server running, and is the port right?"
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The errors that an error came of, the nearest first."""
    waiting, seen = [error], set[int]()
    while waiting:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        below = (one.__cause__, one.__context__, getattr(one, "os_error", None))
        waiting += [each for each in below if isinstance(each, BaseException)]


def _patience_s(target: ModelTarget) -> float:
    return LOCAL_PATIENCE_S if is_on_this_machine(target.name, target.api_base) else PATIENCE_S
