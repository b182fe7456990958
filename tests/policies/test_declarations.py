"""A dial is declared once: whatever takes or shows dials has every one of them, with its range and its words."""

import re
from collections.abc import AsyncIterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import ValidationError

from router.cli import app
from router.decision.policy import DIALS, SEGMENT_DIALS, Dial, Policy, SegmentDials
from router.policies import dials
from router.policies.versions import policy_of_file
from router.settings import PolicySettings, SegmentDialSettings, field_of
from scripts.reference import settings_page
from tests.admin.operators import signed_in
from tests.api.service import Service, serving, settings_of

NAMES = [field.name for field in fields(Policy) if field.init and field.name not in ("version", "segments")]
SEGMENT_NAMES = [field.name for field in fields(SegmentDials)]
NUMBERS = [name for name in NAMES if DIALS[name].kind is not str]
FIELD = re.compile(r'<(?:input|select) id="dial-[^"]+" name="([^"]+)" ')


@pytest.fixture
async def service(tmp_path: Path) -> AsyncIterator[Service]:
    async with serving(settings_of(tmp_path)) as made:
        yield made


def as_settings(name: str, value: object) -> object:
    return getattr(PolicySettings.model_validate({name: value}), name)


def option_help(command: str) -> str:
    commands: Any = typer.main.get_command(app)
    parameters = commands.commands["policy"].commands[command].params
    return str(next(parameter.help for parameter in parameters if "--set" in parameter.opts))


def test_every_field_of_the_policy_is_declared_as_a_dial() -> None:
    assert list(DIALS) == NAMES
    assert [dial.name for dial in DIALS.values() if not (dial.label and dial.help)] == []
    assert {name: dial.default for name, dial in DIALS.items()} == dials.dials_by_name(Policy(1))


def test_every_dial_is_a_setting_with_the_same_default() -> None:
    assert [*PolicySettings.model_fields] == [*NAMES, "segments"]
    assert [*SegmentDialSettings.model_fields] == SEGMENT_NAMES
    assert policy_of_file(PolicySettings().model_dump()) == Policy(0)
    assert [name for name, value in PolicySettings() if value is None] == [
        name for name, dial in DIALS.items() if dial.default is None or dial.stored_default is not None
    ]


@pytest.mark.parametrize("name", NUMBERS)
def test_the_ends_of_a_range_are_allowed_and_what_lies_beyond_is_not(name: str) -> None:
    dial = DIALS[name]
    for end, beyond in ((dial.low, dial.low - 1), (dial.high, dial.high + 1)):
        assert as_settings(name, end) == end
        assert dials.dials_by_name(dials.with_changes(Policy(1), {name: end}))[name] == end
        with pytest.raises(ValidationError):
            as_settings(name, beyond)
        with pytest.raises(dials.WrongPolicy, match=f"{name}: must be {dial.allowed}"):
            dials.with_changes(Policy(1), {name: beyond})


@pytest.mark.parametrize("name", SEGMENT_NAMES)
def test_a_segments_dial_has_the_range_of_the_policys(name: str) -> None:
    wrong = DIALS[name].high + 1
    with pytest.raises(ValueError, match=f"{name}: must be {DIALS[name].allowed}"):
        SegmentDials(**{name: wrong})
    with pytest.raises(ValidationError):
        SegmentDialSettings.model_validate({name: wrong})


def test_texts_are_refused_by_settings_as_by_the_policy() -> None:
    for name, wrong in (("pacing", "maybe"), ("pacing", None), ("classifier", "a b"), ("classifier", "")):
        with pytest.raises(ValidationError):
            as_settings(name, wrong)
        with pytest.raises(dials.WrongPolicy, match=f"{name}: must be {DIALS[name].allowed}"):
            dials.with_changes(Policy(1), {name: wrong})


def test_every_dial_is_read_and_explained_where_versions_are_proposed() -> None:
    own = {name: f"segments.free.{name}" for name in SEGMENT_NAMES}
    written = [f"{name}={dials.format_dial(dial.default)}" for name, dial in DIALS.items()]
    assert dials.read(written) == {name: dial.default for name, dial in DIALS.items()}
    assert dials.read([f"{name}=none" for name in own.values()]) == dict.fromkeys(own.values())
    for command in ("propose", "backtest"):
        assert [name for name in NAMES if f"{name} ({DIALS[name].allowed})" not in option_help(command)] == []
        assert option_help(command).endswith(f"with {', '.join(SEGMENT_NAMES)}.")


def test_every_dial_is_in_the_reference() -> None:
    section = settings_page().partition("## Dials")[2]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", section, re.MULTILINE))
    assert list(rows) == NAMES
    assert [name for name in NAMES if not rows[name].startswith(f"{DIALS[name].allowed} |")] == []
    assert [name for name in NAMES if " | yes | " in rows[name]] == [name for name in NAMES if name in SEGMENT_NAMES]


async def test_every_dial_is_on_the_form(service: Service) -> None:
    ada = await signed_in(service)
    page = (await ada.get("thresholds")).text
    assert FIELD.findall(page) == NAMES
    assert [name for name in NAMES if f">{DIALS[name].label}</label>" not in page] == []
    own = (await ada.get("thresholds?segment=free")).text
    assert FIELD.findall(own) == [f"segments.free.{name}" for name in NAMES if name in SEGMENT_DIALS]


def a_late(**changes: Any) -> Dial:
    return replace(DIALS["explore"], stored_default=0.0, **changes)


def test_a_dial_that_came_later_may_stay_unset_in_the_file() -> None:
    type_, field = field_of(a_late())
    assert type_ == float | None
    assert field.default is None
    assert field.description.endswith("; unset: what is in force, and 0.01 in a new database")
