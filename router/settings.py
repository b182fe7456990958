"""One frozen `Settings`, read once from `tierwise.toml` and the environment (which wins).

The file owns the wiring: server, tiers, models, prices of the models it names. Dials (policy, revenue, segments) are
only carried here on their way into the database. A wrong or unknown key is a `WrongSetting` that names it.
"""

import codecs
import os
import re
import tomllib
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    SettingsError,
)

from classifier.types import AnswerType
from router import modelmap
from router.decision.policy import DIALS, SEGMENT_DIALS, Dial, read_confidences
from router.keys import KeyLimits
from router.mistakes.extras import require
from router.mistakes.lines import line_of
from router.mistakes.names import closest
from router.mistakes.values import describe, path_of
from router.money import nano_from_usd
from router.providers import catalog
from router.providers.base import ModelTarget
from router.providers.openai.backends import split_base
from router.providers.proxies import THIS_MACHINE, is_on_this_machine
from router.providers.wiring import format_tables, wire_by_key
from router.reports.window import zone_of
from router.tiers.parallel.stopping import require_allowed, require_reachable, require_types_allowed
from router.types import Effort, Tier

ENV_PREFIX = "TIERWISE_"
DEFAULT_MODEL = "embedded/smollm2"
LOADING_S = 60.0  # a model on this machine may have to be loaded before it begins
INVISIBLE = " \t\r\n\v\f\0\u00a0\u200b\u2060\ufeff"  # around a key: line ends, no-break spaces, byte order marks
RESERVED_NAMES = frozenset({"auto", *Tier})

MODEL_NAME = re.compile(r"[a-z0-9_]+/\S+")


def _require_provider(name: str) -> str:
    """Raise ValueError for a model's name that does not say whose it is."""
    if MODEL_NAME.fullmatch(name):
        return name
    provider, slash, model = name.partition("/")
    if slash and MODEL_NAME.fullmatch(lower := f"{provider.lower()}/{model}"):
        raise ValueError(f"a provider is written in small letters; did you mean {lower}?")
    meant = next((full for full in modelmap.names_with_provider(name) if full.split("/")[0] in catalog.FAMILIES), None)
    question = f"; did you mean {meant}?" if meant else ", such as openai/gpt-5-nano"
    raise ValueError(f"a model is named with its provider, PROVIDER/MODEL{question}")


def _require_known_provider(name: str, api_base: str | None) -> None:
    """Raise ValueError for a provider that is a misspelling; with an address any name will do."""
    provider, _, model = name.partition("/")
    if api_base is None and (meant := catalog.provider_meant(provider)) is not None:
        raise ValueError(f"no provider goes by the name {provider}; did you mean {meant}/{model}?")


OneLine = Annotated[str, Field(pattern=r"^[^\r\n]*$")]
SegmentName = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,64}$", description="1 to 64 of a-z 0-9 _ -")]
ServiceName = Literal["flex", "priority", "batch", "2h", "8h"]
ModelName = Annotated[
    str, AfterValidator(_require_provider), Field(description="PROVIDER/MODEL, a LiteLLM model string")
]
Origin = Annotated[
    str, Field(pattern=r"^(?:\*|[A-Za-z][A-Za-z0-9+.-]*://[^/\s]+/?)$", description="scheme://host[:port], or *")
]
Capability = Literal["images", "tools", "schema", "thinking"]


class WrongSetting(ValueError):
    """A setting is wrong or unknown; the message names it."""


