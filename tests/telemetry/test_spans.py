"""Spans and metrics, as a collector gets them."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("opentelemetry.sdk", reason="installed with the extra `otel`")
from multidict import CIMultiDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from router.errors import Cause
from router.ledger.entries import CallIntent
from router.providers.base import Metered
from router.providers.trace import OUTGOING, headers_with_trace
from router.settings import OtelSettings
from router.telemetry.request_log import RequestLine
from router.telemetry.spans import Spans
from router.tiers.calls import ProviderCall
from router.types import CallKind, CallStatus, Precision, Tier, Usage
from tests.api.service import CHAT, a_chat, serving, settings_of
from tests.ledger.builders import NOON
from tests.notifications.test_webhooks import receiving

TRACE = "0af7651916cd43dd8448eb211c80319c"
GIVEN = [(b"traceparent", f"00-{TRACE}-b7ad6b7169203331-01".encode())]
USAGE = Usage(input_fresh=100, input_cached=40, input_cache_write=10, output_visible=7, output_reasoning=3)


class Collector:
    """Everything that would be sent."""

    def __init__(self, **settings: Any) -> None:
        self.exporter, self.reader = InMemorySpanExporter(), InMemoryMetricReader()
        tracers = TracerProvider()
        tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.spans = Spans(tracers, MeterProvider([self.reader]), OtelSettings(enabled=True, **settings))

    def of(self, name: str) -> ReadableSpan:
        [span] = [span for span in self.exporter.get_finished_spans() if span.name == name]
        return span

    def points(self, name: str) -> list[Any]:
        found = self.reader.get_metrics_data()
        assert found is not None
        metrics = [one for of in found.resource_metrics for scope in of.scope_metrics for one in scope.metrics]
        return [point for metric in metrics if metric.name == name for point in metric.data.data_points]


def a_call(model: str = "gemini/small", **changes: Any) -> ProviderCall:
    call = ProviderCall(CallIntent("a", 0, CallKind.ANSWER, Tier.FAST, model, None, None, NOON), None, 0.0)
    call.status, call.duration_ms, call.first_token_ms = CallStatus.OK, 1_500, 200
    call.metered, call.cost_nanousd = Metered(USAGE, Precision.EXACT), 5_000
    for name, value in changes.items():
        setattr(call, name, value)
    return call


def told(collector: Collector, *calls: ProviderCall, status: int = 200, headers: Any = ()) -> None:
    span = collector.spans.begin(CHAT, headers, NOON)
    span.end(RequestLine(NOON, "a", CHAT, status, 2_000, calls=calls), (0, "small-2027"))


def test_a_call_is_a_span_by_the_conventions_below_its_request() -> None:
    collector = Collector()
    told(collector, a_call())
    request, call = collector.of(f"POST {CHAT}"), collector.of("chat small")
    assert call.parent is not None
    assert call.parent.span_id == request.context.span_id
    assert dict(call.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "small",
        "gen_ai.response.model": "small-2027",
        "gen_ai.usage.input_tokens": 150,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "gen_ai.usage.cache_creation.input_tokens": 10,
        "gen_ai.usage.reasoning.output_tokens": 3,
        "tierwise.call.kind": "answer",
        "tierwise.call.number": 0,
        "tierwise.call.status": "ok",
        "tierwise.call.tier": "fast",
        "tierwise.cost_nanousd": 5_000,
        "tierwise.cost_precision": "exact",
    }
    assert ((call.end_time or 0) - (call.start_time or 0)) == 1_500_000_000


def test_a_failed_call_tells_its_cause() -> None:
    collector = Collector()
    told(collector, a_call(status=CallStatus.ERROR, cause=Cause.OVERLOADED, http_status=503, metered=None), status=502)
    attributes = collector.of("chat small").attributes or {}
    assert (attributes["error.type"], attributes["http.response.status_code"]) == ("overloaded", 503)
    assert not collector.of(f"POST {CHAT}").status.is_ok


def test_tokens_durations_first_chunks_and_cost_are_counted() -> None:
    collector = Collector()
    told(collector, a_call(), a_call())
    tokens = {p.attributes["gen_ai.token.type"]: p.sum for p in collector.points("gen_ai.client.token.usage")}
    assert tokens == {"input": 300, "output": 20}
    assert [p.sum for p in collector.points("gen_ai.client.operation.duration")] == [3.0]
    assert [p.sum for p in collector.points("gen_ai.client.operation.time_to_first_chunk")] == [0.4]
    assert [p.value for p in collector.points("tierwise.cost")] == [pytest.approx(1e-5)]


@pytest.mark.parametrize("takes_over", [True, False])
def test_a_clients_trace_is_taken_over_only_where_that_is_configured(takes_over: bool) -> None:
    collector = Collector(take_over=takes_over)
    told(collector, headers=GIVEN)
    assert (f"{collector.of(f'POST {CHAT}').context.trace_id:032x}" == TRACE) is takes_over


def test_a_trace_is_passed_on_only_to_whom_it_is_meant_for() -> None:
    collector = Collector(pass_on=["openai", "groq/small"])
    span = collector.spans.begin(CHAT, (), NOON)
    plain = CIMultiDict({"authorization": "Bearer x"})
    context = span.span.get_span_context()
    passed = headers_with_trace(plain, "openai", "openai/any")
    assert passed["traceparent"].startswith(f"00-{context.trace_id:032x}-{context.span_id:016x}-")
    assert "traceparent" in headers_with_trace(plain, "groq", "groq/small")
    assert headers_with_trace(plain, "groq", "groq/large") is plain
    assert "traceparent" not in plain
    OUTGOING.set(None)


async def test_a_served_request_reaches_a_collector(tmp_path: Path) -> None:
    with receiving(*[200] * 20) as receiver:
        otel = {"enabled": True, "endpoint": receiver.url.removesuffix("/alerts"), "every_s": 3600}
        async with serving(settings_of(tmp_path, otel=otel)) as service:
            answered = await service.local.post(CHAT, json=a_chat("fast", stream=True))
    spans: dict[str, Any] = {}
    for headers, body in receiver.got:
        if b"tierwise.request_id" in body:  # spans; the rest are metrics
            assert headers["content-type"] == "application/x-protobuf"
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                spans |= {span.name: span for scope in resource.scope_spans for span in scope.spans}
    request, call = spans[f"POST {CHAT}"], spans["chat fast-echo"]
    assert call.parent_span_id == request.span_id
    attributes = {one.key: one.value for one in request.attributes}
    assert attributes["tierwise.request_id"].string_value == answered.headers["x-request-id"]
    assert attributes["http.response.status_code"].int_value == 200
    assert not any(b"hello" in body for _, body in receiver.got)


@pytest.mark.slow
def test_turned_off_nothing_of_it_is_imported() -> None:
    tried = "import sys, router.app; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", tried], check=False).returncode == 0
