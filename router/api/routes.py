"""The endpoints of the data plane: what a client calls, which scope its key needs, what was meant by a near miss."""

import re
from dataclasses import dataclass

from router.mistakes.names import closest

LONGEST_PATH = 256  # that is looked at and shown
V1 = "/v1"


@dataclass(frozen=True, slots=True)
class HttpRoute:
    """One row of the HTTP reference."""

    method: str
    path: str
    scope: str
    summary: str


ROUTES = (
    HttpRoute("POST", "/v1/chat/completions", "chat", "Answer a conversation, streamed or whole."),
    HttpRoute("POST", "/v1/responses", "chat", "Answer in the form of the Responses API, streamed or whole."),
    HttpRoute("GET", "/v1/responses/{response_id}", "chat", "Show a response that the same key stored."),
    HttpRoute("DELETE", "/v1/responses/{response_id}", "chat", "Delete a response that the same key stored."),
    HttpRoute("POST", "/v1/responses/{response_id}/cancel", "chat", "Cancel a background response of the same key."),
    HttpRoute(
        "POST",
        "/v1/responses/{response_id}/answer_now",
        "chat",
        "End a background response with the answer that leads, and cancel the rest of its work.",
    ),
    HttpRoute(
        "POST",
        "/v1/responses/{response_id}/instructions",
        "chat",
        "Add an instruction to a background response; its next samples follow it.",
    ),
    HttpRoute("POST", "/v1/messages", "chat", "Answer in the form of Anthropic's Messages API, streamed or whole."),
    HttpRoute("POST", "/v1/messages/count_tokens", "chat", "Estimate the input tokens of such a request."),
    HttpRoute("POST", "/v1/embeddings", "chat", "Pass texts on to an explicit model, which returns their vectors."),
    HttpRoute("POST", "/v1/completions", "chat", "Pass a prompt on to an explicit model, as in OpenAI's older API."),
    HttpRoute("POST", "/v1/quotes", "chat", "Quote a chat request: cost, time and P(correct) by tier; calls no model."),
    HttpRoute("GET", "/v1/models", "any", "List the models: auto, the tiers and the explicitly configured ones."),
    HttpRoute("GET", "/v1/models/{model}", "any", "Show one model."),
    HttpRoute("GET", "/v1/usage", "any", "What this key used and spent, by UTC day (`since`, `until`) and in total."),
    HttpRoute("POST", "/v1/feedback", "feedback", "Rate an answer of the same key."),
    HttpRoute("POST", "/v1/revenue-events", "revenue", "Book revenue that a network reported."),
    HttpRoute("GET", "/", "none", "Describe what this server offers: a page for browsers, JSON for programs."),
    HttpRoute("GET", "/v1", "none", "The same as `/`."),
    HttpRoute("GET", "/docs", "none", "Describe every address and what it takes, as a page."),
    HttpRoute("GET", "/openapi.json", "none", "Describe every address and what it takes, as an OpenAPI document."),
    HttpRoute("GET", "/health/live", "none", "Tell whether the process is alive."),
    HttpRoute("GET", "/health/ready", "none", "Tell whether it can serve, and how far the books lag behind."),
    HttpRoute("GET", "/metrics", "metrics", "Show the Prometheus metrics of all workers of this machine."),
)


def methods_at(path: str) -> list[str]:
    """Return the methods that an address takes; none where there is no such address."""
    return [route.method for route in ROUTES if _pattern(route.path).fullmatch(path)]


def find_meant(path: str) -> HttpRoute | None:
    """Return the route that was meant by an address that is none: `/v1` left out or twice, or a typing error."""
    path = re.sub(r"/+", "/", path[:LONGEST_PATH]).rstrip("/").lower()
    versioned = V1 + path.rpartition(V1)[2]
    for route in ROUTES:
        if any(_pattern(route.path).fullmatch(candidate) for candidate in (path, versioned)):
            return route
    known = [route.path for route in ROUTES]
    like = closest(versioned, known) or closest(path, known)
    return next((route for route in ROUTES if route.path == like), None)


def _pattern(path: str) -> re.Pattern[str]:
    """The addresses of a route: a parameter is anything but a slash; the name of a model may have some."""
    parts = re.split(r"({\w+})", path)
    written = (".+" if part == "{model}" else "[^/]+" if part.startswith("{") else re.escape(part) for part in parts)
    return re.compile("".join(written))
