"""Settings that are missing or wrong are reported in one line."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from baywheels import environment

ROOT = Path(__file__).parent.parent.parent
PRODUCTION = {
    "DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing",
    "SECRET_KEY": "k" * 50,
    "ALLOWED_HOSTS": "dispatch.example.org",
}
MIGRATE = [sys.executable, "manage.py", "migrate"]
GUNICORN = [sys.executable, "-m", "gunicorn", "baywheels.wsgi", "--bind", "127.0.0.1:0"]


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
    lines = [line for line in done.stderr.splitlines() if "[INFO]" not in line]
    return done.returncode, lines


WRONG = [
    ({"SECRET_KEY": ""}, "SECRET_KEY is not set"),
    ({"ALLOWED_HOSTS": " "}, "ALLOWED_HOSTS is not set"),
    ({"DATABASE_URL": "mysql://a@b/c"}, "DATABASE_URL must be of the form postgresql://"),
    ({"DATABASE_URL": "nonsense"}, "DATABASE_URL must be of the form"),
    ({"DATABASE_URL": "postgresql://host:port/name"}, "DATABASE_URL must be of the form"),
    ({"DATABASE_URL": "postgresql://host/"}, "DATABASE_URL must be of the form"),
    ({"API_AUTH": "maybe"}, "API_AUTH must be open or required, not 'maybe'"),
    ({"TASK_LEASE_MINUTES": "-1"}, "TASK_LEASE_MINUTES must be a whole number"),
    ({"TASK_LEASE_MINUTES": "10000000000"}, "must be a whole number from 0 to 5,256,000"),
    ({"TASK_LEASE_MINUTES": "9" * 5000}, "must be a whole number from 0"),
    ({"SECRET_KEY": "short"}, "SECRET_KEY must be 50 characters or more"),
    ({"SECRET_KEY": "k" * 50 + "  # from the vault"}, "without spaces"),
    ({"HTTPS_ONLY": "nah"}, "HTTPS_ONLY must be true or false, not 'nah'"),
    ({"BEHIND_PROXY": "true  # yes"}, "BEHIND_PROXY must be true or false"),
    ({"TIME_ZONE": "Mars/Base"}, "TIME_ZONE must be a name like Europe/Berlin"),
    ({"CORS_ALLOWED_ORIGINS": "https://a.example/"}, "must be origins like https://dashboard"),
    ({"CORS_ALLOWED_ORIGINS": "*"}, "CORS_ALLOWED_ORIGINS must be origins like"),
    ({"METRICS_TOKEN": "short"}, "METRICS_TOKEN must be 16 ASCII characters or more"),
    ({"STATION_FEED_HEADERS": "x-api-key"}, 'must be lines like "Name: value" or a JSON object'),
    ({"BASE_PATH": "bikes"}, "BASE_PATH must be a path like /bikes, not 'bikes'"),
    ({"MAP_TILES": "http://tiles.example/{z}/{x}/{y}.png"}, "MAP_TILES must be like https://tiles"),
    ({"MAP_TILES": "https://tiles.example/{z}/{x}.png"}, "MAP_TILES must be like https://tiles"),
    (
        {"MAP_TILES": "https://{s}.tiles.example/{z}/{x}/{y}"},
        "MAP_TILES must be like https://tiles",
    ),
    ({"MAP_TILES": "https://t.example;/{z}/{x}/{y}"}, "MAP_TILES must be like https://tiles"),
    ({"MAP_TILES": "https://tiles.example/{z}/{x}/{y}.png"}, "MAP_TILES needs MAP_ATTRIBUTION"),
    ({"EMAIL_HOST": "smtp.example"}, "EMAIL_HOST needs DEFAULT_FROM_EMAIL and PUBLIC_URL"),
    ({"EMAIL_USE_SSL": "true", "EMAIL_USE_TLS": "true"}, "exclude each other"),
    (
        {"EMAIL_HOST_PASSWORD": "secret", "EMAIL_USE_TLS": "false"},
        "EMAIL_HOST_PASSWORD is sent only with EMAIL_USE_TLS or EMAIL_USE_SSL",
    ),
    ({"DEFAULT_FROM_EMAIL": "a@b.example\nBcc: c@d"}, "DEFAULT_FROM_EMAIL must be one line"),
    ({"DEFAULT_FROM_EMAIL": "Dispatch <a@b.example"}, "DEFAULT_FROM_EMAIL must be like"),
    ({"DEFAULT_FROM_EMAIL": "[Bay] <a@b.example>"}, "DEFAULT_FROM_EMAIL must be like"),
    ({"DEFAULT_FROM_EMAIL": "Bay: Wheels <a@b.example>"}, "DEFAULT_FROM_EMAIL must be like"),
    ({"PUBLIC_URL": "https://a.example/bikes"}, "PUBLIC_URL must be like https://dispatch"),
    ({"LOG_LEVEL": "LOUD"}, "LOG_LEVEL must be DEBUG or INFO"),
    ({}, "The database is not available: "),
]
# gunicorn reads the same settings, and reports errors in its own place.
REPORTED_BY_GUNICORN = [
    *(case for case in WRONG if case[0].keys() <= {"SECRET_KEY", "API_AUTH"}),
    ({"PORT": "99999"}, "PORT must be a whole number from 0 to 65,535"),
    ({"WEB_THREADS": "0"}, "WEB_THREADS must be a whole number from 1"),
]


def name_of(value):
    return next(iter(value), "no_database") if isinstance(value, dict) else ""


@pytest.mark.slow
@pytest.mark.parametrize(("changed", "line"), WRONG, ids=name_of)
def test_wrong_setting_is_reported_in_one_line(changed, line):
    code, lines = run(MIGRATE, **{**PRODUCTION, **changed})

    assert code == 1
    assert len(lines) == 1, lines
    assert line in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize(("changed", "line"), REPORTED_BY_GUNICORN, ids=name_of)
def test_gunicorn_reports_wrong_setting_in_one_line(changed, line):
    code, lines = run(GUNICORN, **{**PRODUCTION, **changed})

    assert code == 1
    assert len(lines) == 1, lines
    assert line in lines[0]


def test_env_example_lists_every_setting():
    sources = [ROOT / "gunicorn.conf.py", ROOT / "manage.py", *(ROOT / "baywheels").rglob("*.py")]
    read = set()
    for source in sources:
        if "tests" not in source.parts:
            read |= set(
                re.findall(
                    r'(?:env\.\w+|required|one_of|whole_number|kilometres|yes_or_no|origins|base_path|mail_address|host_address|one_line|tile_address|header_fields|networks|token|environ\.get)\(\s*"([A-Z_]+)"',
                    source.read_text(),
                )
            )
    listed = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    # systemd sets the folder, and only docker-compose.yml reads the passwords.
    assert read - {"RUNTIME_DIRECTORY"} == listed - {"POSTGRES_PASSWORD", "POSTGRES_WEB_PASSWORD"}


@pytest.fixture
def read(tmp_path, monkeypatch):
    """Read these bytes as an .env file. Returns the variable NAME."""
    monkeypatch.delenv("NAME", raising=False)

    def read(content):
        path = tmp_path / ".env"
        path.write_bytes(content)
        with monkeypatch.context() as patched:
            # So that the variable goes again afterwards.
            patched.setattr(environment.os, "environ", variables := {})
            environment.read_env_file(path)
        return variables.get("NAME")

    return read


@pytest.mark.parametrize(
    "content",
    [
        b"NAME=value",
        b"\xef\xbb\xbfNAME=value\n",
        b"# comment\r\n\r\nNAME=value\r\n",
        b"export  NAME=value",
        b"  NAME = value  ",
        b"NAME='value' ",
        b'NAME="value"\r\n',
    ],
)
def test_env_file_is_read_in_every_usual_form(read, content):
    assert read(content) == "value"


@pytest.mark.parametrize(
    "content",
    [
        b"NAME",
        b"NAME value",
        b"NAME='value",
        b'NAME="',
        "NAME=value".encode("utf-16"),
        b"NAME=\xe9",
    ],
)
def test_malformed_env_file_is_refused_in_one_line(read, content):
    with pytest.raises(SystemExit, match=r"\.env") as refusal:
        read(content)
    assert "\n" not in str(refusal.value)
    assert "value" not in str(refusal.value).replace("NAME=value", "")


def test_value_that_begins_with_a_dollar_sign_is_read_as_it_is(monkeypatch):
    monkeypatch.setenv("OTHER", "another value")
    monkeypatch.setenv("NAME", "$OTHER")

    assert environment.env.str("NAME", default="") == "$OTHER"
    assert environment.env.list("NAME", default=[]) == ["$OTHER"]


SHOW_OPTIONS = """
import django; django.setup()
import {module}
from django.conf import settings
print(settings.DATABASES["default"]["OPTIONS"]["options"])
"""


def options(module="django", **environment):
    done = subprocess.run(
        [sys.executable, "-c", SHOW_OPTIONS.format(module=module)],
        cwd=ROOT,
        env={
            **os.environ,
            **PRODUCTION,
            **environment,
            "DJANGO_SETTINGS_MODULE": "baywheels.settings",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.parametrize("module", ["django", "baywheels.wsgi"])
def test_options_of_the_url_come_after_ours(module):
    url = PRODUCTION["DATABASE_URL"] + "?options=-c%20search_path%3Dbikes%20-c%20lock_timeout%3D3s"
    given = options(module, DATABASE_URL=url)

    assert "plan_cache_mode=force_generic_plan" in given
    assert given.endswith("-c search_path=bikes -c lock_timeout=3s")


@pytest.mark.slow
def test_generic_plans_can_be_switched_off():
    assert "plan_cache_mode=force_custom_plan" in options(GENERIC_PLANS="false")


@pytest.mark.parametrize(
    ("environment", "bind"),
    [
        ({}, "127.0.0.1:8000"),
        ({"PORT": "8080"}, "0.0.0.0:8080"),
        ({"PORT": "8080", "BIND": "127.0.0.1:9000"}, "127.0.0.1:9000"),
    ],
)
def test_port_without_bind_means_every_address(monkeypatch, environment, bind):
    for name in ("PORT", "BIND"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert runpy.run_path(str(ROOT / "gunicorn.conf.py"))["bind"] == bind
