"""What failures mean, in words and shapes that providers really use (after their references and bug reports)."""

from typing import Any

import msgspec
import pytest

from router.errors import Cause, ProviderError, ProviderOverloaded, ProviderRefused, ProviderTimeout
from router.providers.causes import judge, table
from router.providers.refusals import error_of, failure_in, parse, parse_decoded, retry_after_seconds

# (family, status, body, cause)
FAILURES: list[tuple[str, int, Any, Cause]] = [
    # Bad keys, told with anything.
    ("openai", 401, {"error": {"message": "Incorrect API key provided", "code": "invalid_api_key"}}, Cause.CREDENTIALS),
    (
        "gemini",
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "API key not valid. Please pass a valid API key.",
                    "status": "INVALID_ARGUMENT",
                    "details": [{"reason": "API_KEY_INVALID"}],
                }
            }
        ],
        Cause.CREDENTIALS,
    ),
    (
        "gemini",
        400,
        {"error": {"code": 400, "message": "API key expired. Please renew the API key."}},
        Cause.CREDENTIALS,
    ),
    (
        "xai",
        400,
        {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: xa***. Get one at ..."},
        Cause.CREDENTIALS,
    ),
    ("cohere", 401, {"message": "invalid api token"}, Cause.CREDENTIALS),
    ("openai", 400, {"message": "invalid api token"}, Cause.CREDENTIALS),
    ("bedrock", 403, {"message": "The security token included in the request is invalid."}, Cause.CREDENTIALS),
    ("bedrock", 400, {"__type": "com.amazon#UnrecognizedClientException", "message": "no"}, Cause.CREDENTIALS),
    ("openrouter", 401, {"error": {"message": "No auth credentials found", "code": 401}}, Cause.CREDENTIALS),
    ("openrouter", 401, {"error": {"message": "User not found.", "code": 401}}, Cause.CREDENTIALS),
    ("deepseek", 401, {"error": {"message": "Authentication Fails (no such user)"}}, Cause.CREDENTIALS),
    ("mistral", 401, {"message": "Unauthorized", "request_id": "x"}, Cause.CREDENTIALS),
    ("openai", 500, {"error": {"message": "无效的令牌 (request id: 1)", "type": "one_api_error"}}, Cause.CREDENTIALS),
    ("gemini", 400, {"error": {"message": "User location is not supported for the API use."}}, Cause.CREDENTIALS),
    ("openai", 403, {"error": {"code": "unsupported_country_region_territory", "message": "no"}}, Cause.CREDENTIALS),
    # No credit.
    (
        "openai",
        429,
        {"error": {"message": "You exceeded your current quota, please check your plan", "code": "insufficient_quota"}},
        Cause.NO_CREDIT,
    ),
    (
        "anthropic",
        400,
        {
            "type": "error",
            "error": {"type": "invalid_request_error", "message": "Your credit balance is too low to access the API."},
        },
        Cause.NO_CREDIT,
    ),
    ("deepseek", 402, {"error": {"message": "Insufficient Balance", "type": "unknown_error"}}, Cause.NO_CREDIT),
    (
        "openai",
        400,
        {
            "error": {
                "code": "Arrearage",
                "message": "Access denied, please make sure your account is in good standing.",
            }
        },
        Cause.NO_CREDIT,
    ),
    (
        "openai",
        403,
        {"code": 30001, "message": "Sorry, your account balance is insufficient", "data": None},
        Cause.NO_CREDIT,
    ),
    ("zai", 429, {"error": {"code": "1113", "message": "余额不足或无可用资源包,请充值。"}}, Cause.NO_CREDIT),
    ("xai", 403, {"error": "Your newly created team doesn't have any credits yet."}, Cause.NO_CREDIT),
    (
        "openrouter",
        402,
        {"error": {"code": 402, "message": "This request requires more credits, or fewer max_tokens."}},
        Cause.NO_CREDIT,
    ),
    (
        "moonshot",
        429,
        {"error": {"type": "exceeded_current_quota_error", "message": "Your account is suspended, check your plan"}},
        Cause.NO_CREDIT,
    ),
    (
        "openai",
        403,
        {"error": {"message": "user quota is not enough", "code": "insufficient_user_quota"}},
        Cause.NO_CREDIT,
    ),
    # Rate limits.
    (
        "groq",
        413,
        {
            "error": {
                "message": "Request too large for model `m` on tokens per minute (TPM): Limit 6000, Requested 14368",
                "type": "tokens",
                "code": "rate_limit_exceeded",
            }
        },
        Cause.RATE_LIMITED,
    ),
    (
        "gemini",
        429,
        {
            "error": {
                "code": 429,
                "message": "You exceeded your current quota, please check your plan and billing details.",
                "status": "RESOURCE_EXHAUSTED",
            }
        },
        Cause.RATE_LIMITED,
    ),
    ("bedrock", 400, {"message": "Too many tokens, please wait before trying again."}, Cause.RATE_LIMITED),
    ("bedrock", 429, {"__type": "ThrottlingException", "message": "Too many requests"}, Cause.RATE_LIMITED),
    ("openai", 400, {"code": "Throttling.RateQuota", "message": "Requests rate limit exceeded"}, Cause.RATE_LIMITED),
    ("mistral", 429, {"message": "Service tier capacity exceeded for this model.", "code": "3505"}, Cause.RATE_LIMITED),
    (
        "cohere",
        429,
        {"message": "You are using a Trial key, which is limited to 40 API calls / minute."},
        Cause.RATE_LIMITED,
    ),
    ("openai", 500, {"error": {"message": "Rate limit reached for requests"}}, Cause.RATE_LIMITED),
    ("zai", 400, {"error": {"code": "1302", "message": "您的账户已达到速率限制"}}, Cause.RATE_LIMITED),
    ("openai", 403, {"error": {"message": "rateLimitExceeded: Rate Limit Exceeded"}}, Cause.RATE_LIMITED),
    # No capacity.
    ("anthropic", 529, {"error": {"type": "overloaded_error", "message": "Overloaded"}}, Cause.OVERLOADED),
    ("gemini", 503, {"error": {"message": "The model is overloaded.", "status": "UNAVAILABLE"}}, Cause.OVERLOADED),
    ("moonshot", 429, {"error": {"type": "engine_overloaded_error", "message": "try again later"}}, Cause.OVERLOADED),
    ("openai", 500, {"error": {"message": "当前分组上游负载已饱和，请稍后再试"}}, Cause.OVERLOADED),
    ("openai", 503, {"error": {"message": "no available channel for model x"}}, Cause.OVERLOADED),
    ("huggingface", 503, {"error": "Model is currently loading", "estimated_time": 20}, Cause.OVERLOADED),
    # Too long.
    (
        "openai",
        400,
        {
            "error": {
                "message": "This model's maximum context length is 8192 tokens.",
                "code": "context_length_exceeded",
            }
        },
        Cause.CONTEXT_TOO_LONG,
    ),
    (
        "hosted_vllm",
        400,
        {"object": "error", "message": "This model's maximum context length is 4096 tokens.", "code": 400},
        Cause.CONTEXT_TOO_LONG,
    ),
    (
        "anthropic",
        400,
        {"error": {"message": "prompt is too long: 210000 tokens > 200000 maximum"}},
        Cause.CONTEXT_TOO_LONG,
    ),
    (
        "anthropic",
        400,
        {"error": {"message": "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"}},
        Cause.CONTEXT_TOO_LONG,
    ),
    (
        "gemini",
        400,
        {
            "error": {
                "message": "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576)."
            }
        },
        Cause.CONTEXT_TOO_LONG,
    ),
    (
        "llamacpp",
        400,
        {"error": {"type": "exceed_context_size_error", "message": "the request exceeds the available context size"}},
        Cause.CONTEXT_TOO_LONG,
    ),
    (
        "moonshot",
        400,
        {"error": {"message": "Invalid request: Your request exceeded model token limit: 8192 (requested: 9000)"}},
        Cause.CONTEXT_TOO_LONG,
    ),
    (
        "mistral",
        400,
        {"message": "Prompt contains 40000 tokens, too large for model with 32768 maximum context length"},
        Cause.CONTEXT_TOO_LONG,
    ),
    ("cohere", 400, {"message": "too many tokens: total number of tokens cannot exceed 4081"}, Cause.CONTEXT_TOO_LONG),
    ("bedrock", 400, {"message": "Input is too long for requested model."}, Cause.CONTEXT_TOO_LONG),
    (
        "xai",
        400,
        {"error": "This model's maximum prompt length is 131072 but the request contains 2."},
        Cause.CONTEXT_TOO_LONG,
    ),
    ("openai", 400, {"message": "Range of input length should be [1, 30720]"}, Cause.CONTEXT_TOO_LONG),
    (
        "together_ai",
        422,
        {"error": {"message": "`inputs` tokens + `max_new_tokens` must be <= 8193."}},
        Cause.CONTEXT_TOO_LONG,
    ),
    ("openai", 413, "<html>413 Request Entity Too Large</html>", Cause.CONTEXT_TOO_LONG),
    (
        "github",
        413,
        {"error": {"code": "tokens_limit_reached", "message": "Request body too large"}},
        Cause.CONTEXT_TOO_LONG,
    ),
    # On grounds of policy.
    (
        "azure",
        400,
        {"error": {"code": "content_filter", "message": "The response was filtered due to the prompt triggering ..."}},
        Cause.CONTENT_FILTER,
    ),
    ("deepseek", 400, {"error": {"message": "Content Exists Risk"}}, Cause.CONTENT_FILTER),
    (
        "openrouter",
        403,
        {"error": {"code": 403, "message": "Your chosen model requires moderation and your input was flagged"}},
        Cause.CONTENT_FILTER,
    ),
    (
        "openai",
        400,
        {"code": "data_inspection_failed", "message": "Input may contain inappropriate content"},
        Cause.CONTENT_FILTER,
    ),
    (
        "zai",
        400,
        {"error": {"code": "1301", "message": "系统检测到输入或生成内容可能包含不安全或敏感内容"}},
        Cause.CONTENT_FILTER,
    ),
    # No such model.
    ("openai", 404, {"error": {"code": "model_not_found", "message": "The model `x` does not exist"}}, Cause.NOT_FOUND),
    ("openai", 400, {"error": {"message": "Model Not Exist", "type": "invalid_request_error"}}, Cause.NOT_FOUND),
    ("openai", 400, {"error": {"message": "google/x is not a valid model ID", "code": 400}}, Cause.NOT_FOUND),
    ("ollama", 404, {"error": "model 'qwen3' not found, try pulling it first"}, Cause.NOT_FOUND),
    (
        "groq",
        400,
        {"error": {"code": "model_decommissioned", "message": "The model has been decommissioned"}},
        Cause.NOT_FOUND,
    ),
    ("openai", 404, "<html>nginx</html>", Cause.NOT_FOUND),
    # The request is wrong, whatever words it repeats.
    (
        "openai",
        400,
        {"error": {"message": "Invalid schema for function 'get_billing_info': 'x' is not valid", "param": "tools"}},
        Cause.BAD_REQUEST,
    ),
    (
        "openai",
        400,
        {"error": {"message": "Invalid value for 'tools[0].function.name': 'rate_limit'"}},
        Cause.BAD_REQUEST,
    ),
    ("openai", 400, {"error": {"message": "Missing required parameter: 'api_key'."}}, Cause.BAD_REQUEST),
    ("mistral", 422, {"detail": [{"loc": ["body", "stop"], "msg": "Input should be a list"}]}, Cause.BAD_REQUEST),
    (
        "openai",
        400,
        {"error": {"message": "max_tokens is too large: 100000. At most 16384 completion tokens."}},
        Cause.BAD_REQUEST,
    ),
    # The model failed, not the caller.
    (
        "groq",
        400,
        {"error": {"code": "tool_use_failed", "message": "Failed to call a function.", "failed_generation": "<f"}},
        Cause.NONSENSE,
    ),
    ("groq", 400, {"error": {"code": "json_validate_failed", "message": "Failed to generate JSON."}}, Cause.NONSENSE),
    # Only the status.
    ("openai", 500, "<html>oops</html>", Cause.UNKNOWN),
    ("openai", 502, "<html>bad gateway</html>", Cause.OVERLOADED),
    ("openai", 504, "", Cause.TIMEOUT_FIRST_BYTE),
    ("openai", 524, "", Cause.TIMEOUT_FIRST_BYTE),
    ("openai", 403, "<html>Forbidden</html>", Cause.CREDENTIALS),
]


