"""The metrics of a real server, and the alerts of a real Prometheus."""

import json
import re
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import pytest
import requests
import yaml
from django.db.models.functions import Now
from prometheus_client.parser import text_string_to_metric_families

from deploy import private
from dispatch.models import Task

from ..support.factories import CrewFactory, TaskFactory
from ..support.server import ROOT, running_command, serve
from ..support.upstreams import need

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180), pytest.mark.django_db(transaction=True)]

TOKEN = "token-of-the-tests"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
RULES = ROOT / "deploy" / "prometheus"
DASHBOARDS = sorted((ROOT / "deploy" / "grafana").glob("*.json"))
PATIENCE_SECONDS = 60
BAD = {"ServerDown", "ExporterDown", "ExporterStale", "DatabaseDown", "TaskWaitsTooLong"}


def scrape(url):
    answer = requests.get(f"{url}/metrics", headers=BEARER, timeout=10)
    assert answer.status_code == 200, answer.text
    return answer.text


def value(text, name, **labels):
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                return sample.value
    return None


def claim(url):
    return requests.post(f"{url}/dispatch/next", json={"worker_id": "van-1"}, timeout=10)


def test_scrape_adds_up_what_all_workers_counted():
    claims = TaskFactory.create_batch(20)
    with serve(3, METRICS_TOKEN=TOKEN) as server:
        with ThreadPoolExecutor(6) as pool:
            statuses = {answer.status_code for answer in pool.map(claim, [server.url] * 20)}
        refused = claim(server.url)
        text = scrape(server.url)

    assert (statuses, refused.status_code) == ({200}, 404)
    count = "dispatch_http_request_duration_seconds_count"
    route = {"route": "dispatch/next", "method": "POST"}
    assert value(text, count, **route, code="200") == len(claims)
    assert value(text, count, **route, code="404") == 1
    assert value(text, "dispatch_claim_wait_seconds_count") == len(claims)
    assert value(text, "dispatch_refusals_total", reason="NoTaskReady") == 1


def test_figures_of_a_killed_worker_stay_in_the_sums():
    TaskFactory.create_batch(2)
    with serve(1, METRICS_TOKEN=TOKEN) as server:
        claim(server.url)
        [worker] = server.workers()
        subprocess.run(["kill", "-9", str(worker)], check=True)
        server.wait_until_ready()
        claim(server.url)
        text = scrape(server.url)

    assert value(text, "dispatch_claim_wait_seconds_count") == 2


def test_metrics_need_the_token_and_unknown_paths_add_no_series():
    with serve(1, METRICS_TOKEN=TOKEN) as server:
        for path in ("nowhere", "no-where", "task/12345/nothing"):
            requests.get(f"{server.url}/{path}", timeout=10)
        text = scrape(server.url)
        refused = requests.get(f"{server.url}/metrics", timeout=10)

    count = "dispatch_http_request_duration_seconds_count"
    assert value(text, count, route="other", code="404") == 3
    assert refused.status_code == 401
    assert "dispatch_" not in refused.text


def test_server_without_a_token_has_no_metrics():
    with serve(1) as server:
        assert requests.get(f"{server.url}/metrics", headers=BEARER, timeout=10).status_code == 404


# Prometheus


