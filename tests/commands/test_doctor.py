import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.commands.conftest import Command

HEALTHY = """
[tiers.fast]
model = "scripted/fast"
[tiers.reasoning]
model = "scripted/deep"
[tiers.parallel]
models = ["scripted/fast"]
"""


def findings(tierwise: Command, *options: str) -> tuple[int, dict[str, tuple[str, str]]]:
    ran = tierwise("doctor", "--format", "json", *options)
    return ran.code, {row["what"]: (row["state"], row["says"]) for row in json.loads(ran.out)}


def test_a_healthy_configuration_has_nothing_bad(tierwise: Command) -> None:
    Path("tierwise.toml").write_text(HEALTHY)
    code, found = findings(tierwise)
    assert (code, found["scripted/deep"]) == (0, ("ok", "answers"))
    assert found["configuration"] == ("ok", "tierwise.toml")


def test_a_model_that_does_not_answer_is_bad(tierwise: Command) -> None:
    Path("tierwise.toml").write_text(HEALTHY.replace("scripted/deep", "scripted/fail-503"))
    code, found = findings(tierwise)
    assert (code, found["scripted/fail-503"][0]) == (1, "bad")


def test_a_policy_that_the_tiers_contradict_is_named(tierwise: Command) -> None:
    Path("tierwise.toml").write_text(HEALTHY)
    assert findings(tierwise, "--offline")[1]["policy, of the file"] == ("ok", "fits the tiers")
    tierwise("policy", "propose", "--set", "explore=0.02")
    Path("tierwise.toml").write_text(HEALTHY.replace('["scripted/fast"]', '["scripted/deep"]'))
    state, says = findings(tierwise, "--offline")[1]["policy, version 1"]
    assert state == "warning"
    assert "parallel samples the reasoning model" in says


def test_providers_are_left_alone_when_told_so(tierwise: Command) -> None:
    Path("tierwise.toml").write_text(HEALTHY.replace("scripted/deep", "scripted/fail-503"))
    code, found = findings(tierwise, "--offline")
    assert (code, "scripted/fail-503" in found) == (0, False)


def test_a_model_without_a_price_is_named(tierwise: Command) -> None:
    Path("tierwise.toml").write_text('[models.own]\nmodel = "openai/nobody-priced-this"\n')
    assert findings(tierwise, "--offline")[1]["price of openai/nobody-priced-this"][0] == "warning"