def told(family: str, status: int, body: Any) -> ProviderError:
    raw = body.encode() if isinstance(body, str) else msgspec.json.encode(body)
    return error_of(f"{family}/m", status, raw, {}, "sk-secret")


@pytest.mark.parametrize(("family", "status", "body", "cause"), FAILURES)
def test_a_failure_is_judged_by_what_it_says(family: str, status: int, body: Any, cause: Cause) -> None:
    error = told(family, status, body)
    assert error.cause is cause
    assert error.provider_status == status


@pytest.mark.parametrize(
    ("cause", "kind", "status", "code", "another_may_do"),
    [
        (Cause.CREDENTIALS, ProviderError, 502, "provider_credentials", True),
        (Cause.NO_CREDIT, ProviderError, 502, "provider_no_credit", True),
        (Cause.RATE_LIMITED, ProviderOverloaded, 429, "provider_overloaded", True),
        (Cause.OVERLOADED, ProviderOverloaded, 503, "provider_overloaded", True),
        (Cause.BAD_REQUEST, ProviderRefused, 400, "provider_refused", False),
        (Cause.NOT_FOUND, ProviderError, 502, "provider_error", True),
        (Cause.CONTENT_FILTER, ProviderRefused, 400, "content_filter", False),
        (Cause.CONTEXT_TOO_LONG, ProviderRefused, 400, "context_length_exceeded", True),
        (Cause.NONSENSE, ProviderError, 502, "provider_error", True),
        (Cause.UNKNOWN, ProviderError, 502, "provider_error", True),
        (Cause.TIMEOUT_FIRST_BYTE, ProviderTimeout, 504, "provider_timeout", True),
    ],
)
def test_a_cause_tells_whose_fault_it_is_and_whether_another_model_may_do(
    cause: Cause, kind: type[ProviderError], status: int, code: str, another_may_do: bool
) -> None:
    of_cause = [told(*failure[:3]) for failure in FAILURES if failure[3] is cause]
    assert {(type(error), error.status, error.code, error.retryable) for error in of_cause} == {
        (kind, status, code, another_may_do)
    }