class ConfigTable(BaseModel):
    """A table of the configuration file: frozen, and no key is ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


Table = TypeVar("Table", bound=ConfigTable)


class ServerSettings(ConfigTable):
    """How the server listens and what it accepts."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    workers: int = Field(1, ge=1, le=256, description="worker processes; the embedded model forces 1")
    trusted_proxies: tuple[str, ...] = Field(
        ("127.0.0.1",), description="addresses whose X-Forwarded-For and X-Forwarded-Proto are believed"
    )
    auth: Literal["auto", "required"] = Field(
        "auto", description="auto: no key needed from loopback while there is none; required: always"
    )
    strict: bool = Field(False, description="refuse unknown body keys instead of ignoring them with a warning")
    max_n: int = Field(128, ge=1, le=128, description="most choices (`n`) of one request; more is refused with 400")
    max_body_bytes: int = Field(20_000_000, ge=1_000, description="largest request body")
    max_header_bytes: int = Field(65_536, ge=8_192, description="largest request head")
    read_timeout_s: float = Field(
        30.0, gt=0, description="time that a client has to send the head of a request, then its body"
    )
    max_concurrent_requests: int = Field(512, ge=1, description="requests answered at a time, per worker")
    max_queued_requests: int = Field(1024, ge=0, description="requests that wait for a place before 429")
    queue_timeout_s: float = Field(30.0, gt=0, description="longest wait for a place")
    max_concurrent_per_key: int | None = Field(
        None,
        ge=1,
        description="places that one key may hold, per worker; unset: as many as are still free, so at most half",
    )
    max_concurrent_per_segment: int | None = Field(
        None,
        ge=1,
        description="places that one segment may hold, per worker; unset: three quarters while others ask too",
    )
    max_concurrent_per_target: int | None = Field(
        None,
        ge=1,
        description="requests at a time that ask the same model first, per worker; unset: three quarters of the places",
    )
    max_body_bytes_in_flight: int = Field(
        64_000_000,
        ge=1_000,
        description="total size of the bodies of all requests under way, per worker; half of it for one key",
    )
    send_timeout_s: float = Field(
        30.0, gt=0, description="a client that reads nothing of its answer for this long is cut off"
    )
    request_timeout_s: float = Field(
        1800.0, gt=0, description="longest time that a request may take, including its fallbacks"
    )
    max_chain_responses: int = Field(
        500, ge=1, description="stored responses that `previous_response_id` may lead back through"
    )
    max_stored_bytes_per_key: int = Field(
        256_000_000,
        ge=1_000,
        description="total size of the stored responses of one key, and of the answers kept for its retries",
    )
    stored_response_days: int = Field(30, ge=1, le=3650, description="how long responses with store: true are kept")
    shutdown_timeout_s: float = Field(20.0, ge=0, description="time that requests under way have to finish at shutdown")
    drain_pause_s: float = Field(
        0.0, ge=0, description="pause at shutdown between readiness turning red and the listener closing"
    )
    keep_alive_s: float = Field(
        15.0, ge=0, le=3600, description="a stream that is silent for this long sends a comment; 0: never"
    )
    cors_origins: tuple[Origin, ...] = Field(
        (), description='origins whose web pages may call `/v1/` with a key, as `https://chat.example.org`; `"*"`: all'
    )


class AdminSettings(ConfigTable):
    """The admin pages: whether there are any, under which names, and how long a sign-in lasts."""

    enabled: bool = Field(True, description="serve the admin pages at /admin")
    hosts: tuple[str, ...] = Field((), description="host names of the pages, besides IP addresses and localhost")
    session_idle_minutes: int = Field(60, ge=1, le=10_080, description="a session that is unused for this long ends")
    session_hours: int = Field(12, ge=1, le=720, description="every session ends after this long")


class ChatSettings(ConfigTable):
    """The page for people: whether there is one, under which names, and how long a session lasts."""

    enabled: bool = Field(False, description="serve a page at /chat where people can ask")
    hosts: tuple[str, ...] = Field((), description="host names of the page, besides IP addresses and localhost")
    session_hours: int = Field(12, ge=1, le=720, description="every session of the page ends after this long")


class CallSettings(ConfigTable):
    """How a model is called."""

    usual_first_byte_s: ClassVar[float] = 120.0

    api_base: str | None = Field(None, pattern=r"^https?://", description="an OpenAI-compatible base URL")
    api_key: SecretStr | None = Field(None, description="the provider's key")
    api_key_env: str | None = Field(None, description="environment variable that holds the provider's key")
    effort: Effort | None = Field(None, description="reasoning effort that the model is asked for")
    max_thinking_tokens: int | None = Field(None, ge=0, description="thinking budget, added to the visible limit")
    timeout_s: float = Field(600.0, gt=0, description="longest wait for a whole answer")
    connect_timeout_s: float = Field(10.0, gt=0, description="longest wait for a connection to the provider")
    first_byte_timeout_s: float | None = Field(
        None,
        gt=0,
        description="longest wait for an answer to begin; "
        "an answer that is not streamed gets the time to write it on top; "
        "unset: 20 in the fast tier, 60 for samples, 120 elsewhere, plus 60 for a model on this machine",
    )
    idle_timeout_s: float = Field(
        30.0,
        gt=0,
        description="longest pause within an answer; while thinking is streamed, at least `first_byte_timeout_s`",
    )
    ability: float | None = Field(None, description="place of the model on the classifier's ability scale")
    capabilities: tuple[Capability, ...] | None = Field(None, description="what the model supports; unset: everything")
    context_length: int | None = Field(None, ge=1, description="context window in tokens; unset: from the model map")

    @field_validator("api_base")
    @classmethod
    def _is_address(cls, base: str | None) -> str | None:
        if base is not None:
            split_base(base)
        return base

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if self.api_key is not None and self.api_key_env is not None:
            raise ValueError("api_key and api_key_env exclude each other")
        return self

    @property
    def asked_effort(self) -> Effort | None:
        """The effort asked of the model where nobody chooses one."""
        return self.effort

    def target_of(self, model: str, environ: Mapping[str, str]) -> ModelTarget:
        """Resolve to what providers take; a missing key variable is left to `doctor` and the provider."""
        key = self.api_key.get_secret_value() if self.api_key else None
        if self.api_key_env:
            key = environ.get(self.api_key_env)
        elif key is None and self.api_base is None:  # a provider's own key goes to that provider only
            key = catalog.key_of(model.partition("/")[0], environ)
        key = key and _trim_key(key, self.api_key_env or f"the key of {model}")
        return ModelTarget(
            name=model,
            api_base=self.api_base,
            api_key=key,
            effort=self.asked_effort,
            max_thinking_tokens=self.max_thinking_tokens,
            timeout_s=self.timeout_s,
            connect_timeout_s=self.connect_timeout_s,
            first_byte_timeout_s=self._first_byte_timeout_s(model),
            idle_timeout_s=self.idle_timeout_s,
            ability=self.ability,
            capabilities=frozenset(self.capabilities) if self.capabilities is not None else None,
            context_length=self.context_length,
        )

    def _first_byte_timeout_s(self, model: str) -> float:
        if self.first_byte_timeout_s is not None:
            return self.first_byte_timeout_s
        return self.usual_first_byte_s + (LOADING_S if is_on_this_machine(model, self.api_base) else 0.0)


