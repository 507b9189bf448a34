"""What reads our logs for Loki asks for fields that they have, and makes few labels of them."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from raycctv.sinks.component_log import Line
from raycctv.sinks.event_log import FIELDS

DEPLOY = Path(__file__).parents[2] / "deploy"
LABELS = {"job", "camera", "component", "level", "kind"}


@pytest.fixture(scope="module")
def jobs() -> dict[str, dict[str, Any]]:
    document = yaml.safe_load((DEPLOY / "promtail" / "promtail-config.yaml").read_text())
    return {job["job_name"]: job for job in document["scrape_configs"]}


def stage(job: dict[str, Any], name: str) -> dict[str, Any]:
    (found,) = (entry[name] for entry in job["pipeline_stages"] if name in entry)
    return dict(found)


@pytest.mark.parametrize(("job", "fields"), [("events", set(FIELDS)), ("components", set(Line.model_fields))])
def test_promtail_asks_for_fields_that_lines_have(jobs: dict[str, dict[str, Any]], job: str, fields: set[str]) -> None:
    expressions = stage(jobs[job], "json")["expressions"]
    assert set(expressions.values()) <= fields
    assert set(stage(jobs[job], "labels")) <= set(expressions)


def test_promtail_makes_few_labels(jobs: dict[str, dict[str, Any]]) -> None:
    for job in jobs.values():
        static = [label for config in job.get("static_configs", [job.get("syslog")]) for label in config["labels"]]
        made = [*static, *(stage(job, "labels") if "pipeline_stages" in job else [])]
        made += [rule["target_label"] for rule in job.get("relabel_configs", [])]
        assert {label for label in made if not label.startswith("__")} == LABELS


def test_alloy_asks_for_the_same_and_makes_the_same_labels(jobs: dict[str, dict[str, Any]]) -> None:
    text = (DEPLOY / "alloy" / "config.alloy").read_text()
    for name in ("events", "components"):
        process = text.split(f'loki.process "{name}"')[1].split("\n}")[0]
        expressions, labels = re.findall(r"(?:expressions|values) = \{([^}]*)\}", process)
        assert dict(re.findall(r'"(\w+)" = "(\w+)"', expressions)) == stage(jobs[name], "json")["expressions"]
        assert set(re.findall(r'"(\w+)" = null', labels)) == set(stage(jobs[name], "labels"))


@pytest.mark.skipif(shutil.which("syslog-ng") is None, reason="syslog-ng is not installed")
def test_syslog_ng_takes_its_configuration() -> None:
    command = ["syslog-ng", "--syntax-only", "-f", str(DEPLOY / "syslog-ng" / "syslog-ng.conf")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
