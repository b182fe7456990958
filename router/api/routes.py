"""The endpoints of the data plane: what a client calls, and which scope its key needs."""

from dataclasses import dataclass


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
    HttpRoute("POST", "/v1/messages", "chat", "Answer in the form of Anthropic's Messages API, streamed or whole."),
    HttpRoute("POST", "/v1/messages/count_tokens", "chat", "Count the input tokens of such a request, as an estimate."),
    HttpRoute("POST", "/v1/embeddings", "chat", "Pass texts on to an explicit model, for their vectors."),
    HttpRoute("POST", "/v1/completions", "chat", "Pass a prompt on to an explicit model, as in OpenAI's older API."),
    HttpRoute("POST", "/v1/quotes", "chat", "Quote a chat request: cost, time, P(correct) by tier; calls nothing."),
    HttpRoute("GET", "/v1/models", "any", "List the models: auto, the tiers, the explicitly configured ones."),
    HttpRoute("GET", "/v1/models/{model}", "any", "Show one model."),
    HttpRoute("GET", "/v1/usage", "any", "What this key used and spent, by UTC day (`since`, `until`) and in all."),
    HttpRoute("POST", "/v1/feedback", "feedback", "Rate an answer of the same key."),
    HttpRoute("POST", "/v1/revenue-events", "revenue", "Book revenue that a network reported."),
    HttpRoute("GET", "/health/live", "none", "Is the process alive?"),
    HttpRoute("GET", "/health/ready", "none", "Can it serve? How late are the books?"),
    HttpRoute("GET", "/metrics", "metrics", "Prometheus metrics of this worker."),
)
