"""Try a query: what the router would do with it, now and under another policy. The text is never kept or logged."""

from collections.abc import Mapping
from typing import Any

from router.admin.page import JsonFeed, NotDone, Page, Visit
from router.admin.queries import try_query as queries
from router.admin.queries.history import versions
from router.policies import canary_lifecycle, lifecycle
from router.policies.versions import PolicyState as Life
from router.policies.versions import in_force
from router.types import DEFAULT_SEGMENT

LONGEST = 100_000
MOST_TURNS = 20
VERSIONS_SHOWN = 15


def show(visit: Visit) -> Mapping[str, object]:
    """Show the form; what is typed is sent by the script only, so it is in no address and no page."""
    services = visit.services
    today, trial = in_force(services.engine), canary_lifecycle.running(services.engine)
    others = [
        version for version in versions(services.engine, VERSIONS_SHOWN) if version.policy.version != today.version
    ]
    proposed = [version.policy.version for version in others if version.state is Life.PROPOSED]
    return {
        "today": today,
        "others": others,
        "chosen": trial.version if trial else next(iter(proposed), None),
        "segments": sorted({DEFAULT_SEGMENT, *services.settings.segments, *today.segments}),
        "longest": LONGEST,
    }


def try_query(visit: Visit) -> object:
    """The estimate, and the decisions by the policy in force and by the version asked for."""
    given = visit.body if isinstance(visit.body, dict) else {}
    services = visit.services
    today = in_force(services.engine)
    policies = {"today": today}
    if (version := given.get("version")) not in (None, ""):
        if not isinstance(version, int) or isinstance(version, bool) or not 0 <= version < 2**31:
            raise NotDone("version: a whole number is expected")
        policies["proposed"] = lifecycle.version_of(services.engine, version).policy
    request = queries.request_of(_messages(given), _text(given, "segment", 64) or DEFAULT_SEGMENT)
    return queries.try_policies(services, request, policies)


def _messages(given: Mapping[str, Any]) -> list[dict[str, str]]:
    """The messages as a client would send them: a system prompt, earlier turns by turns, the question."""
    question = _text(given, "text", LONGEST)
    if not question:
        raise NotDone("type a query first")
    earlier = given.get("earlier", [])
    if not isinstance(earlier, list) or len(earlier) > MOST_TURNS:
        raise NotDone(f"earlier turns: a list of at most {MOST_TURNS} texts is expected")
    if len(earlier) % 2:
        raise NotDone("earlier turns: a question and its answer in turn, so an even number of them")
    messages = []
    if system := _text(given, "system", LONGEST):
        messages.append({"role": "system", "content": system})
    for place, turn in enumerate(earlier):
        if not isinstance(turn, str) or not turn.strip() or len(turn) > LONGEST:
            raise NotDone(f"earlier turns: number {place + 1} is empty, too long or no text")
        messages.append({"role": "assistant" if place % 2 else "user", "content": turn})
    return [*messages, {"role": "user", "content": question}]


def _text(given: Mapping[str, Any], name: str, longest: int) -> str:
    text = given.get(name, "")
    if not isinstance(text, str) or len(text) > longest:
        raise NotDone(f"{name}: a text of at most {longest:,} characters is expected")
    return text.strip()


PAGE = Page("try_query", "Try a query", show, feeds=(JsonFeed("try", try_query, "POST"),), address="try")
