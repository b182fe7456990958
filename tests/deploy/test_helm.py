"""The chart, rendered by Helm's own library and held against Kubernetes' schemas."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.tools import DEPLOY, command, complaints, module

CHART = DEPLOY / "helm" / "tierwise"
EVERYTHING: dict[str, Any] = {
    "autoscaling": {"enabled": True},
    "ingress": {"enabled": True, "tlsSecretName": "certificate"},
    "serviceMonitor": {"enabled": True},
    "env": {"TIERWISE_LIMITS__STORAGE": "redis://redis:6379"},
    "image": {"pullSecrets": ["registry"]},
    "podAnnotations": {"note": "made up"},
    "nodeSelector": {"disk": "fast"},
}


def render(values: dict[str, Any]) -> list[dict[str, Any]]:
    """What Helm makes of the chart with these values."""
    helm = module("helm_python")
    with helm.Chart.load(str(CHART)) as chart:
        written = chart.render(values, name="demo", namespace="prod")
    documents = [yaml.safe_load_all(text) for name, text in written.items() if name.endswith(".yaml")]
    return [document for documents_of_one in documents for document in documents_of_one if document]


def the(kind: str, values: dict[str, Any]) -> dict[str, Any]:
    """The only manifest of a kind."""
    (found,) = [document for document in render(values) if document["kind"] == kind]
    return found


def test_helm_finds_nothing_wrong() -> None:
    found = module("helm_python").lint(str(CHART))
    assert found["errors"] == []
    assert [message["error"] for message in found["messages"]] in ([], ["icon is recommended"])


@pytest.mark.parametrize("values", [{}, EVERYTHING], ids=["as it is", "with everything"])
def test_kubernetes_knows_every_field(tmp_path: Path, values: dict[str, Any]) -> None:
    manifests = [document for document in render(values) if document["kind"] != "ServiceMonitor"]
    path = tmp_path / "manifests.yaml"
    path.write_text(yaml.safe_dump_all(manifests))
    assert complaints(command("kubernetes-validate"), "--strict", "--quiet", path) == ""


def test_a_wrong_value_is_named() -> None:
    helm = module("helm_python")
    with helm.Chart.load(str(CHART)) as chart, pytest.raises(Exception, match="/replicas"):
        chart.validate_schema({"replicas": "many"})


def test_a_replica_has_probes_a_state_and_the_time_to_drain() -> None:
    replicas = the("StatefulSet", {"drainPauseSeconds": 7, "shutdownTimeoutSeconds": 90})["spec"]
    pod = replicas["template"]["spec"]
    (container,) = pod["containers"]
    probes = {name: container[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert probes == {
        "startupProbe": "/health/live",
        "livenessProbe": "/health/live",
        "readinessProbe": "/health/ready",
    }
    assert pod["terminationGracePeriodSeconds"] == 7 + 90 + 30
    assert replicas["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Retain", "whenScaled": "Retain"}
    assert {claim["metadata"]["name"] for claim in replicas["volumeClaimTemplates"]} == {"state"}
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert pod["securityContext"]["runAsNonRoot"]


def test_drains_begin_only_once_nobody_is_sent_any_more() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    readiness = the("StatefulSet", {})["spec"]["template"]["spec"]["containers"][0]["readinessProbe"]
    assert values["drainPauseSeconds"] > 2 * readiness["periodSeconds"] * readiness["failureThreshold"]


def test_few_replicas_go_at_once_and_many_come_with_requests_under_way() -> None:
    assert the("PodDisruptionBudget", {})["spec"]["maxUnavailable"] == 1
    scaler = the("HorizontalPodAutoscaler", EVERYTHING)["spec"]
    assert scaler["scaleTargetRef"]["kind"] == "StatefulSet"
    assert scaler["metrics"][0]["pods"]["metric"]["name"] == "tierwise_places_taken"
    assert "replicas" not in the("StatefulSet", EVERYTHING)["spec"]


def test_secrets_come_from_a_secret_that_is_not_of_the_chart() -> None:
    rendered = render(EVERYTHING)
    assert "Secret" not in {document["kind"] for document in rendered}
    assert not re.search(r"PASSWORD|_KEY\b", yaml.safe_dump_all(rendered))


def test_the_schema_comes_before_the_replicas() -> None:
    job = the("Job", {})
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert job["spec"]["template"]["spec"]["containers"][0]["args"] == ["db", "upgrade"]