@contextmanager
def prometheus(folder, targets):
    """A real Prometheus with our rules: scraping and rules each second, and alerts at once."""
    need("prometheus")
    rules = yaml.safe_load((RULES / "alerts.yml").read_text())
    for group in rules["groups"]:
        group["interval"] = "1s"
        for rule in group["rules"]:
            rule.pop("for", None)
    (folder / "alerts.yml").write_text(yaml.safe_dump(rules))
    configuration = yaml.safe_load((RULES / "prometheus.yml").read_text())
    configuration["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configuration.pop("alerting")
    (folder / "token").write_text(TOKEN)
    for job in configuration["scrape_configs"]:
        job["static_configs"] = [{"targets": targets[job["job_name"]]}]
        if "authorization" in job:
            job["authorization"]["credentials_file"] = str(folder / "token")
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration))
    port = private.free_port()
    command = [
        "prometheus",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (
        open(folder / "prometheus.log", "a") as log,
        subprocess.Popen(command, stderr=log) as process,
    ):
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def firing(url):
    try:
        answer = requests.get(f"{url}/api/v1/alerts", timeout=5)
    except requests.ConnectionError:
        return set()
    # It answers 503 while it opens its database.
    alerts = answer.json()["data"]["alerts"] if answer.ok else []
    return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not (result := condition()):
        assert time.monotonic() < deadline, "Prometheus does not show it."
        time.sleep(0.2)
    return result


def test_prometheus_fires_for_a_task_that_is_stuck(tmp_path):
    CrewFactory(worker_id="van-1")
    port = private.free_port()
    exporting = ("export_metrics", "--every", "1", "--port", str(port))
    with serve(2, METRICS_TOKEN=TOKEN) as server, running_command(*exporting) as exporter:
        try:
            web = server.url.removeprefix("http://")
            targets = {"dispatch": [web], "dispatch-exporter": [f"127.0.0.1:{port}"]}
            with prometheus(tmp_path, targets) as url:
                # The first rules run before the first scrape.
                wait_for(lambda: firing(url) & {"Watchdog", *BAD} == {"Watchdog"})
                before = firing(url)
                TaskFactory()
                Task.objects.update(created_at=Now() - timedelta(hours=2))
                wait_for(lambda: "TaskWaitsTooLong" in firing(url))
                known = requests.get(f"{url}/api/v1/label/__name__/values", timeout=5).json()
        finally:
            exporter.terminate()

    assert "TaskWaitsTooLong" not in before
    # Names in the alerts and dashboards exist, with a server and an exporter that just started.
    assert names_in_use() - set(known["data"]) - MAY_BE_ABSENT == set()


# Series that exist only if there is something to report.
MAY_BE_ABSENT = {
    "dispatch_tasks_without_crew_oldest_timestamp_seconds",
    "dispatch_overdue_oldest_timestamp_seconds",
    "dispatch_feed_last_success_timestamp_seconds",
    "dispatch_feed_data_timestamp_seconds",
    "dispatch_feed_failing",
    "dispatch_empty_stations_ratio",
    "dispatch_full_stations_ratio",
    "dispatch_cluster_outages",
    "dispatch_open_suggestions",
    "dispatch_decided_suggestions_total",
    "dispatch_refusals_total",
    "dispatch_command_last_success_timestamp_seconds",
    "dispatch_poll_due_timestamp_seconds",
    "dispatch_webhook_failing_since_timestamp_seconds",
    "dispatch_webhook_oldest_pending_timestamp_seconds",
    "dispatch_mail_oldest_pending_timestamp_seconds",
    "dispatch_database_replication_lag_seconds",
    "dispatch_database_oldest_transaction_timestamp_seconds",
    "dispatch_database_archived_timestamp_seconds",
    "dispatch_database_archive_failed_timestamp_seconds",
    "dispatch_database_wal_segments",
}


def expressions():
    rules = yaml.safe_load((RULES / "alerts.yml").read_text())
    yield from (rule["expr"] for group in rules["groups"] for rule in group["rules"])
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            yield from (target["expr"] for target in panel.get("targets", ()))


def names_in_use():
    return {name for text in expressions() for name in re.findall(r"\bdispatch_\w+", text)}


def test_prometheus_tools_accept_the_rules_and_their_tests_pass():
    need("promtool")
    for command in (
        ["check", "rules", "--lint=all", "--lint-fatal", "alerts.yml"],
        ["check", "config", "--syntax-only", "prometheus.yml"],
        ["test", "rules", "alerts_test.yml"],
    ):
        done = subprocess.run(
            ["promtool", *command], cwd=RULES, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_query_of_a_dashboard_is_valid(tmp_path):
    need("promtool")
    rules = [
        {"record": "test:query", "expr": re.sub(r"\$__rate_interval", "1m", text)}
        for text in expressions()
    ]
    file = tmp_path / "rules.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))

    done = subprocess.run(
        ["promtool", "check", "rules", "--lint=none", str(file)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert len(rules) > 30


def test_every_alert_has_a_paragraph_in_the_runbook():
    runbook = (ROOT / "docs" / "monitoring.md").read_text()
    rules = yaml.safe_load((RULES / "alerts.yml").read_text())
    for group in rules["groups"]:
        for rule in group["rules"]:
            name = rule["alert"]
            assert f"### {name}\n" in runbook, name
            assert rule["annotations"]["runbook"].endswith(f"docs/monitoring.md#{name.lower()}")
