"""What is in deploy/ and the compose file: they parse, what they name is there, and Kubernetes' own schemas take them.

Where docker, promtool or helm is present, it is asked too. `scripts/test-compose` runs the compose file for real.
"""

import json
import re
import shutil
import subprocess
import time
import tomllib
from pathlib import Path

import httpx
import kubernetes_validate
import pytest
import yaml

from binary import BINARY, REPOSITORY
from programs import run

DEPLOY = REPOSITORY / "deploy"
MANIFESTS = sorted(DEPLOY.glob("kubernetes/*.yaml"))
NOT_OF_KUBERNETES = {"kustomization.yaml", "prometheus-adapter.yaml"}
# The oldest that is still in use, and the newest that is known.
VERSIONS = ["1.29", "1.37"]
SUFFIXES = "total|bucket|sum|count"
# As scripts/setup has put it there.
PROMTOOL = shutil.which("promtool") or str(REPOSITORY / ".venvs/promtool/promtool")


def objects(path: Path) -> list[dict]:
    return list(yaml.safe_load_all(path.read_text()))


def kubernetes(kind: str, name: str = "tokenfall") -> dict:
    every = [found for path in MANIFESTS for found in objects(path) if found.get("kind") == kind]
    (found,) = [found for found in every if found["metadata"]["name"] == name]
    return found


def is_present(*command: str) -> bool:
    return shutil.which(command[0]) is not None and subprocess.run(command, capture_output=True).returncode == 0


def needs(*command: str):
    return pytest.mark.skipif(not is_present(*command), reason=f"`{' '.join(command)}` is not there")


# The compose file


@pytest.fixture(scope="module")
def services() -> dict[str, dict]:
    return yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["services"]


def test_what_the_compose_file_names_is_there(services):
    volumes = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())["volumes"]
    for name, service in services.items():
        assert "build" in service or ":" in service["image"], f"{name}: an image has a tag"
        assert set(service.get("depends_on", [])) <= set(services), name
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in volumes or (REPOSITORY / source).exists(), f"{name}: {source}"
        for port in service.get("ports", []):
            assert port.startswith("127.0.0.1:"), f"{name}: {port} would be open to other machines"


def test_settings_in_the_compose_file_are_settings(services):
    settings = {name: value for name, value in services["tokenfall"]["environment"].items() if name.startswith("TOKENFALL__")}
    assert settings
    run(str(BINARY), "check", **settings)


def test_a_stop_waits_for_streams(services):
    defaults = tomllib.loads((REPOSITORY / "src/config.default.toml").read_text())["server"]
    grace = seconds(services["tokenfall"]["stop_grace_period"])
    assert grace > seconds(defaults["drain_delay"]) + seconds(defaults["drain"])


@needs("docker", "compose", "version")
@pytest.mark.parametrize("profiles", ["", "metrics,chat"])
@pytest.mark.parametrize(
    "upstream, flags",
    [
        ({}, []),
        ({"TOKENFALL_UPSTREAM": "http://a/v1"}, ["--open", "--upstream", "http://a/v1"]),
        (
            {"TOKENFALL_UPSTREAM": "http://a/v1", "TOKENFALL_UPSTREAM_KEY": "k"},
            ["--open", "--upstream", "http://a/v1", "--upstream-key-env", "TOKENFALL_UPSTREAM_KEY"],
        ),
    ],
)
def test_docker_reads_the_compose_file(profiles, upstream, flags):
    config = run("docker", "compose", "config", "--format", "json", COMPOSE_PROFILES=profiles, **upstream)
    found = json.loads(config)["services"]
    assert ("grafana" in found, "chat" in found) == (bool(profiles), bool(profiles))
    assert found["tokenfall"]["command"] == ["serve", *flags]


def test_nginx_reads_its_configuration():
    run("nginx", "-t", "-q", "-c", str(DEPLOY / "nginx.conf"))


# Metrics


@pytest.fixture(scope="module")
def exported(serve, beating_mock) -> set[str]:
    """The names of all metrics, without what is added for a kind of samples, of a server to which everything has happened."""
    config = f"""
        [[models]]
        name = "*"
        upstreams = [{{ base_url = "http://127.0.0.1:1/v1" }}, {{ base_url = "{beating_mock.base_url}" }}]
    """
    with serve(config=config) as server:
        body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
        url = f"{server.url}/v1/chat/completions"
        assert httpx.post(url, json=body, timeout=20).status_code == 200
        with httpx.stream("POST", url, json=body, timeout=20) as left:
            next(left.iter_raw())
        deadline = time.monotonic() + 10
        while "tokenfall_readers_left_total" not in (text := httpx.get(f"{server.url}/metrics").text):
            assert time.monotonic() < deadline, text
            time.sleep(0.02)
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))