def test_a_variable_that_sets_nothing_is_named(tierwise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIERWISE_SERVR__PORT", "1")
    says = "sets nothing; did you mean TIERWISE_SERVER__PORT?"
    assert findings(tierwise, "--offline")[1]["TIERWISE_SERVR__PORT"] == ("warning", says)


def test_a_database_that_cannot_be_read_is_bad(tierwise: Command) -> None:
    Path("tierwise.toml").write_text('database_url = "postgresql+psycopg://me:pssst@127.0.0.1:9/none"\n')
    ran = tierwise("doctor", "--offline", "--format", "json")
    assert (ran.code, "pssst" in ran.out) == (1, False)


def test_looking_changes_nothing(tierwise: Command, here: Path) -> None:
    tierwise("doctor", "--offline")
    assert list(here.iterdir()) == []


def test_it_says_who_needs_a_key(tierwise: Command) -> None:
    Path("tierwise.toml").write_text(HEALTHY)
    assert "until the first is made" in findings(tierwise, "--offline")[1]["API keys"][1]
    tierwise("keys", "create", "app")
    assert "1 live, so server.auth = auto counts as required" in findings(tierwise, "--offline")[1]["API keys"][1]
    tierwise("keys", "revoke", "app")
    assert "until the first is made" in findings(tierwise, "--offline")[1]["API keys"][1]


def calls_booked() -> list[dict[str, Any]]:
    """Every call in the books, with what its request was for."""
    with closing(sqlite3.connect("var/tierwise.db")) as books:
        books.row_factory = sqlite3.Row
        of_request = "r.requested_model, r.reason, r.tier AS final_tier"
        query = f"SELECT {of_request}, c.* FROM v_calls c JOIN v_requests r USING (request_id)"  # noqa: S608
        return [dict(row) for row in books.execute(query)]


def test_each_model_is_asked_for_one_token_which_is_booked(tierwise: Command) -> None:
    Path("tierwise.toml").write_text(HEALTHY)
    assert findings(tierwise)[0] == 0
    rows = calls_booked()
    assert {row["provider_model"] for row in rows} == {"scripted/fast", "scripted/deep"}
    assert {(row["reason"], row["requested_model"]) for row in rows} == {("housekeeping", "doctor")}
    assert {(row["final_tier"], row["kind"], row["status"]) for row in rows} == {("fast", "answer", "ok")}
    assert all(row["output_visible"] == 1 and row["cost_nanousd"] > 0 for row in rows)
    assert list(Path("var/spool").glob("*.spool")) == []


def test_what_a_model_that_fails_cost_is_booked_too(tierwise: Command) -> None:
    Path("tierwise.toml").write_text(HEALTHY.replace("scripted/deep", "scripted/fail-429"))
    code, found = findings(tierwise)
    assert (code, found["scripted/fail-429"][0]) == (1, "bad")
    assert found["scripted/fail-429"][1].startswith("rate_limited (HTTP 429): ")
    [row] = [row for row in calls_booked() if row["provider_model"] == "scripted/fail-429"]
    assert (row["status"], row["cause"], row["cost_nanousd"]) == ("error", "rate_limited", 0)


def test_what_was_asked_for_is_no_deep_answer(tierwise: Command) -> None:
    Path("tierwise.toml").write_text(HEALTHY)
    findings(tierwise)
    totals = json.loads(tierwise("report", "--format", "json").out)["totals"]
    assert (totals["requests"], totals["deep_share"]) == (2, "0.000000")


def test_told_to_ask_nothing_that_costs_it_books_nothing(tierwise: Command) -> None:
    Path("tierwise.toml").write_text(HEALTHY)
    code, found = findings(tierwise, "--free")
    assert (code, found["scripted/deep"]) == (0, ("ok", "is there; it was not asked for an answer"))
    assert not Path("var").exists()


def test_where_nothing_can_be_booked_nothing_that_costs_is_asked(tierwise: Command) -> None:
    Path("tierwise.toml").write_text('database_url = "postgresql+psycopg://me:pssst@127.0.0.1:9/none"\n' + HEALTHY)
    code, found = findings(tierwise)
    assert (code, found["scripted/deep"]) == (1, ("ok", "is there; it was not asked for an answer"))


def test_a_model_for_vectors_is_asked_for_no_conversation(tierwise: Command) -> None:
    theirs = '[models.theirs]\nmodel = "cohere/embed-english-v3.0"\n'
    Path("tierwise.toml").write_text(HEALTHY + '[models.vectors]\nmodel = "scripted/embed"\n' + theirs)
    code, found = findings(tierwise)
    assert (code, found["scripted/embed"]) == (0, ("ok", "is there; it answers no conversations and was not asked"))
    assert found["cohere/embed-english-v3.0"][1].startswith("not looked for, because that would cost a token")
    assert "cohere/embed-english-v3.0" not in {row["provider_model"] for row in calls_booked()}


def test_a_missing_key_is_named_with_its_variable_model_and_line(tierwise: Command) -> None:
    Path("tierwise.toml").write_text(
        HEALTHY + '[models.ours]\nmodel = "openai/gpt-5"\n[models.theirs]\nmodel = "openai/x"\napi_key_env = "THEIRS"\n'
    )
    ran = tierwise("doctor", "--offline", "--format", "json")
    says = [row["says"] for row in json.loads(ran.out) if row["what"] == "key of a provider"]
    assert says == [
        "tierwise.toml, line 9: openai/gpt-5 has no key; set the variable OPENAI_API_KEY",
        "tierwise.toml, line 11: openai/x has no key; set the variable THEIRS",
    ]


def test_a_toy_in_a_deep_tier_is_named(tierwise: Command) -> None:
    state, says = findings(tierwise, "--offline")[1]["embedded model"]
    assert (state, says.startswith("reasoning and parallel answer with the embedded model")) == ("warning", True)


class Failing:
    """A server of models on this machine that answers everything with one status."""

    def __init__(self, status: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                body = b'{"error": {"message": "no", "code": null}}'
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}/v1"


@contextmanager
def failing(status: int) -> Iterator[str]:
    served = Failing(status)
    thread = threading.Thread(target=served.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield served.base
    finally:
        served.server.shutdown()
        served.server.server_close()
        thread.join()


@pytest.mark.parametrize(
    ("status", "cause", "advice"),
    [
        (401, "credentials", "the key is wrong, has ended, or is not for this model"),
        (404, "not_found", "it has no model of this name for this key, or api_base is not its address"),
        (429, "rate_limited", "try again later"),
        (503, "overloaded", "the provider has no room at the moment"),
    ],
)
def test_a_failure_is_told_with_its_cause_its_address_and_the_key(
    tierwise: Command, monkeypatch: pytest.MonkeyPatch, status: int, cause: str, advice: str
) -> None:
    monkeypatch.setenv("OURS", "sk-secret")
    with failing(status) as base:
        mine = f'[models.ours]\nmodel = "openai/x"\napi_base = "{base}"\napi_key_env = "OURS"\n'
        Path("tierwise.toml").write_text(HEALTHY + mine)
        code, found = findings(tierwise)
    state, says = found["openai/x"]
    assert (code, state, says.startswith(f"{cause} (HTTP {status}): ")) == (1, "bad", True)
    assert f"asked at {base}" in says
    assert advice in says
    assert ("with the key in OURS" in says) == (cause != "overloaded")
    assert "sk-secret" not in says


@pytest.mark.parametrize(
    ("base", "why"),
    [
        ("http://127.0.0.1:9/v1", "nothing listens there"),
        ("http://no-such-host.invalid/v1", "DNS knows no such name"),
    ],
)
def test_a_server_that_cannot_be_reached_is_told_why(tierwise: Command, base: str, why: str) -> None:
    Path("tierwise.toml").write_text(
        HEALTHY + f'[models.ours]\nmodel = "openai/x"\napi_base = "{base}"\napi_key = "k"\n'
    )
    code, found = findings(tierwise)
    assert (code, found["openai/x"][0]) == (1, "bad")
    assert found["openai/x"][1].startswith("unreachable: ")
    assert why in found["openai/x"][1]


def test_a_port_that_does_not_speak_tls_is_told(tierwise: Command) -> None:
    with failing(200) as base:
        tls = base.replace("http:", "https:")
        Path("tierwise.toml").write_text(
            HEALTHY + f'[models.ours]\nmodel = "openai/x"\napi_base = "{tls}"\napi_key = "k"\n'
        )
        assert "TLS failed" in findings(tierwise)[1]["openai/x"][1]
