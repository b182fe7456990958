"""Where callers may have the end of a job told."""

import pytest

from router.errors import InvalidRequest
from router.jobs.callback import Callback, CallbackRules

RULES = CallbackRules(has_webhooks=True, mail_to=("@example.org", "ada@elsewhere.net"))
HOSTS = CallbackRules(has_webhooks=True, hosts=("hooks.example.org", "*.example.net"))
HOOK = "https://hooks.example.org/a"


@pytest.mark.parametrize(
    ("rules", "callback"),
    [
        (RULES, Callback(webhook=HOOK)),
        (RULES, Callback(mail="Grace.Hopper+jobs@Example.org")),
        (RULES, Callback(webhook=HOOK, mail="ada@elsewhere.net", include_answer=False)),
        (HOSTS, Callback(webhook="https://HOOKS.example.org:8443/")),
        (HOSTS, Callback(webhook="https://a.b.example.net/")),
        (CallbackRules(has_webhooks=True, allows_private=True), Callback(webhook="http://127.0.0.1:9/a")),
    ],
)
def test_what_is_allowed_may_be_asked_for(rules: CallbackRules, callback: Callback) -> None:
    rules.require_allowed(callback)


@pytest.mark.parametrize(
    ("rules", "callback", "param", "says"),
    [
        (RULES, Callback(), "", "name a webhook"),
        (CallbackRules(), Callback(webhook=HOOK), ".webhook", "sends no webhooks"),
        (CallbackRules(), Callback(mail="ada@example.org"), ".mail", "sends no mail"),
        (RULES, Callback(webhook="http://example.org/"), ".webhook", "https"),
        (RULES, Callback(webhook="https://10.0.0.1/"), ".webhook", "not a public address"),
        (HOSTS, Callback(webhook="https://example.net/"), ".webhook", "do not go to example.net"),
        (HOSTS, Callback(webhook="https://hooks.example.org.evil.com/"), ".webhook", "do not go to"),
        (RULES, Callback(mail="ada@elsewhere.org"), ".mail", "no mail to this address"),
        (RULES, Callback(mail="eve@evil.org,ada@example.org"), ".mail", "one plain address"),
        (RULES, Callback(mail="a@example.org\r\nBcc: b@evil.org"), ".mail", "one plain address"),
        (RULES, Callback(mail="eve@evil.org@example.org"), ".mail", "one plain address"),
    ],
)
def test_what_is_not_allowed_is_named(rules: CallbackRules, callback: Callback, param: str, says: str) -> None:
    with pytest.raises(InvalidRequest, match=says) as refused:
        rules.require_allowed(callback)
    assert refused.value.param == f"x_tierwise.notify{param}"
