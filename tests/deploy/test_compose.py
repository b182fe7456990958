"""The compose file: accepted by compose itself, shut in, and of one mind with nginx, Prometheus and our settings."""

import re
import tomllib
from pathlib import Path

import pytest

from router.settings import Settings
from tests.deploy.tools import DEPLOY, command, complaints, read_yaml

COMPOSE = read_yaml("compose.yaml")
SERVICES = COMPOSE["services"]
REPLICAS = {name for name in SERVICES if re.fullmatch(r"tierwise-\d+", name)}
CONFIGURED = Settings.model_validate(tomllib.loads((DEPLOY / "tierwise.toml").read_text(encoding="utf-8")))
STATE = "/var/lib/tierwise"
SECRETS = ("POSTGRES_PASSWORD", "TIERWISE_ADMIN_SECRET", "GRAFANA_PASSWORD", "OPENAI_API_KEY")


def compose(tmp_path: Path, *filled: str) -> str:
    """What compose has against the file, with so many secrets filled in."""
    (tmp_path / ".env").write_text("".join(f"{name}=made-up\n" for name in filled))
    arguments = ("--env-file", tmp_path / ".env", "-f", DEPLOY / "compose.yaml", "config", "--quiet")
    return complaints(command("docker-compose"), *arguments, env={"PATH": "/usr/bin:/bin"})


def test_compose_accepts_it_once_the_secrets_are_filled_in(tmp_path: Path) -> None:
    assert compose(tmp_path, *SECRETS) == ""


@pytest.mark.parametrize("left_out", SECRETS)
def test_without_a_secret_it_does_not_start_and_names_it(tmp_path: Path, left_out: str) -> None:
    assert f"{left_out} is missing a value" in compose(tmp_path, *(name for name in SECRETS if name != left_out))


def test_the_example_of_an_environment_names_the_secrets_and_holds_none() -> None:
    lines = (DEPLOY / ".env.example").read_text(encoding="utf-8").splitlines()
    assigned = dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))
    assert {name for name, value in assigned.items() if not value} == set(SECRETS)


@pytest.mark.parametrize("name", sorted(REPLICAS))
def test_a_replica_writes_to_its_own_state_only(name: str) -> None:
    replica = SERVICES[name]
    assert (replica["read_only"], replica["cap_drop"]) == (True, ["ALL"])
    written = [volume for volume in replica["volumes"] if not volume.endswith(":ro")]
    assert written == [f"state-{name.removeprefix('tierwise-')}:{STATE}"]


@pytest.mark.parametrize("name", sorted(REPLICAS))
def test_a_replica_is_killed_only_after_it_could_drain(name: str) -> None:
    server = CONFIGURED.server
    grace_s = int(SERVICES[name]["stop_grace_period"].removesuffix("s"))
    assert grace_s >= server.drain_pause_s + server.shutdown_timeout_s + 30


def test_there_are_two_replicas_and_everybody_knows_them() -> None:
    nginx = (DEPLOY / "nginx" / "nginx.conf").read_text(encoding="utf-8")
    (scraped,) = read_yaml("prometheus/prometheus.yml")["scrape_configs"]
    addresses = {f"{name}:{CONFIGURED.server.port}" for name in REPLICAS}
    assert len(addresses) == 2
    assert set(re.findall(r"^\s+server ([\w.-]+:\d+)", nginx, re.MULTILINE)) == addresses
    assert set(scraped["static_configs"][0]["targets"]) == addresses


def test_only_nginx_and_grafana_are_reached_from_outside_and_by_default_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.keys() == {"nginx", "grafana"}
    assert all(":-127.0.0.1:" in port for ports in published.values() for port in ports)


def test_the_proxy_that_is_believed_is_in_the_network_inside() -> None:
    (inside,) = COMPOSE["networks"]["inside"]["ipam"]["config"]
    assert CONFIGURED.server.trusted_proxies == (inside["subnet"],)
    others = [service for name, service in SERVICES.items() if name not in {"nginx", "grafana"}]
    assert all(service["networks"] == ["inside"] for service in others)


def test_the_schema_comes_before_the_replicas() -> None:
    assert SERVICES["migrate"]["command"] == ["db", "upgrade"]
    assert COMPOSE["x-replica"]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_every_image_has_a_version() -> None:
    images = {service["image"] for service in SERVICES.values() if "image" in service} - {"tierwise:latest"}
    assert images
    assert all(re.search(r":v?\d", image) for image in images)
