"""Dashboard, alerts and autoscaling ask for metrics that we have, in queries that Prometheus understands."""

import json
import re
import shutil
from collections.abc import Iterator

import pytest

from router.metrics import Metrics
from tests.deploy.tools import DEPLOY, complaints, module, read_yaml

DASHBOARD = json.loads((DEPLOY / "grafana" / "dashboards" / "tierwise.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
QUERIES = {f"{panel['title']} {target['refId']}": target["expr"] for panel in PANELS for target in panel["targets"]}
(GROUP,) = read_yaml("prometheus/alerts.yml")["groups"]
ALERTS = {rule["alert"]: rule["expr"] for rule in GROUP["rules"]}
METRIC = re.compile(r"\btierwise_\w+")


def names() -> set[str]:
    """Every name under which Prometheus stores something of ours."""
    kept: set[str] = set()
    for family in Metrics().registry.collect():
        match family.type:
            case "counter":
                kept.add(f"{family.name}_total")
            case "histogram":
                kept |= {f"{family.name}_{part}" for part in ("bucket", "count", "sum")}
            case _:
                kept.add(family.name)
    return kept


def labels() -> dict[str, set[str]]:
    """The labels of each of our metrics, by the name of its family."""
    metrics = vars(Metrics()).values()
    return {metric._name: set(metric._labelnames) for metric in metrics if hasattr(metric, "_labelnames")}


@pytest.mark.parametrize("query", [*QUERIES.values(), *ALERTS.values()], ids=[*QUERIES, *ALERTS])
def test_a_query_asks_for_metrics_and_labels_that_there_are(query: str) -> None:
    asked = set(METRIC.findall(query))
    assert asked <= names()
    known = {"instance", "job", "le"}.union(
        *(labels()[re.sub("_(total|bucket|count|sum)$", "", name)] for name in asked)
    )
    by = [label.strip() for inside in re.findall(r"by \(([^)]+)\)", query) for label in inside.split(",")]
    assert set(by) | set(re.findall(r"(\w+)(?:=|!=|=~|!~)\"", query)) <= known


def test_prometheus_understands_every_query() -> None:
    parser = module("promql_parser")
    for query in [*QUERIES.values(), *ALERTS.values()]:
        assert parser.parse(query.replace("$__rate_interval", "1m").replace("$instance", ".*"))


def test_the_dashboard_leaves_no_metric_out() -> None:
    shown = {name for query in QUERIES.values() for name in METRIC.findall(query)}
    assert {name for name in names() - shown if not name.endswith(("_count", "_sum"))} == set()


def test_the_autoscaler_asks_for_what_the_adapter_makes_of_a_metric_of_ours() -> None:
    (rule,) = read_yaml("helm/prometheus-adapter.yaml")["rules"]["custom"]
    asked = read_yaml("helm/tierwise/values.yaml")["autoscaling"]["metric"]
    assert rule["name"]["as"] == asked
    assert set(METRIC.findall(rule["seriesQuery"])) == {rule["name"]["matches"].strip("^$")} <= names()
    assert "state" in labels()["tierwise_places"]


def test_panels_have_numbers_of_their_own_and_do_not_overlap() -> None:
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(numbers) == len(set(numbers))
    taken = [cell for panel in DASHBOARD["panels"] for cell in cells(panel["gridPos"])]
    assert len(taken) == len(set(taken))


def cells(place: dict[str, int]) -> Iterator[tuple[int, int]]:
    """The cells of the grid that a panel takes, 24 beside each other."""
    assert place["x"] + place["w"] <= 24
    for x in range(place["x"], place["x"] + place["w"]):
        for y in range(place["y"], place["y"] + place["h"]):
            yield x, y


def test_every_panel_asks_the_source_that_is_provisioned() -> None:
    (source,) = read_yaml("grafana/provisioning/datasources/prometheus.yaml")["datasources"]
    assert {panel["datasource"]["uid"] for panel in PANELS} == {source["uid"]}


def test_prometheus_itself_accepts_the_alerts() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: apt-get install prometheus")
    assert complaints(promtool, "check", "rules", DEPLOY / "prometheus" / "alerts.yml") == ""


def test_prometheus_scrapes_with_a_key_that_is_not_in_the_repository() -> None:
    (scraped,) = read_yaml("prometheus/prometheus.yml")["scrape_configs"]
    assert scraped["authorization"]["credentials_file"] == "/etc/tierwise-secrets/metrics-key"
    assert [path.name for path in (DEPLOY / "secrets").iterdir() if not path.name.startswith(".")] == []