def _trim_key(key: str, named: str) -> str | None:
    """Take off what editors and secret stores leave around a key; raises WrongSetting for what no header can carry."""
    trimmed = key.strip(INVISIBLE)
    if not all("!" <= character <= "~" for character in trimmed):
        raise WrongSetting(f"{named}: is no key: there are spaces, line ends or letters in it that no key has")
    return trimmed or None


class ModelSettings(CallSettings):
    """One model."""

    model: ModelName = Field(DEFAULT_MODEL, description="the model that answers")

    @field_validator("model")
    @classmethod
    def _provider_is_known(cls, model: str, given: ValidationInfo) -> str:
        _require_known_provider(model, given.data.get("api_base"))
        return model

    def target(self, environ: Mapping[str, str]) -> ModelTarget:
        """Resolve to what providers take."""
        return self.target_of(self.model, environ)


class FastSettings(ModelSettings):
    """The fast tier's model."""

    usual_first_byte_s: ClassVar[float] = 20.0


class ReasoningSettings(ModelSettings):
    """The reasoning tier's model."""

    effort: Effort | Literal["auto"] | None = Field(  # type: ignore[assignment]
        "medium",
        description='reasoning effort that the model is asked for; `"auto"`: low, medium or high, as the query needs',
    )

    @property
    def asked_effort(self) -> Effort | None:
        """The effort asked of the model where nobody chooses one."""
        return "medium" if self.effort == "auto" else self.effort

    @property
    def chooses_effort(self) -> bool:
        """Whether each query has the effort that fits it."""
        return self.effort == "auto"


class ParallelSettings(CallSettings):
    """The parallel tier: which models are sampled, how often, and when to stop."""

    usual_first_byte_s: ClassVar[float] = 60.0

    models: tuple[ModelName, ...] = Field((DEFAULT_MODEL,), min_length=1, description="one or several models to sample")
    max_samples: int = Field(8, ge=1, le=64, description="most samples of one query")
    confidence: float = Field(0.95, gt=0.5, lt=1, description="confidence of the vote at which sampling stops")
    coverage_share: float = Field(
        0.01, ge=0, le=1, description="share of queries that are sampled to the end, to see what stopping early misses"
    )
    coverage_usd_per_day: Decimal = Field(
        Decimal(1),
        ge=0,
        description="dollars per day that sampling to the end and a judge on trial may cost, over all workers",
    )
    escalate_to: Literal["reasoning", ""] = Field(
        "reasoning", description="tier that takes votes that are not accepted; empty: none"
    )
    confidence_by_type: dict[AnswerType, Annotated[float, Field(gt=0.5, lt=1)]] = Field(
        {}, description="confidence for individual answer types, such as { date = 0.99 }; all others: `confidence`"
    )
    judge: ModelSettings | None = Field(
        None, description="model that decides between two leaders once labels show that it can; unset: none"
    )
    at_once: int = Field(16, ge=1, le=64, description="samples of one query under way at a time")
    at_once_overall: int = Field(64, ge=1, description="samples under way at a time, per worker")
    sample_timeout_s: float = Field(120.0, gt=0, description="longest wait for one sample")
    least_wait_s: float = Field(1.0, ge=0, description="shortest wait for the slowest samples of a wave")
    runs_code: bool = Field(
        False,
        description="run programs on the tests that come with their question, sandboxed by the kernel (Linux only)",
    )
    token_confidence: float | None = Field(
        None,
        gt=0.5,
        le=1,
        description="mean token probability at which one sample is enough, or two that agree and come near; unset: off",
    )
    open_samples: int = Field(4, ge=1, le=64, description="samples of a query whose answers cannot be voted on")
    batch_window: str | None = Field(
        None,
        pattern=r"^[1-9][0-9]{0,3}[mhd]$",
        description="buy waves of samples of background jobs with a completion window as batches; the window that the "
        "provider's batch interface sells, such as `24h`; unset: no batches",
    )

    @field_validator("models")
    @classmethod
    def _providers_are_known(cls, models: tuple[str, ...], given: ValidationInfo) -> tuple[str, ...]:
        for model in models:
            _require_known_provider(model, given.data.get("api_base"))
        return models

    def target_of(self, model: str, environ: Mapping[str, str]) -> ModelTarget:
        """Resolve to what providers take."""
        return replace(super().target_of(model, environ), batch_window=self.batch_window)

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        require_reachable(self.confidence, self.max_samples)
        for answer_type, confidence in self.confidence_by_type.items():
            require_reachable(confidence, self.max_samples, f"tiers.parallel ({answer_type})")
        return self


