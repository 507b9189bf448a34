"""What is deployed: checked by what reads it where that can be installed, and against what the code emits."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from actors.metrics import METRICS
from raycctv.config import load
from raycctv.rtmp.keys import keys_of
from raycctv.sinks.elasticsearch_setup import EVENTS, FIELDS

DEPLOY = Path(__file__).parents[2] / "deploy"
DASHBOARDS = sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
LOKI_LABELS = {"job", "camera", "component", "level", "kind"}
RAYS_OWN = {"ray_node_cpu_utilization", "ray_node_mem_used"}
"""tests/actors/test_cluster.py finds them in what Ray publishes."""

ONCE = {"raycctv", "elasticsearch-setup", "kibana-password"}


@pytest.fixture(scope="module")
def services() -> dict[str, dict[str, Any]]:
    document: dict[str, dict[str, Any]] = yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())["services"]
    return document


def panels() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """(type of the source, panel, query) of every dashboard."""
    found = []
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            found += [(panel["datasource"]["type"], panel, target) for target in panel["targets"]]
    return found


def queries(source: str) -> list[str]:
    return [target["expr"] for kind, _, target in panels() if kind == source]


def alerts() -> list[str]:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"]
    return [rule["expr"] for group in groups for rule in group["rules"]]


def test_every_long_running_service_is_checked_and_restarted(services: dict[str, dict[str, Any]]) -> None:
    for name, service in services.items():
        assert ("healthcheck" in service) == (name not in ONCE), name
        assert service.get("restart") == ("on-failure" if name in ONCE - {"kibana-password"} else None) or name not in ONCE


def test_ports_are_opened_on_loopback_unless_asked(services: dict[str, dict[str, Any]]) -> None:
    ports = [port for service in services.values() for port in service.get("ports", [])]
    assert ports
    assert not [port for port in ports if not re.match(r"\$\{(RTMP_)?BIND:-127\.0\.0\.1\}:\d+:\d+", port)]


def test_no_secret_has_a_default_and_each_is_in_the_example() -> None:
    text = (DEPLOY / "docker-compose.yml").read_text()
    secrets = {name: rest for name, rest in re.findall(r"\$\{(\w+)(:[^}]*)\}", text) if not name.endswith("BIND")}
    assert secrets
    assert set(secrets.values()) == {":?set it in .env"}
    example = dict(
        line.split("=", 1) for line in (DEPLOY / "env.example").read_text().splitlines() if "=" in line and "#" not in line
    )
    assert {name for name, value in example.items() if not value} == set(secrets)


def test_files_that_are_mounted_or_built_from_exist(services: dict[str, dict[str, Any]]) -> None:
    mounted = [volume.split(":")[0] for service in services.values() for volume in service.get("volumes", [])]
    assert [path for path in mounted if path.startswith(".") and not (DEPLOY / path).exists()] == []
    volumes = set(yaml.safe_load((DEPLOY / "docker-compose.yml").read_text())["volumes"])
    assert {path for path in mounted if not path.startswith(".")} == volumes
    for service in services.values():
        if isinstance(service.get("build"), dict):
            context = DEPLOY / service["build"]["context"]
            assert (context / service["build"].get("dockerfile", "Dockerfile")).is_file()


def test_services_that_are_waited_for_exist_and_can_be(services: dict[str, dict[str, Any]]) -> None:
    for service in services.values():
        for name, how in service.get("depends_on", {}).items():
            assert how["condition"] == ("service_completed_successfully" if name in ONCE else "service_healthy")
            assert name in ONCE or "healthcheck" in services[name]


def test_configuration_of_the_cameras_is_one_and_every_stream_has_its_key() -> None:
    config = load(DEPLOY / "raycctv" / "cameras.yaml", {"GATE_KEY": "k", "ELASTIC_PASSWORD": "p"})
    assert keys_of(config) == {"gate": "k"}
    assert config.loki is None, "Promtail sends what would be there twice"


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
@pytest.mark.parametrize("filled_in", [True, False])
def test_compose_takes_its_file_when_every_secret_is_filled_in(tmp_path: Path, filled_in: bool) -> None:
    """By version 1, which Debian has; it reads all but the project's name."""
    text = (DEPLOY / "docker-compose.yml").read_text()
    (tmp_path / "docker-compose.yml").write_text(re.sub(r"^name: .*\n", "", text, flags=re.MULTILINE))
    example = (DEPLOY / "env.example").read_text()
    (tmp_path / "env").write_text(re.sub(r"^(\w+)=$", r"\1=x", example, flags=re.MULTILINE) if filled_in else example)
    command = ["docker-compose", "--project-directory", str(DEPLOY), "--env-file", str(tmp_path / "env")]
    command += ["-f", str(tmp_path / "docker-compose.yml"), "config", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode == 0) == filled_in, done.stderr
    assert filled_in or "set it in .env" in done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="prometheus is not installed")
