"""The trace that a request belongs to, as its provider may be told it: the W3C header `traceparent`.

It is set for the time of one request, only where tracing is on and only for the models that are to be told.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass

from multidict import CIMultiDict

HEADER = "traceparent"


@dataclass(frozen=True, slots=True)
class OutgoingTrace:
    """A trace to pass on; `to` names providers (`openai`) and models (`openai/gpt-5-nano`)."""

    traceparent: str
    to: frozenset[str]


OUTGOING: ContextVar[OutgoingTrace | None] = ContextVar("outgoing_trace", default=None)


def headers_with_trace(headers: CIMultiDict[str], provider: str, model: str) -> Mapping[str, str]:
    """Return the headers of a call, with the trace where its model is to be told."""
    trace = OUTGOING.get()
    if trace is None or (provider not in trace.to and model not in trace.to):
        return headers
    return CIMultiDict(headers, **{HEADER: trace.traceparent})