class TierSettings(ConfigTable):
    """Which models serve which tier."""

    fast: FastSettings = FastSettings()
    reasoning: ReasoningSettings = ReasoningSettings()
    parallel: ParallelSettings = ParallelSettings()


def field_of(dial: Dial) -> Any:
    """Type and field of a dial's key: its range, its default, its meaning."""
    type_: Any = Literal[dial.choices] if dial.choices else dial.kind
    unset, default = dial.unset, dial.default
    if dial.stored_default is not None:
        unset, default = f"what is in force, and {default} in a new database", None
    meaning = f"{dial.help}; unset: {unset}" if unset else dial.help
    return (type_ | None if default is None else type_, Field(default, description=meaning, **_limits(dial)))


def _own_field_of(dial: Dial) -> Any:
    return (dial.kind | None, Field(None, description=f"unset: {dial.inherited}", **_limits(dial)))


def _limits(dial: Dial) -> dict[str, Any]:
    if dial.choices:
        return {}
    return {"pattern": rf"^(?:{dial.pattern})$"} if dial.kind is str else {"ge": dial.low, "le": dial.high}


def with_dials(dials: Mapping[str, Dial], made_by: Callable[[Dial], Any]) -> Callable[[type[Table]], type[Table]]:
    """Give a table of the configuration a key for every dial."""

    def add(table: type[Table]) -> type[Table]:
        keys: dict[str, Any] = {name: made_by(dial) for name, dial in dials.items()}
        return create_model(table.__name__, __base__=table, __module__=table.__module__, __doc__=table.__doc__, **keys)

    return add


@with_dials(SEGMENT_DIALS, _own_field_of)
class SegmentDialSettings(ConfigTable):
    """The dials that a segment has of its own."""


class LearningSettings(ConfigTable):
    """What is kept of the traffic to learn from, and what duels between tiers may cost."""

    keep_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="share of auto queries whose hashed features are kept, about 400 bytes each; 0: none",
    )
    keep_days: int = Field(90, ge=1, le=3650, description="days that these features are kept")
    duel_usd_per_day: Decimal = Field(
        Decimal(1), ge=0, description="dollars per day that duels may cost, over all workers"
    )
    judge: ModelSettings | None = Field(
        None, description="model that decides duels where vote keys cannot; unset: none"
    )


@with_dials(DIALS, field_of)
class DialSettings(ConfigTable):
    """The dials of routing, as `router.decision.policy` declares them."""


class PolicySettings(DialSettings):
    """The dials of routing; imported into the database as a policy version when they change."""

    segments: dict[SegmentName, SegmentDialSettings] = Field({}, description="dials of individual segments")


class LimitSettings(ConfigTable):
    """What every key may do at once and in a minute, and each end user of it; a key's own limits beat these."""

    storage: str = Field(
        "memory",
        pattern=r"^(?:memory|rediss?://\S+)$",
        description="where requests and tokens are counted: `memory`, by each worker for itself, or `redis://HOST:PORT`",
    )
    requests_per_minute: int | None = Field(None, ge=1, description="requests per key and minute; unset: no limit")
    tokens_per_minute: int | None = Field(
        None, ge=1, description="input and output tokens per key and minute; unset: no limit"
    )
    concurrency: int | None = Field(None, ge=1, description="requests per key at a time, per worker; unset: no limit")
    user_requests_per_minute: int | None = Field(
        None, ge=1, description="requests per end user and minute; unset: no limit"
    )
    user_tokens_per_minute: int | None = Field(
        None, ge=1, description="input and output tokens per end user and minute; unset: no limit"
    )
    user_concurrency: int | None = Field(
        None, ge=1, description="requests per end user at a time, per worker; unset: no limit"
    )
    max_tokens: int | None = Field(None, ge=1, description="most tokens that a request may ask for; unset: no limit")
    max_n: int | None = Field(
        None, ge=1, description="most choices (`n`) that a request may ask for; unset: `server.max_n`"
    )
    user_deep_per_day: int | None = Field(
        None, ge=0, description="deep answers per end user and day (UTC), over all workers; unset: no limit"
    )
    user_usd_per_day: Decimal | None = Field(
        None, ge=0, description="dollars that deep answers may cost per end user and day; unset: no limit"
    )

    @field_validator("storage")
    @classmethod
    def _can_be_reached(cls, storage: str) -> str:
        if storage != "memory":
            require("redis", "storage: a Redis", ValueError)
        return storage

    def of_keys(self) -> KeyLimits:
        """The limits as keys have them."""
        given = self.model_dump(exclude={"storage", "user_usd_per_day"})
        usd = self.user_usd_per_day
        return KeyLimits(**given, user_nanousd_per_day=None if usd is None else nano_from_usd(usd))


