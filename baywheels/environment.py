"""Read settings from the environment. A missing or wrong one is reported in one line, exit 1."""

import os
import re
import secrets
import zoneinfo
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

import environ
from django.core.exceptions import ImproperlyConfigured

from baywheels.embedded import cluster
from dispatch import values

BASE_DIR = Path(__file__).resolve().parent.parent

SHORTEST_SECRET_KEY = 50
SHORTEST_TOKEN = 16
# Ten years in minutes. With much longer leases, dates would overflow and every claim would fail.
HIGHEST_NUMBER = 5_256_000

ENV_LINE = re.compile(r"(?:export\s+)?([A-Za-z_]\w*)\s*=\s*(.*)")
QUOTES = ("'", '"')


def refuse(message: str) -> "SystemExit":
    return SystemExit(f"baywheels: {message}")


class Environment(environ.Env):  # type: ignore[misc]
    """Reads values as they are: django-environ takes `$NAME` for another variable's value."""

    def get_value(
        self, var: str, cast: Any = None, default: Any = None, parse_default: bool = False
    ) -> Any:
        value = os.environ.get(var)
        if value is None or (value == "" and default is None):
            return default
        return self.parse_value(value, cast)


def read_env_file(path: Path) -> None:
    """Set the variables of a file of NAME=value lines, except those that are already set."""
    try:
        # Editors may put a byte order mark in front.
        lines = path.read_text("utf-8-sig").split("\n")
    except FileNotFoundError:
        return
    except (OSError, UnicodeDecodeError) as error:
        raise refuse(f"{path} cannot be read as UTF-8 text: {error}.") from None
    for number, line in enumerate(map(str.strip, lines), start=1):
        if not line or line.startswith("#"):
            continue
        name, value = assignment(line) or (None, "")
        if name is None or "\0" in value:
            # Without the line: it may hold a secret.
            raise refuse(f"{path}, line {number}: write NAME=value, and close each quote.")
        os.environ.setdefault(name, value)


def assignment(line: str) -> tuple[str, str] | None:
    """Return the name and the value without its quotes, or None if the line is malformed."""
    match = ENV_LINE.fullmatch(line)
    if not match:
        return None
    name, value = match.groups()
    if not value.startswith(QUOTES):
        return name, value
    if len(value) < 2 or value[-1] != value[0]:
        return None
    inner = value[1:-1]
    return name, re.sub(r"\\([^rnt])", r"\1", inner) if value[0] == '"' else inner


env = Environment()
read_env_file(BASE_DIR / ".env")


def required(name: str) -> str:
    value: str = env.str(name, default="").strip()
    if not value:
        raise refuse(f"{name} is not set; production (DATABASE_URL is set) needs it.")
    return value


def one_of(name: str, choices: tuple[str, ...], default: str) -> str:
    value: str = env.str(name, default=default)
    if value not in choices:
        raise refuse(f"{name} must be {' or '.join(choices)}, not {value!r}.")
    return value


def whole_number(name: str, default: int, *, least: int = 0, most: int = HIGHEST_NUMBER) -> int:
    """Return the number, or the default if the variable is unset or empty."""
    text = env.str(name, default="").strip() or str(default)
    if not re.fullmatch("[0-9]{1,9}", text) or not least <= int(text) <= most:
        raise refuse(f"{name} must be a whole number from {least} to {most:,}.")
    return int(text)


def kilometres(name: str, default: float) -> float:
    """Return the distance, or the default if the variable is unset or empty."""
    text = env.str(name, default="").strip() or str(default)
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,3})?", text) or not float(text):
        raise refuse(f"{name} must be a number of kilometres like 5 or 2.5.")
    return float(text)


def origins(name: str) -> list[str]:
    """Return origins as browsers send them: a scheme and a host, without a path."""
    listed = [each.strip().lower() for each in env.str(name, default="").split(",")]
    listed = [each for each in listed if each]
    for each in listed:
        if not re.fullmatch(r"[a-z][a-z0-9+.-]*://[^\s/?#@*]+", each):
            raise refuse(
                f"{name} must be origins like https://dashboard.example.org, not {each!r}."
            )
    return listed


def networks(name: str) -> list[IPv4Network | IPv6Network]:
    listed = [each.strip() for each in env.str(name, default="").split(",")]
    try:
        return [ip_network(each) for each in listed if each]
    except ValueError as error:
        raise refuse(f"{name} must be networks like 10.1.0.0/16: {error}.") from None


def header_fields(name: str) -> dict[str, str]:
    try:
        return values.header_fields(env.str(name, default=""))
    except ValueError as error:
        raise refuse(f"{name} {error}.") from None


def tile_address(name: str) -> str:
    """Return an https address with {z}, {x} and {y}; {r} may be "@2x". Empty: no tiles."""
    value: str = env.str(name, default="").strip()
    found = set(re.findall(r"\{.*?\}", value))
    if value and not (
        re.fullmatch(r"https://[A-Za-z0-9.-]+(:[0-9]{1,5})?/[!-~]+", value)
        and {"{z}", "{x}", "{y}"} <= found <= {"{z}", "{x}", "{y}", "{r}"}
    ):
        raise refuse(f"{name} must be like https://tiles.example/{{z}}/{{x}}/{{y}}.png.")
    return value