def expressions() -> list[str]:
    rules = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())
    dashboard = json.loads((DEPLOY / "grafana/tokenfall.json").read_text())
    found = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    found += [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    found += [rule["seriesQuery"] for rule in objects(DEPLOY / "kubernetes/prometheus-adapter.yaml")[0]["rules"]["custom"]]
    return found + [kubernetes("HorizontalPodAutoscaler")["spec"]["metrics"][0]["pods"]["metric"]["name"]]


def test_rules_dashboard_and_autoscaler_name_metrics_that_there_are(exported):
    named = {name for expression in expressions() for name in re.findall(r"\btokenfall_\w+", expression)}
    assert len(named) > 10
    missing = {name for name in named if name not in exported and re.sub(f"_({SUFFIXES})$", "", name) not in exported}
    assert not missing


def test_alerts_have_what_they_need():
    groups = yaml.safe_load((DEPLOY / "prometheus/rules.yml").read_text())["groups"]
    for rule in [rule for group in groups for rule in group["rules"]]:
        assert rule["expr"] and rule["annotations"]["summary"] and rule["labels"]["severity"] in ("warning", "critical"), rule


@needs(PROMTOOL, "--version")
def test_prometheus_reads_its_rules_and_its_configuration():
    run(PROMTOOL, "check", "rules", str(DEPLOY / "prometheus/rules.yml"))
    run(PROMTOOL, "check", "config", "--syntax-only", str(DEPLOY / "prometheus/prometheus.yml"))


def test_prometheus_and_grafana_find_each_other(services):
    prometheus = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())
    (scrape,) = prometheus["scrape_configs"]
    assert scrape["dns_sd_configs"][0]["names"] == ["tokenfall"] and "tokenfall" in services
    (rules,) = prometheus["rule_files"]
    assert (DEPLOY / "prometheus" / Path(rules).name).exists()
    provisioned = DEPLOY / "grafana/provisioning"
    (source,) = yaml.safe_load((provisioned / "datasources/prometheus.yml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090" and "prometheus" in services
    (provider,) = yaml.safe_load((provisioned / "dashboards/tokenfall.yml").read_text())["providers"]
    targets = [volume.split(":")[1] for volume in services["grafana"]["volumes"]]
    assert any(target.startswith(provider["options"]["path"] + "/") for target in targets)


# Kubernetes


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("path", [path for path in MANIFESTS if path.name not in NOT_OF_KUBERNETES], ids=lambda path: path.name)
def test_manifests_are_what_the_schemas_of_kubernetes_say(path, version):
    for found in objects(path):
        kubernetes_validate.validate(found, version, strict=True)


def test_a_misspelt_manifest_would_be_found():
    deployment = kubernetes("Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["livenesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, VERSIONS[-1], strict=True)


def test_the_kustomization_has_all_manifests():
    resources = objects(DEPLOY / "kubernetes/kustomization.yaml")[0]["resources"]
    assert set(resources) == {path.name for path in MANIFESTS} - NOT_OF_KUBERNETES


def test_the_configuration_in_the_manifests_passes_the_check(tmp_path):
    config = tmp_path / "tokenfall.toml"
    config.write_text(kubernetes("ConfigMap")["data"]["tokenfall.toml"])
    run(str(BINARY), "check", "--config", str(config), TOKENFALL__AUTH__TICKET_SECRET="s")


def test_a_pod_has_the_time_that_its_streams_have():
    server = tomllib.loads(kubernetes("ConfigMap")["data"]["tokenfall.toml"])["server"]
    grace = kubernetes("Deployment")["spec"]["template"]["spec"]["terminationGracePeriodSeconds"]
    assert seconds(server["drain_delay"]) > 0
    assert grace > seconds(server["drain_delay"]) + seconds(server["drain"])


def test_manifests_name_each_other():
    deployment = kubernetes("Deployment")
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    labels = pod["metadata"]["labels"]
    for selector in (
        deployment["spec"]["selector"]["matchLabels"],
        kubernetes("Service")["spec"]["selector"],
        kubernetes("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
    ):
        assert selector == labels
    assert kubernetes("Service")["spec"]["ports"][0]["targetPort"] == container["ports"][0]["name"]
    (variable,) = container["env"]
    assert variable["valueFrom"]["secretKeyRef"]["key"] in kubernetes("Secret")["stringData"]
    store = tomllib.loads(kubernetes("ConfigMap")["data"]["tokenfall.toml"])["store"]["url"]
    valkey = kubernetes("Service", re.sub(r"redis://(.*):6379", r"\1", store))
    assert valkey["spec"]["selector"] == kubernetes("Deployment", "tokenfall-valkey")["spec"]["template"]["metadata"]["labels"]


# Helm

CHART = DEPLOY / "helm/tokenfall"


def test_the_chart_is_of_this_version_and_has_the_values_it_uses():
    version = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["package"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["name"], chart["apiVersion"], chart["appVersion"]) == (CHART.name, "v2", version)
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    for path in (CHART / "templates").iterdir():
        for used in re.findall(r"\.Values\.([\w.]+)", path.read_text()):
            found = values
            for part in used.split("."):
                assert part in found, f"{path.name}: .Values.{used}"
                found = found[part]


@needs("helm", "version")
@pytest.mark.parametrize("flags", [[], ["--set=redisUrl=redis://a,ticketSecret=s,autoscaling.enabled=true"]])
def test_helm_makes_of_the_chart_what_the_schemas_say(flags):
    run("helm", "lint", "--strict", str(CHART), *flags)
    for found in yaml.safe_load_all(run("helm", "template", "a", str(CHART), *flags)):
        kubernetes_validate.validate(found, VERSIONS[-1], strict=True)


def seconds(text: str) -> int:
    return int(text.removesuffix("s"))