class MarkSettings(ConfigTable):
    """Marks of conversations and end users in the books: keyed hashes, no names."""

    enabled: bool = Field(
        True, description="mark each request with its conversation and end user; off: nothing is counted per person"
    )
    keep_months: int = Field(
        13,
        ge=1,
        le=120,
        description="months that the salts of marks are kept; after that nobody can tell whose they were",
    )


class LogSettings(ConfigTable):
    """What is logged besides the books, and where; never a prompt, an answer or a secret."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        "warning", description="lowest level that is logged to stderr"
    )
    format: Literal["text", "json"] = Field("text", description="lines for people to read, or one JSON object per line")
    requests: str = Field(
        "off", min_length=1, description="one JSON line per request, without text: `off`, `stdout`, or a file's path"
    )


class OtelSettings(ConfigTable):
    """OpenTelemetry: spans and metrics, sent by OTLP over HTTP. It needs the extra: `pip install 'tierwise[otel]'`."""

    enabled: bool = Field(False, description="send spans and metrics; when off, this costs nothing")
    endpoint: str = Field(
        "http://127.0.0.1:4318", pattern=r"^https?://", description="address of a collector, without `/v1/traces`"
    )
    service_name: str = Field("tierwise", min_length=1, description="service name that spans and metrics carry")
    share: float = Field(1.0, ge=0, le=1, description="share of traces that are sent; metrics cover all requests")
    every_s: float = Field(60.0, ge=1, description="seconds between exports of metrics")
    take_over: bool = Field(False, description="continue the trace that a client names in `traceparent`")
    pass_on: tuple[str, ...] = Field(
        (), description="providers (`openai`) or models that our trace is passed on to, if they speak OpenAI's dialect"
    )


class WebhookSettings(ConfigTable):
    """Where alerts are sent by POST, signed by the Standard Webhooks specification."""

    url: str = Field(
        pattern=r"^(?:https://|http://(?:127\.0\.0\.1|\[::1\]|localhost)(?:[:/]|$))",
        description="address to post to: https, or http on this machine",
    )
    secret: SecretStr | None = Field(None, description="secret to sign with: `whsec_` and the base64 of 24 to 64 bytes")
    secret_env: str | None = Field(None, description="environment variable that holds the secret")


class SmtpSettings(ConfigTable):
    """Through which server mail is sent."""

    host: str = Field(min_length=1, description="SMTP server")
    port: int = Field(587, ge=1, le=65535, description="port of the SMTP server")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls", description="TLS after the greeting, TLS from the start, or none (to this machine only)"
    )
    username: str | None = Field(None, description="user name for SMTP; unset: no sign-in")
    password: SecretStr | None = Field(None, description="password for SMTP")
    password_env: str | None = Field(None, description="environment variable that holds the password")
    sender: OneLine = Field(min_length=3, description="address that mail comes from")

    @model_validator(mode="after")
    def _require_encryption(self) -> Self:
        if self.security == "none" and self.host not in THIS_MACHINE:
            raise ValueError("security: without TLS mail goes to this machine only")
        return self


class MailSettings(SmtpSettings):
    """Where alerts are mailed to, and through which server."""

    to: tuple[OneLine, ...] = Field(min_length=1, description="addresses that alerts go to")


class JobWebhookSettings(ConfigTable):
    """Signed webhooks to addresses that callers of background jobs name."""

    secret: SecretStr | None = Field(
        None, description="what each key's own secret is made of: `whsec_` and the base64 of 24 to 64 bytes"
    )
    secret_env: str | None = Field(None, description="environment variable that holds the secret")
    old_secret: SecretStr | None = Field(
        None, description="secret that is being replaced: messages are signed with both"
    )
    old_secret_env: str | None = Field(None, description="environment variable that holds the secret being replaced")
    hosts: tuple[str, ...] = Field(
        (), description="hosts that webhooks may go to, `*.example.org` for all below one; empty: every public one"
    )
    private: bool = Field(
        False, description="allow plain http and private addresses too: for tests and networks of your own"
    )


class JobMailSettings(SmtpSettings):
    """Mail to addresses that callers of background jobs name, and through which server."""

    allowed: tuple[OneLine, ...] = Field(
        min_length=1, description="addresses that may be mailed to, and `@example.org` for those of a domain"
    )
    link: str | None = Field(
        None,
        pattern=r"^https?://[!-~]+$",
        description="page on which a person reads an answer, with `{id}` for the id of the response; unset: no link",
    )


class JobSettings(ConfigTable):
    """Background jobs: how many run, how long they may take, how long their answers are kept."""

    enabled: bool = Field(True, description="accept requests with `background: true`")
    concurrency: int = Field(8, ge=1, le=1_000, description="jobs under way at a time, per worker")
    per_segment: int = Field(32, ge=1, description="jobs of one segment under way at a time, over all workers")
    per_minute: int | None = Field(None, ge=1, description="jobs that may begin a minute, over all workers; unset: all")
    calls_at_once: int = Field(
        32, ge=1, le=1_024, description="calls of jobs under way at a time, per worker; one on the embedded model"
    )
    calls_of_one: int = Field(16, ge=1, le=128, description="calls of one job under way at a time")
    max_waiting: int = Field(1_000, ge=1, description="jobs that wait for a place before 429")
    max_samples: int = Field(64, ge=1, le=1_024, description="most samples that a job may take")
    time_limit_s: int = Field(3_600, ge=1, le=604_800, description="longest time that a job may take")
    background_after_s: float = Field(
        30.0, gt=0, description="expected seconds from which on `auto` answers in the background whoever allows that"
    )
    retention_days: int = Field(30, ge=1, le=3_650, description="how long an answer is kept once its job has ended")
    webhooks: JobWebhookSettings | None = Field(
        None, description="signed webhooks that a request may ask for; unset: none"
    )
    mail: JobMailSettings | None = Field(None, description="mail that a request may ask for; unset: none")


class AlertSettings(ConfigTable):
    """When an alert is raised, and where it is sent besides the log."""

    enabled: bool = Field(True, description="check whether something is wrong")
    every_s: float = Field(
        30.0, ge=1, le=3600, description="seconds between checks; the worker that leads checks for all"
    )
    budget_percent: tuple[Annotated[int, Field(ge=1, le=1000)], ...] = Field(
        (50, 80, 95, 100), description="percentages of a budget at which an alert is raised"
    )
    error_share: float = Field(0.2, ge=0, le=1, description="share of a model's calls within ten minutes that may fail")
    unpriced_share: float = Field(
        0.01, ge=0, le=1, description="share of all calls within ten minutes that may have no price"
    )
    spool_lag_s: float = Field(60.0, ge=1, description="how far the books may lag behind")
    spend_least_usd: Decimal = Field(
        Decimal(1), ge=0, description="dollars by which an hour must exceed the same hour of past weeks"
    )
    webhook: WebhookSettings | None = Field(None, description="signed webhook that alerts are sent to; unset: none")
    mail: MailSettings | None = Field(None, description="mail that alerts are sent by; unset: none")


class CanarySettings(ConfigTable):
    """How much harm, beyond chance, rolls a canary back, and when it has passed without."""

    margin: float = Field(0.05, gt=0, le=1, description="harmful loss of margin, as a share of what a request earns")
    errors: float = Field(0.01, gt=0, le=1, description="harmful increase in failures, as a share of requests")
    slow: float = Field(
        0.05, gt=0, le=1, description="harmful increase in requests slower than 95 of 100 of the control, as a share"
    )
    regenerates: float = Field(0.02, gt=0, le=1, description="harmful increase in requests that ask again, as a share")
    thumbs_down: float = Field(
        0.01, gt=0, le=1, description="harmful increase in requests with a thumbs down, as a share"
    )
    deep_share: float = Field(
        0.02,
        gt=0,
        le=1,
        description="harmful excess of the deep share over its cap, or over the control's if that is higher",
    )
    false_alarms: float = Field(0.04, gt=0, le=0.5, description="share of harmless canaries that may be rolled back")
    most_requests: int = Field(5_000, ge=20, description="requests of the canary after which it has passed")


class ReportSettings(ConfigTable):
    """How reports and pages count time."""

    zone: str = Field("UTC", description="time zone of days, dates and spans, such as Europe/Lisbon")

    @field_validator("zone")
    @classmethod
    def _require_zone(cls, name: str) -> str:
        zone_of(name)
        return name


class RateSettings(ConfigTable):
    """USD per million tokens; what is unset falls back as the books say."""

    input: Decimal = Field(ge=0, description="USD per million input tokens that are not cached")
    output: Decimal = Field(ge=0, description="USD per million visible output tokens")
    cached_input: Decimal | None = Field(
        None, ge=0, description="USD per million tokens read from the cache; unset: as input"
    )
    cache_write: Decimal | None = Field(
        None, ge=0, description="USD per million tokens written to the cache; unset: as input"
    )
    thinking: Decimal | None = Field(None, ge=0, description="USD per million thinking tokens; unset: as output")


class PriceSettings(RateSettings):
    """The price of one model, and of the service tiers that its provider sells beside the standard one."""

    per_call: Decimal | None = Field(None, ge=0, description="USD per call, on top of the tokens")
    services: dict[ServiceName, RateSettings] = Field(
        {}, description="rates of other service tiers (`flex`, `priority`, `batch`) and completion windows (`2h`, `8h`)"
    )


class RevenueSettings(ConfigTable):
    """What a query is expected to earn, for the default segment."""

    ecpm_usd: Decimal = Field(Decimal("25"), ge=0, description="revenue per thousand viewed ads")
    ads_per_query: Decimal = Field(
        Decimal("0.058"), ge=0, description="viewed ads per query: eligible x fill x viewable"
    )
    publisher_share: Decimal = Field(
        Decimal("1.0"), ge=0, le=1, description="share that is left after the network's cut"
    )
    commercial_factor: Decimal = Field(
        Decimal("2"), ge=0, description="factor on ad revenue for a query of somebody who may want to buy"
    )


class SegmentSettings(ConfigTable):
    """A group of users with dials of its own."""

    revenue: RevenueSettings | None = Field(None, description="revenue of this segment; unset: as the default segment")


class Settings(BaseSettings):
    """Everything that is configured."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=ENV_PREFIX, env_nested_delimiter="__")

    database_url: str = Field("sqlite:///var/tierwise.db", description="sqlite:///PATH or postgresql+psycopg://...")
    state_dir: Path = Field(Path("var"), description="directory of the spool and of the admin secret's hash")
    durability: Literal["normal", "full"] = Field("normal", description="full also survives a power cut, but is slower")
    artifact: Path | None = Field(None, description="classifier made by `tierwise train`; unset: the shipped one")
    require_prices: bool = Field(False, description="refuse to start while a configured model has no price")
    trust_env: bool = Field(
        True, description="reach providers through the proxies of `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY`, `NO_PROXY`"
    )
    server: ServerSettings = ServerSettings()
    admin: AdminSettings = AdminSettings()
    chat: ChatSettings = ChatSettings()
    log: LogSettings = LogSettings()
    alerts: AlertSettings = AlertSettings()
    otel: OtelSettings = OtelSettings()
    tiers: TierSettings = TierSettings()
    models: dict[str, ModelSettings] = Field({}, description="models that clients can ask for by a name of their own")
    aliases: dict[str, str] = Field(
        {}, description="other services' names for our models; a name that ends in `*` covers all that begin like it"
    )
    fallbacks: dict[ModelName, tuple[ModelName, ...]] = Field(
        {}, description="models that take over when a model fails"
    )
    policy: PolicySettings = PolicySettings()
    learning: LearningSettings = LearningSettings()
    marks: MarkSettings = MarkSettings()
    limits: LimitSettings = LimitSettings()
    jobs: JobSettings = JobSettings()
    canary: CanarySettings = CanarySettings()
    reports: ReportSettings = ReportSettings()
    prices: dict[ModelName, PriceSettings] = Field({}, description="prices that override the price book")
    revenue: RevenueSettings = RevenueSettings()
    segments: dict[SegmentName, SegmentSettings] = Field({}, description="segments besides `default`")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if taken := RESERVED_NAMES & self.models.keys():
            raise ValueError(f"models.{min(taken)}: this name is taken by Tierwise itself")
        _check_aliases(self.aliases, RESERVED_NAMES | self.models.keys())
        addressed = {m.model for m in (self.tiers.fast, self.tiers.reasoning, *self.models.values()) if m.api_base}
        _check_fallbacks(self.fallbacks, addressed)
        if self.limits.of_keys().has_allowance and not self.marks.enabled:
            raise ValueError("limits: an allowance of each end user needs marks.enabled")
        dials, sampled = self.policy.model_dump(), self.tiers.parallel
        samples, confidence = dials["parallel_samples"], dials["parallel_confidence"]
        try:
            require_allowed(samples, confidence, sampled.max_samples, sampled.confidence)
            by_type = dials["parallel_confidence_by_type"]
            require_types_allowed(samples, read_confidences(by_type) if by_type else None, sampled.max_samples)
        except ValueError as error:
            raise ValueError(f"policy.{error}") from None
        return self

    def model_names(self) -> frozenset[str]:
        """Every model string that can be called."""
        named = {self.tiers.fast.model, self.tiers.reasoning.model, *self.tiers.parallel.models}
        named |= {m.model for m in self.models.values()}
        named |= {judge.model for judge in (self.learning.judge, self.tiers.parallel.judge) if judge is not None}
        return frozenset(named.union(*(self.fallbacks.get(name, ()) for name in named)))

    def uses_embedded(self) -> bool:
        """Tell whether any callable model runs inside this process."""
        return any(name.startswith("embedded/") for name in self.model_names())


