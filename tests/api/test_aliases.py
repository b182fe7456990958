from pathlib import Path
from typing import Any

import pytest

from router.api.aliases import Aliases
from tests.api.messages.test_endpoint import COUNT, MESSAGES, a_message
from tests.api.responses.test_endpoint import RESPONSES, a_request
from tests.api.service import CHAT, a_chat, serving, settings_of

OURS = ("auto", "fast", "reasoning", "parallel", "echo")
NAMES = {"claude-sonnet-4-5": "auto", "claude-*": "fast", "claude-opus-*": "reasoning", "gpt-4o": "echo"}


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("claude-sonnet-4-5", "auto"),
        ("claude-sonnet-4-6", "fast"),
        ("claude-opus-4-8", "reasoning"),
        ("gpt-4o", "echo"),
        ("gpt-4o-mini", "gpt-4o-mini"),
        ("auto", "auto"),
    ],
)
def test_a_name_stands_for_one_of_ours_the_longest_start_counts(name: str, model: str) -> None:
    assert Aliases(NAMES, OURS).resolve(name) == model


@pytest.mark.parametrize("name", ["auto", "fast", "reasoning", "parallel", "echo"])
@pytest.mark.parametrize("start", ["a*", "f*", "reason*", "p*", "ech*"])
def test_a_name_of_ours_stands_for_itself_whatever_begins_as_it_does(name: str, start: str) -> None:
    assert Aliases({start: "reasoning"}, OURS).resolve(name) == name


async def test_our_models_are_served_under_their_names_beside_a_pattern(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, aliases={"ec*": "fast", "a*": "reasoning"})) as service:
        for name in ("echo", "auto"):
            response = await service.local.post(CHAT, json=a_chat(name))
            assert (await service.booked(response.headers["x-request-id"]))["requested_model"] == name


@pytest.mark.parametrize(("path", "body"), [(CHAT, a_chat), (RESPONSES, a_request), (MESSAGES, a_message)])
async def test_clients_are_served_under_the_name_they_know(tmp_path: Path, path: str, body: Any) -> None:
    async with serving(settings_of(tmp_path, aliases=NAMES)) as service:
        for name, model, tier in (("claude-sonnet-4-5", "auto", "fast"), ("claude-opus-x", "reasoning", "reasoning")):
            response = await service.local.post(path, json=body(name))
            assert (response.status_code, response.json()["model"]) == (200, name)
            assert response.headers["x-tierwise-tier"] == tier
            assert (await service.booked(response.headers["x-request-id"]))["requested_model"] == model
        assert (await service.local.post(path, json=body("gpt-9"))).status_code == 404


async def test_whole_names_are_listed_and_counted_for(tmp_path: Path) -> None:
    async with serving(settings_of(tmp_path, aliases=NAMES)) as service:
        listed = {model["id"] for model in (await service.local.get("/v1/models")).json()["data"]}
        assert {"claude-sonnet-4-5", "gpt-4o"} <= listed
        assert "claude-*" not in listed
        counted = await service.local.post(COUNT, json=a_message("claude-opus-x"))
        assert counted.status_code == 200


@pytest.mark.parametrize(
    ("aliases", "says"),
    [
        ({"auto": "fast"}, "aliases.auto: this name is taken"),
        ({"*": "fast"}, r"aliases.\*: this name is taken"),
        ({"gpt-4o": "gpt-9"}, "aliases.gpt-4o: no model goes by the name 'gpt-9'"),
    ],
)
def test_an_alias_that_hides_a_name_or_stands_for_none_stops_the_start(aliases: dict[str, str], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        settings_of(Path(), aliases=aliases)