def one_line(name: str, default: str) -> str:
    value: str = env.str(name, default=default)
    if not value.isprintable():
        raise refuse(f"{name} must be one line of printable characters.")
    return value


def mail_address(name: str) -> str:
    """Return an address, with or without a name: Dispatch <dispatch@example.org>. Empty: none."""
    value = one_line(name, "").strip()
    address = r"[^\s<>@,;]+@[A-Za-z0-9.-]+"
    # Without quotation marks, these characters have a meaning of their own in a name.
    display_name = r'"[^"\\<>]+"|[^"\\<>()\[\]@,;:]+'
    if value and not re.fullmatch(f"{address}|(?:{display_name}) <{address}>", value, re.ASCII):
        raise refuse(f"{name} must be like dispatch@example.org or Dispatch <d@example.org>.")
    return value


def host_address(name: str) -> str:
    """Return a scheme and a host, such as https://dispatch.example.org. Empty: none."""
    value: str = env.str(name, default="").strip().rstrip("/")
    if value and not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?", value):
        raise refuse(f"{name} must be like https://dispatch.example.org, without a path.")
    return value


def base_path(name: str) -> str:
    """Return a path without a slash at its end; empty for the root of the host."""
    value: str = env.str(name, default="").strip().rstrip("/")
    if not re.fullmatch(r"(/[A-Za-z0-9._~-]+)*", value):
        raise refuse(f"{name} must be a path like /bikes, not {value!r}.")
    return value


def yes_or_no(name: str, default: bool) -> bool:
    """Accept only true and false: django-environ reads a typo as False."""
    value: str = env.str(name, default=str(default)).lower()
    if value not in ("true", "false"):
        raise refuse(f"{name} must be true or false, not {value!r}.")
    return value == "true"


def production_secret_key() -> str:
    value = required("SECRET_KEY")
    if len(value) < SHORTEST_SECRET_KEY or re.search(r"\s", value):
        raise refuse(
            f"SECRET_KEY must be {SHORTEST_SECRET_KEY} characters or more, without spaces."
        )
    return value


def token(name: str) -> str | None:
    """Return the secret, or None if the variable is unset or empty."""
    value: str = env.str(name, default="")
    if value and not re.fullmatch(f"[!-~]{{{SHORTEST_TOKEN},}}", value):
        raise refuse(f"{name} must be {SHORTEST_TOKEN} ASCII characters or more, without spaces.")
    return value or None


def time_zone() -> str:
    value: str = env.str("TIME_ZONE", default="UTC")
    if value not in zoneinfo.available_timezones():
        raise refuse(f"TIME_ZONE must be a name like Europe/Berlin, not {value!r}.")
    return value


def local_secret_key() -> str:
    """Return this checkout's key, created on first use; concurrent processes agree on it."""
    path = BASE_DIR / ".secret_key"
    try:
        if not path.exists():
            draft = path.with_name(f".secret_key.{os.getpid()}")
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(64))
            with suppress(FileExistsError):
                os.link(draft, path)
            draft.unlink()
        return path.read_text()
    except OSError as error:
        raise refuse(f"{path}: {error.strerror}; set DATABASE_URL for production.") from None


def check_mail(host: str, *, is_addressed: bool, encryptions: int, has_password: bool) -> None:
    """ImproperlyConfigured: the settings of e-mail contradict each other."""
    if host and not is_addressed:
        raise refuse("EMAIL_HOST needs DEFAULT_FROM_EMAIL and PUBLIC_URL.")
    if encryptions > 1:
        raise refuse("EMAIL_USE_TLS and EMAIL_USE_SSL exclude each other.")
    if has_password and not encryptions:
        raise refuse("EMAIL_HOST_PASSWORD is sent only with EMAIL_USE_TLS or EMAIL_USE_SSL.")


def database(url: str) -> dict[str, Any]:
    if not url:
        return {
            "ENGINE": "baywheels.embedded",
            "NAME": cluster.DATABASE,
            "USER": cluster.USER,
            "HOST": str(cluster.DEFAULT.socket_dir),
            "PORT": str(cluster.PORT),
        }
    form = refuse("DATABASE_URL must be of the form postgresql://user:password@host:5432/name.")
    if not url.startswith(("postgresql://", "postgres://")):
        raise form
    try:
        config: dict[str, Any] = env.db_url_config(url, engine="baywheels.database")
    except (ImproperlyConfigured, ValueError):
        raise form from None
    if not config["NAME"]:
        raise form
    return config


def connection_options(*, read_only: bool) -> dict[str, Any]:
    return {
        "connect_timeout": 2,
        # Detect a vanished database host within 10 s.
        "keepalives_idle": 4,
        "keepalives_interval": 2,
        "keepalives_count": 2,
        "tcp_user_timeout": 8000,
        # During a failover, connect to no server that refuses writes.
        "target_session_attrs": "prefer-standby" if read_only else "read-write",
    }


def session_options(*, read_only: bool, generic_plans: bool) -> str:
    """PostgreSQL's settings for each session, as libpq's `options`."""
    plans = f"-c plan_cache_mode=force_{'generic' if generic_plans else 'custom'}_plan"
    # Statements outside of transactions too.
    isolation = r"-c default_transaction_isolation=read\ committed"
    writing = " -c default_transaction_read_only=on" if read_only else ""
    return f"{plans} {isolation}{writing}"