def _check_aliases(aliases: Mapping[str, str], ours: Set[str]) -> None:
    """Raise ValueError for an alias that hides a name of ours, or stands for none."""
    for name, model in aliases.items():
        if name in ours or not name.strip("*"):
            raise ValueError(f"aliases.{name}: this name is taken")
        if model not in ours:
            raise ValueError(f"aliases.{name}: no model goes by the name {model!r}")


def _check_fallbacks(fallbacks: Mapping[str, Sequence[str]], addressed: Set[str]) -> None:
    """Raise ValueError for a fallback of a misspelled provider, unless it has an address or stays with its provider."""
    for model, instead in fallbacks.items():
        for name in instead:
            if name in addressed or name.partition("/")[0] == model.partition("/")[0]:
                continue
            try:
                _require_known_provider(name, None)
            except ValueError as error:
                raise ValueError(f"fallbacks: {error}") from None


def config_path(explicit: Path | None, environ: Mapping[str, str] = os.environ) -> Path | None:
    """Find the configuration file: `--config`, then TIERWISE_CONFIG, then ./tierwise.toml if it is there."""
    if explicit is not None:
        return explicit
    if named := environ.get("TIERWISE_CONFIG"):
        return Path(named)
    default = Path("tierwise.toml")
    return default if default.exists() else None