def test_what_a_model_lacks_is_asked_of_another() -> None:
    error = told("ollama", 400, {"error": "registry.ollama.ai/library/gemma:latest does not support tools"})
    assert (error.cause, error.status, error.retryable) == (Cause.BAD_REQUEST, 400, True)


@pytest.mark.parametrize("cause", [Cause.CREDENTIALS, Cause.NO_CREDIT])
def test_what_is_the_operators_business_is_not_told_in_the_providers_words(cause: Cause) -> None:
    for family, status, body, of in FAILURES:
        if of is cause:
            error = told(family, status, body)
            assert error.message.startswith(f"{family}/m ")
            assert "***" not in error.message


@pytest.mark.parametrize(
    ("body", "cause"),
    [
        ({"base_resp": {"status_code": 1002, "status_msg": "limit(RPM)"}, "choices": None}, Cause.RATE_LIMITED),
        ({"base_resp": {"status_code": 1004, "status_msg": "login fail"}}, Cause.CREDENTIALS),
        ({"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}, Cause.NO_CREDIT),
        ({"error": {"code": 429, "message": "Provider returned error"}}, Cause.RATE_LIMITED),
        ({"error": {"code": 502, "message": "Upstream"}}, Cause.OVERLOADED),
        ({"error": "something odd"}, Cause.UNKNOWN),
        ({"object": "error", "message": "maximum context length is 4096 tokens", "code": 400}, Cause.CONTEXT_TOO_LONG),
        ({"code": 1301, "msg": "敏感", "success": False}, Cause.CONTENT_FILTER),
        ({"error_code": 18, "error_msg": "Open api qps request limit reached"}, Cause.RATE_LIMITED),
        ({"status": "449", "msg": "You exceeded your current rate limit", "code": "449"}, Cause.RATE_LIMITED),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, Cause.OVERLOADED),
        (
            {"error": {"message": "failed", "code": 400, "metadata": {"raw": '{"message":"prompt is too long"}'}}},
            Cause.CONTEXT_TOO_LONG,
        ),
    ],
)  # fmt: skip
def test_an_error_in_place_of_an_answer_is_found_in_any_shape(body: dict[str, Any], cause: Cause) -> None:
    details = failure_in(msgspec.json.encode(body))
    assert details is not None
    assert judge("openai", details.status or 200, details.codes, details.message).cause is cause


@pytest.mark.parametrize(
    "body",
    [
        {"choices": [], "usage": {"total_tokens": 3}, "object": "chat.completion.chunk", "id": "x", "model": "m"},
        {"base_resp": {"status_code": 0, "status_msg": "success"}, "choices": [{"delta": {"content": "x"}}]},
        {"type": "ping"},
        {"error": None, "choices": [{"delta": {}}]},
        {"choices": [], "prompt_filter_results": [{"content_filter_results": {}}]},
        [],
    ],
)
def test_an_answer_is_no_error(body: Any) -> None:
    assert failure_in(msgspec.json.encode(body)) is None


def test_a_validators_list_names_the_parameter() -> None:
    details = parse(
        b'{"detail":[{"type":"extra_forbidden","loc":["body","seed"],"msg":"Extra inputs are not permitted"}]}'
    )
    assert (details.param, details.message) == ("seed", "body.seed: Extra inputs are not permitted")


@pytest.mark.parametrize(
    ("words", "seconds"),
    [("Please try again in 7.66s.", 8), ("Please try again in 2m59.56s", 180), ("Please retry in 300ms", 1)],
)
def test_when_to_come_again_is_read_from_the_words_too(words: str, seconds: int) -> None:
    assert told("groq", 429, {"error": {"message": words}}).retry_after_seconds == seconds


def test_every_row_of_the_table_asks_for_something() -> None:
    assert all(row.words or row.codes or row.statuses for row in table())


@pytest.mark.parametrize("wait", ["9" * 400, "²", "1." + "9" * 400, "nan", "-1"])
def test_a_wait_without_sense_is_none(wait: str) -> None:
    headers = {"retry-after": wait, "retry-after-ms": wait}
    assert retry_after_seconds(headers) is None
    told("groq", 429, {"error": {"message": f"try again in {wait}s or {wait}h", "code": "4²²"}})
    told("groq", 429, {"error": {"message": f"try again in {'9' * 5_000}h"}})


@pytest.mark.parametrize("depth", [1, 300, 700, 950])
def test_words_that_lie_too_deep_are_none(depth: int) -> None:
    for opens, closes in ((b'{"message":', b"}"), (b"[", b"]"), (b'[{"msg":', b"}]")):
        body = b'{"error":{"code":"rate_limit_exceeded","message":' + opens * depth + b'"x"' + closes * depth + b"}}"
        error_of("p/m", 429, body, {}, None)


def test_halves_of_letters_do_not_go_on() -> None:
    details = parse_decoded({"error": {"message": "a\ud800", "param": "\udc00", "metadata": {"raw": "\ud83d"}}})
    msgspec.json.encode([details.message, details.param])
