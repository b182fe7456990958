"""Spans and metrics for OpenTelemetry, by its conventions for generative AI: off unless `[otel]` turns it on.

The library is an extra, and is imported here and nowhere else, when tracing is turned on. A request is a server span;
each of its provider calls is a client span below it, made when the request has ended from what the books were told.
What goes on after that (duels, samples that are watched to the end) is in the books only. No text is in any of it.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from router.mistakes.extras import require
from router.providers.trace import HEADER, OUTGOING, OutgoingTrace
from router.settings import OtelSettings, WrongSetting
from router.telemetry.request_log import RequestLine
from router.tiers.calls import ProviderCall
from router.types import CallStatus

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span

SCOPE = "tierwise"
OPERATIONS = {"/v1/embeddings": "embeddings", "/v1/completions": "text_completion"}
CHAT = "chat"
TRACE_HEADERS = (b"traceparent", b"tracestate")
# What the conventions call families that we call otherwise.
PROVIDER_NAMES: Mapping[str, str] = {
    "azure": "azure.ai.openai",
    "azure_ai": "azure.ai.inference",
    "bedrock": "aws.bedrock",
    "gemini": "gcp.gemini",
    "mistral": "mistral_ai",
    "vertex_ai": "gcp.vertex_ai",
    "watsonx": "ibm.watsonx.ai",
    "xai": "x_ai",
}
TOKEN_BOUNDS = [4**power for power in range(14)]
SECOND_BOUNDS = [0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92]
Headers = Sequence[tuple[bytes, bytes]]
Attributes = dict[str, Any]


class RequestSpan:
    """The span of one request under way."""

    __slots__ = ("_spans", "span")

    def __init__(self, spans: "Spans", span: "Span") -> None:
        self._spans = spans
        self.span = span

    def end(self, line: RequestLine, reported: tuple[int, str] | None) -> None:
        """End it with what its line says, and make the spans of its calls; `reported` is who answered, by call."""
        self._spans.end(self.span, line, reported)


class Spans:
    """Makes spans and counts tokens, durations and cost, through the providers that it is given."""

    def __init__(self, tracers: "TracerProvider", meters: "MeterProvider", settings: OtelSettings) -> None:
        from opentelemetry import trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._trace = trace
        self._propagator = TraceContextTextMapPropagator()
        self._tracers, self._meters = tracers, meters
        self._tracer = tracers.get_tracer(SCOPE)
        self._takes_over = settings.take_over
        self._passed_to = frozenset(settings.pass_on)
        meter = meters.get_meter(SCOPE)
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            "{token}",
            "Tokens that are billed, by type",
            explicit_bucket_boundaries_advisory=TOKEN_BOUNDS,
        )
        self._durations = meter.create_histogram(
            "gen_ai.client.operation.duration",
            "s",
            "Duration of calls",
            explicit_bucket_boundaries_advisory=SECOND_BOUNDS,
        )
        self._first_chunks = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            "s",
            "Time to the first chunk of streamed calls",
            explicit_bucket_boundaries_advisory=SECOND_BOUNDS,
        )
        self._cost = meter.create_counter("tierwise.cost", "{USD}", "Cost of calls as booked, in dollars")

    def begin(self, path: str, headers: Headers, at_us: int) -> RequestSpan:
        """Begin the span of a request; a trace of the client is taken over where that is configured."""
        context = None
        if self._takes_over:
            given = {n.decode("latin-1"): v.decode("latin-1") for n, v in headers if n in TRACE_HEADERS}
            context = self._propagator.extract(given)
        attributes = {"http.request.method": "POST", "http.route": path}
        kind = self._trace.SpanKind.SERVER
        span = self._tracer.start_span(f"POST {path}", context, kind, attributes, start_time=at_us * 1_000)
        if self._passed_to:
            carrier: dict[str, str] = {}
            self._propagator.inject(carrier, self._trace.set_span_in_context(span))
            OUTGOING.set(OutgoingTrace(carrier[HEADER], self._passed_to))
        return RequestSpan(self, span)

    def end(self, span: "Span", line: RequestLine, reported: tuple[int, str] | None) -> None:
        """End the span of a request, and make those of its calls."""
        fields = line.fields()
        span.set_attributes(_without_unknown({f"tierwise.{name}": fields[name] for name in TOLD}))
        if line.status is not None:
            span.set_attribute("http.response.status_code", line.status)
        if line.status is None or line.status >= 500:
            span.set_attribute("error.type", str(line.error or line.status or "client_gone"))
            span.set_status(self._trace.StatusCode.ERROR)
        below = self._trace.set_span_in_context(span)
        operation = OPERATIONS.get(line.path, CHAT)
        for call in line.calls:
            if call.status not in (None, CallStatus.NOT_SENT) or call.cause is not None:
                model = reported[1] if reported is not None and reported[0] == call.call_no else None
                self._tell_call(call, operation, model, below)
        span.end(end_time=(line.at_us + line.ms * 1_000) * 1_000)

    def close(self) -> None:
        """Send what waits, and end; takes some seconds where nobody takes it."""
        self._tracers.shutdown()
        self._meters.shutdown()

    def _tell_call(self, call: ProviderCall, operation: str, reported: str | None, below: Any) -> None:
        family, _, model = call.intent.provider_model.partition("/")
        common: Attributes = {
            "gen_ai.operation.name": operation,
            "gen_ai.provider.name": PROVIDER_NAMES.get(family, family),
            "gen_ai.request.model": model,
        }
        if reported is not None:
            common["gen_ai.response.model"] = reported
        failed = {} if call.cause is None else {"error.type": str(call.cause)}
        began_ns = call.intent.started_at * 1_000
        span = self._tracer.start_span(
            f"{operation} {model}",
            below,
            self._trace.SpanKind.CLIENT,
            common | failed | _attributes_of(call),
            start_time=began_ns,
        )
        if call.status in (CallStatus.ERROR, CallStatus.NOT_SENT, CallStatus.UNKNOWN):
            span.set_status(self._trace.StatusCode.ERROR)
        span.end(end_time=began_ns + call.duration_ms * 1_000_000)
        self._durations.record(call.duration_ms / 1_000, common | failed)
        if call.first_token_ms is not None:
            self._first_chunks.record(call.first_token_ms / 1_000, common)
        if call.metered is not None:
            usage = call.metered.usage
            self._tokens.record(usage.input_tokens, common | {"gen_ai.token.type": "input"})
            self._tokens.record(usage.output_tokens, common | {"gen_ai.token.type": "output"})
        if call.cost_nanousd:
            self._cost.add(call.cost_nanousd / 1e9, common)


TOLD = (
    "request_id", "segment", "tier", "final_tier", "reason", "outcome", "cause", "calls", "streamed", "first_byte_ms",
    "input_tokens", "output_tokens", "cost_nanousd",
)  # fmt: skip


def _attributes_of(call: ProviderCall) -> Attributes:
    """Say what a call was for, what it used, cached tokens within the input, and what it cost."""
    usage = call.metered.usage if call.metered is not None else None
    return _without_unknown(
        {
            "tierwise.call.number": call.call_no,
            "tierwise.call.kind": call.intent.kind,
            "tierwise.call.status": call.status,
            "tierwise.call.tier": call.intent.tier,
            "tierwise.cost_nanousd": call.cost_nanousd,
            "tierwise.cost_precision": call.metered.precision if call.metered is not None else None,
            "http.response.status_code": call.http_status,
            "gen_ai.usage.input_tokens": usage and usage.input_tokens,
            "gen_ai.usage.output_tokens": usage and usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage and usage.input_cached,
            "gen_ai.usage.cache_creation.input_tokens": usage and usage.input_cache_write,
            "gen_ai.usage.reasoning.output_tokens": usage and usage.output_reasoning,
        }
    )


def _without_unknown(attributes: Mapping[str, Any]) -> Attributes:
    """Leave out what is not known; members of closed lists become their words."""
    plain = (bool, int, float)
    return {n: v if isinstance(v, plain) else str(v) for n, v in attributes.items() if v is not None}


def open_spans(settings: OtelSettings) -> Spans | None:
    """Begin to send spans and metrics by OTLP over HTTP; None where it is off. Raises WrongSetting."""
    if not settings.enabled:
        return None
    require("otel", "otel.enabled", WrongSetting)
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.sampling import ParentBasedTraceIdRatio

    base, resource = settings.endpoint.rstrip("/"), Resource.create({"service.name": settings.service_name})
    tracers = TracerProvider(sampler=ParentBasedTraceIdRatio(settings.share), resource=resource)
    tracers.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{base}/v1/traces")))
    reader = PeriodicExportingMetricReader(
        OTLPMetricExporter(endpoint=f"{base}/v1/metrics"), export_interval_millis=settings.every_s * 1_000
    )
    return Spans(tracers, MeterProvider([reader], resource=resource), settings)