def load(path: Path | None, overrides: Mapping[str, Any] | None = None) -> Settings:
    """Read the settings: overrides beat the environment, which beats the file.

    Without a file, the first provider's key in the environment gives the tiers their models, as `tierwise init` would.
    Raises WrongSetting naming the key that stops the start.
    """
    text = _read_text(path) if path is not None else _wiring_by_key()
    file = _parse_toml(text, path)

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return (init_settings, env_settings, InitSettingsSource(settings_cls, file))

    try:
        return Layered(**(overrides or {}))
    except ValidationError as error:
        told = (_readable(one, path, text, overrides or {}) for one in error.errors())
        raise WrongSetting("\n".join(dict.fromkeys(told))) from None
    except SettingsError as error:
        raise WrongSetting(_describe_unreadable(error)) from None


def _wiring_by_key() -> str:
    found = wire_by_key(os.environ)
    return "" if found is None else format_tables(found[1].tables())


def describe_wiring(path: Path | None) -> str | None:
    """Say which models a provider's key gives the tiers where nothing else names any; None where something does."""
    found = None if path is not None else wire_by_key(os.environ)
    if found is None:
        return None
    variable, wiring = found
    return (
        f"{variable} is set, and there is no tierwise.toml here: {wiring.fast} answers in the fast and the parallel"
        f" tier, {wiring.reasoning} in the reasoning tier; `tierwise init` writes a file to change that in"
    )