def test_prometheus_takes_its_configuration() -> None:
    command = ["promtool", "check", "config", str(DEPLOY / "prometheus" / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.skipif(shutil.which("promtool") is None, reason="prometheus is not installed")
def test_prometheus_understands_every_query_of_the_dashboards(tmp_path: Path) -> None:
    rules = [{"record": f"query_{number}", "expr": expr} for number, expr in enumerate(queries("prometheus"))]
    assert len(rules) > 15
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboards", "rules": rules}]}))
    done = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("expr", [*queries("prometheus"), *alerts()])
def test_prometheus_queries_name_metrics_and_labels_that_the_code_emits(expr: str) -> None:
    names = set(re.findall(r"\bray_\w+", expr))
    assert names
    assert names <= {f"ray_{name}" for name in METRICS} | RAYS_OWN
    tags = {tag for name in names - RAYS_OWN for tag in METRICS[name.removeprefix("ray_")].tags}
    asked = set(re.findall(r"[{,]\s*(\w+)\s*[=!]", expr))
    asked |= {label for labels in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expr) for label in re.findall(r"\w+", labels)}
    assert asked <= tags, expr


def test_legends_name_labels_of_their_metrics() -> None:
    for kind, panel, target in panels():
        if kind != "prometheus":
            continue
        names = set(re.findall(r"\bray_\w+", target["expr"]))
        tags = {tag for name in names - RAYS_OWN for tag in METRICS[name.removeprefix("ray_")].tags} | {"instance"}
        assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= tags, panel["title"]


def test_every_metric_is_on_a_dashboard() -> None:
    shown = " ".join(queries("prometheus"))
    assert [name for name in METRICS if f"ray_{name}" not in shown] == []


@pytest.mark.parametrize("expr", queries("loki"))
def test_loki_queries_name_labels_that_lines_have(expr: str) -> None:
    selector = re.findall(r"\{(job=[^}]*)\}", expr)
    assert len(selector) == 1
    assert set(re.findall(r"(\w+)[=!]~?\"", selector[0])) <= LOKI_LABELS
    assert {label for labels in re.findall(r"by \(([^)]*)\)", expr) for label in re.findall(r"\w+", labels)} <= LOKI_LABELS


def test_elasticsearch_queries_name_fields_of_events() -> None:
    fields = {*FIELDS[EVENTS], "@timestamp"}
    targets = [(panel, target) for kind, panel, target in panels() if kind == "elasticsearch"]
    assert targets
    for panel, target in targets:
        assert set(re.findall(r"(\w+):", target["query"])) <= fields
        assert {bucket["field"] for bucket in target["bucketAggs"]} <= fields
        for transformation in panel.get("transformations", []):
            assert set(transformation["options"]["include"]["names"]) <= fields


def test_choice_of_cameras_is_of_a_label_and_understood_by_every_source() -> None:
    for path in DASHBOARDS:
        for variable in json.loads(path.read_text())["templating"]["list"]:
            assert set(re.findall(r"(?:, |\{)(\w+)(?=[=)])", variable["query"])) <= LOKI_LABELS
            assert variable["allValue"] == ".+"  # a regular expression for all three
    asked = [target["query"] for kind, _, target in panels() if kind == "elasticsearch" and "$" in target["query"]]
    assert asked
    assert all("camera:/${camera:regex}/" in query for query in asked)


def test_sources_of_the_dashboards_are_provisioned() -> None:
    path = DEPLOY / "grafana" / "provisioning" / "datasources" / "datasources.yaml"
    provisioned = {source["uid"]: source["type"] for source in yaml.safe_load(path.read_text())["datasources"]}
    assert {(panel["datasource"]["uid"], kind) for kind, panel, _ in panels()} == set(provisioned.items())


def test_dashboards_that_ray_writes_are_provisioned_for_its_metrics_tab(services: dict[str, dict[str, Any]]) -> None:
    """tests/cli/test_safety.py sees Ray write them."""
    head, grafana = services["ray-head"], services["grafana"]
    folder = head["environment"]["RAY_METRICS_GRAFANA_DASHBOARD_OUTPUT_DIR"]
    (volume,) = [volume.split(":")[0] for volume in head["volumes"] if volume.endswith(f":{folder}")]
    (seen,) = [entry.split(":")[1] for entry in grafana["volumes"] if entry.startswith(f"{volume}:")]
    providers = yaml.safe_load((DEPLOY / "grafana" / "provisioning" / "dashboards" / "dashboards.yaml").read_text())[
        "providers"
    ]
    assert seen in [provider["options"]["path"] for provider in providers]
    assert grafana["environment"]["GF_SECURITY_ALLOW_EMBEDDING"] == "true"
    sources = yaml.safe_load((DEPLOY / "grafana" / "provisioning" / "datasources" / "datasources.yaml").read_text())
    assert head["environment"]["RAY_PROMETHEUS_NAME"] in [source["name"] for source in sources["datasources"]]
    assert folder in (DEPLOY / "Dockerfile").read_text()


def test_deployment_document_describes_every_service(services: dict[str, dict[str, Any]]) -> None:
    document = (DEPLOY.parent / "docs" / "deployment.md").read_text()
    assert [name for name in services if f"`{name}`" not in document] == []
