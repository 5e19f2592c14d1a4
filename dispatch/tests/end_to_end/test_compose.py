"""The promises of docker-compose.yml that can be checked without Docker."""

import os
import re
import subprocess
import sys
from urllib.parse import urlsplit

import psycopg
import pytest
import yaml

from baywheels.embedded.cluster import PORT, Cluster
from baywheels.embedded.programs import find_programs

from ..support.server import ROOT

SERVICES = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


# Settings that the stack fixes or does not need, and the database's own passwords.
NOT_OF_WEB = {
    *("BEHIND_PGBOUNCER", "BIND", "DEBUG", "DEVDB_DIR", "PG_BIN", "PORT", "READ_ONLY"),
    *("POSTGRES_PASSWORD", "POSTGRES_WEB_PASSWORD"),
}


def test_stack_passes_every_setting_to_the_server():
    example = (ROOT / ".env.example").read_text()
    listed = set(re.findall(r"^#?([A-Z_]+)=", example, re.MULTILINE))

    assert set(SERVICES["web"]["environment"]) == listed - NOT_OF_WEB


def test_request_timeouts_do_not_reach_migrations():
    assert "DB_OPTIONS" not in SERVICES["migrate"]["environment"]


def test_only_nginx_publishes_a_port():
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published == {"nginx": ["127.0.0.1:8000:80"]}


def test_nginx_passes_requests_only_to_the_web_service():
    script = SERVICES["nginx"]["command"][2]
    command = script.partition("> /etc")[0].replace("/deploy/", "deploy/")

    site = run(["sh", "-c", command.rstrip(" \\\n")])

    servers = [line.strip() for line in site.splitlines() if line.strip().startswith("server ")]
    assert servers == ["server web:8000 max_fails=0;", "server {"]


def test_no_service_connects_as_superuser():
    urls = {
        name: service["environment"]["DATABASE_URL"]
        for name, service in SERVICES.items()
        if "DATABASE_URL" in service.get("environment", {})
    }

    users = {name: urlsplit(url.partition("${")[0]).netloc for name, url in urls.items()}
    others = dict.fromkeys(
        ["web", "sweep", "rollup", "webhooks", "mail", "poll", "poll-systems"], "web:"
    )
    assert users == {"migrate": "baywheels:", **others}


def run(command, **environment):
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def manage(command, url):
    settings = {"DATABASE_URL": url, "SECRET_KEY": "k" * 50, "ALLOWED_HOSTS": "localhost"}
    run([sys.executable, "manage.py", command], **settings)


@pytest.mark.slow
def test_roles_of_the_stack_migrate_and_serve_without_superuser(tmp_path):
    cluster = Cluster(tmp_path / "db")
    cluster.start()
    try:
        run(
            ["sh", "deploy/compose_roles.sh"],
            PATH=f"{find_programs().folder}:{os.environ['PATH']}",
            PGHOST=str(cluster.socket_dir),
            PGPORT=str(PORT),
            POSTGRES_PASSWORD="postgres",
            POSTGRES_WEB_PASSWORD="web",
        )
        url = f"postgresql://{{}}@:{PORT}/baywheels?host={cluster.socket_dir}"
        for command in ("migrate", "grant_roles"):
            manage(command, url.format("baywheels"))
        manage("preflight", url.format("web"))
        manage("sweep", url.format("web"))

        with psycopg.connect(url.format("web"), autocommit=True) as web:
            assert web.execute("SHOW is_superuser").fetchone() == ("off",)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                web.execute("CREATE TABLE more (id int)")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                web.execute("DELETE FROM task_events")
    finally:
        cluster.stop()