def _describe_unreadable(error: SettingsError) -> str:
    """Say which variable is to hold a table and holds no JSON; its value is not shown."""
    named = re.search(r'field "(\w+)"', str(error))
    if named is None:
        return f"environment: {error}"
    return f"the variable {ENV_PREFIX}{named[1].upper()}: {named[1]}: a table is wanted, as JSON in one line"


def unknown_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """Name the TIERWISE_ variables that set nothing, so that a typing error does not go unseen."""
    known = {f"{ENV_PREFIX}{name.upper()}" for name in Settings.model_fields} | {
        f"{ENV_PREFIX}CONFIG",
        f"{ENV_PREFIX}ADMIN_SECRET",
        f"{ENV_PREFIX}VIEWER_SECRET",
        f"{ENV_PREFIX}KEY",
    }
    return sorted(v for v in environ if v.startswith(ENV_PREFIX) and v.split("__")[0].upper() not in known)


def place_of(keys: Sequence[str], path: Path | None) -> str:
    """Say where a key is set: by a variable of the environment, or in which line of the file."""
    return _place_of(keys, path, _read_text(path) if path is not None else "", {})


def describe_unknown_variables(environ: Mapping[str, str] = os.environ) -> list[tuple[str, str]]:
    """Name such variables, each with what it does and what was perhaps meant."""
    tables = {name.upper() for name in Settings.model_fields}
    found = []
    for variable in unknown_variables(environ):
        table, *rest = variable.removeprefix(ENV_PREFIX).split("__")
        meant = closest(table, tables)
        question = f"; did you mean {ENV_PREFIX}{'__'.join((meant, *rest))}?" if meant else ""
        found.append((variable, f"sets nothing{question}"))
    return found


def _read_text(path: Path) -> str:
    try:
        return _decode(path.read_bytes())
    except OSError as error:
        raise WrongSetting(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise WrongSetting(f"{path}: is not UTF-8 text") from None


def _parse_toml(text: str, path: Path | None) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise WrongSetting(f"{path}: is not TOML: {error}") from None


def _decode(content: bytes) -> str:
    """Decode a file as its byte order mark says, and as UTF-8 where there is none."""
    is_utf_16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return content.decode("utf-16" if is_utf_16 else "utf-8-sig").replace("\r\n", "\n")


def _place_of(keys: Sequence[str], path: Path | None, text: str, overrides: Mapping[str, Any]) -> str:
    """Say where a key is set: by an option, by a variable of the environment, in a line of the file."""
    if len(keys) > 1 and keys[-1] in overrides.get(keys[0], {}):
        return f"--{keys[-1]}"
    variables = {name.upper(): name for name in os.environ}
    for length in range(len(keys), 0, -1):  # a whole table may be one variable, as JSON
        if (name := f"{ENV_PREFIX}{'__'.join(keys[:length])}".upper()) in variables:
            return f"the variable {variables[name]}"
    line = line_of(text, keys)
    return f"{path or 'environment'}{'' if line is None else f', line {line}'}"


def _readable(error: Mapping[str, Any], path: Path | None, text: str, overrides: Mapping[str, Any]) -> str:
    keys, message = path_of(Settings, error["loc"]), describe(error, Settings)
    place = _place_of(keys or message.partition(":")[0].split("."), path, text, overrides)
    key = ".".join(keys)
    return (
        f"{place}: {message if not key or message.startswith(key) else f'{key}: {message}'}"  # some name the very key
    )
