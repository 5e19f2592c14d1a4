"""All settings. `.env.example` lists those that come from the environment.

With DATABASE_URL this is production; without it, a local trial on the embedded PostgreSQL.
"""

import tomllib
import warnings
from datetime import timedelta

from baywheels import logs, openapi
from baywheels.environment import (
    BASE_DIR,
    base_path,
    check_mail,
    connection_options,
    database,
    env,
    header_fields,
    host_address,
    kilometres,
    local_secret_key,
    mail_address,
    networks,
    one_line,
    one_of,
    origins,
    production_secret_key,
    refuse,
    required,
    session_options,
    tile_address,
    time_zone,
    token,
    whole_number,
    yes_or_no,
)

DATABASE_URL = env.str("DATABASE_URL", default="").strip()
PRODUCTION = bool(DATABASE_URL)

DEBUG = yes_or_no("DEBUG", False)
SECRET_KEY = production_secret_key() if PRODUCTION else local_secret_key()
ALLOWED_HOSTS = (
    [host.strip() for host in required("ALLOWED_HOSTS").split(",")]
    if PRODUCTION
    else ["localhost", "127.0.0.1", "[::1]"]
)
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])
# Pages of these origins may call the API. Never the console: no credentials.
CORS_ALLOWED_ORIGINS = origins("CORS_ALLOWED_ORIGINS")
CORS_URLS_REGEX = r"^/(?!admin(/|$)|crew/|static/)"
CORS_ALLOW_METHODS = ["GET", "HEAD", "OPTIONS", "POST"]
CORS_ALLOW_HEADERS = ["Authorization", "Content-Type", "Idempotency-Key", "X-Request-ID"]
CORS_EXPOSE_HEADERS = ["Link", "Retry-After", "X-Warning", "X-Request-ID"]
# The path of a shared host at which a proxy offers the service, such as /bikes.
BASE_PATH = base_path("BASE_PATH")
FORCE_SCRIPT_NAME = BASE_PATH or None
SESSION_COOKIE_PATH = CSRF_COOKIE_PATH = f"{BASE_PATH}/"

# The service

API_TITLE = "Bay Wheels Orchestration & Dispatch Service"
API_VERSION = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]
API_AUTH = one_of("API_AUTH", ("open", "required"), "required" if PRODUCTION else "open")
# A server on a standby, for lists and figures (docs/high-availability.md).
READ_ONLY = yes_or_no("READ_ONLY", False)
TASK_OVERDUE_MINUTES = whole_number("TASK_OVERDUE_MINUTES", 60)
TASK_LEASE_MINUTES = whole_number("TASK_LEASE_MINUTES", 480)
TASK_AGEING_MINUTES = whole_number("TASK_AGEING_MINUTES", 0)
COMPLETION_GRACE_MINUTES = whole_number("COMPLETION_GRACE_MINUTES", 5)
VAN_CAPACITY = whole_number("VAN_CAPACITY", 40)
TASKS_PER_WORKER = whole_number("TASKS_PER_WORKER", 0)
MOVE_MAX_KM = kilometres("MOVE_MAX_KM", 5)
MOVE_MIN_BIKES = whole_number("MOVE_MIN_BIKES", 3, least=1)
INVENTORY_GUARD = one_of("INVENTORY_GUARD", ("off", "warn", "refuse"), "warn")
UNKNOWN_STATIONS = one_of("UNKNOWN_STATIONS", ("warn", "refuse"), "warn")
# docs/many-cities.md. Claims of crews that are not on the roster.
UNKNOWN_CREWS = one_of("UNKNOWN_CREWS", ("allow", "refuse"), "allow")
STATION_FEED_HEADERS = header_fields("STATION_FEED_HEADERS")
# Feeds of the systems in the console may be in these internal networks.
FEED_ALLOW_NETWORKS = networks("FEED_ALLOW_NETWORKS")
STATUS_MAX_AGE_MINUTES = whole_number("STATUS_MAX_AGE_MINUTES", 60)
HIT_RATE_HOURS = whole_number("HIT_RATE_HOURS", 4, least=1, most=24)
STOCKOUT_GOAL_PERCENT = whole_number("STOCKOUT_GOAL_PERCENT", 0, most=100)
CREW_PAGE_OFFLINE = yes_or_no("CREW_PAGE_OFFLINE", True)
# Prometheus reads /metrics with it. None: there is no such page.
METRICS_TOKEN = token("METRICS_TOKEN")
# Webhooks may be sent to these internal networks, also by http and to any port.
WEBHOOK_ALLOW_NETWORKS = networks("WEBHOOK_ALLOW_NETWORKS")
# Without EMAIL_HOST, no e-mail is sent. PUBLIC_URL begins the links in e-mails.
EMAIL_HOST = env.str("EMAIL_HOST", default="").strip()
EMAIL_USE_SSL = yes_or_no("EMAIL_USE_SSL", False)
EMAIL_USE_TLS = yes_or_no("EMAIL_USE_TLS", not EMAIL_USE_SSL)
EMAIL_PORT = whole_number(
    "EMAIL_PORT", 465 if EMAIL_USE_SSL else 587 if EMAIL_USE_TLS else 25, least=1, most=65_535
)
EMAIL_HOST_USER = env.str("EMAIL_HOST_USER", default="")
EMAIL_HOST_PASSWORD = env.str("EMAIL_HOST_PASSWORD", default="")
EMAIL_TIMEOUT = 15
EMAIL_SUBJECT_PREFIX = one_line("EMAIL_SUBJECT_PREFIX", "[Bay Wheels] ")
DEFAULT_FROM_EMAIL = mail_address("DEFAULT_FROM_EMAIL")
PUBLIC_URL = host_address("PUBLIC_URL")
check_mail(
    EMAIL_HOST,
    is_addressed=bool(DEFAULT_FROM_EMAIL and PUBLIC_URL),
    encryptions=EMAIL_USE_SSL + EMAIL_USE_TLS,
    has_password=bool(EMAIL_HOST_PASSWORD),
)
MAIL_ALERT_MINUTES = whole_number("MAIL_ALERT_MINUTES", 15)
DAILY_REPORT_HOUR = whole_number("DAILY_REPORT_HOUR", 6, most=23)
MAP_TILES = tile_address("MAP_TILES")
MAP_ATTRIBUTION = env.str("MAP_ATTRIBUTION", default="").strip()
if MAP_TILES and not MAP_ATTRIBUTION:
    raise refuse("MAP_TILES needs MAP_ATTRIBUTION, the credit that the tile server asks for.")
LOW_FILL_PERCENT = whole_number("LOW_FILL_PERCENT", 20)
HIGH_FILL_PERCENT = whole_number("HIGH_FILL_PERCENT", 80)
if not LOW_FILL_PERCENT < HIGH_FILL_PERCENT <= 100:
    raise refuse("LOW_FILL_PERCENT must be less than HIGH_FILL_PERCENT, and that at most 100.")

INSTALLED_APPS = [
    "baywheels.apps.ProjectConfig",
    "baywheels.apps.ConsoleConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "pgtrigger",
    "axes",
    "corsheaders",
    "js_lib_leaflet",
    "dispatch",
]
AUTH_USER_MODEL = "dispatch.User"
AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "django.contrib.auth.backends.ModelBackend",
]

MIDDLEWARE = [
    "baywheels.middleware.RequestLogMiddleware",
    "baywheels.middleware.BrowserHeadersMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "baywheels.middleware.ChunkedBodyMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "baywheels.console_middleware.ConsoleSessionMiddleware",
    "baywheels.middleware.PathMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "baywheels.console_middleware.ConsoleAuthenticationMiddleware",
    "baywheels.console_middleware.ConsoleMessageMiddleware",
    "baywheels.middleware.DatabaseUnavailableMiddleware",
    "axes.middleware.AxesMiddleware",
]
if METRICS_TOKEN:
    MIDDLEWARE.insert(0, "baywheels.metrics.MetricsMiddleware")
if READ_ONLY:
    # After the check of the request's host.
    position = MIDDLEWARE.index("baywheels.middleware.PathMiddleware") + 1
    MIDDLEWARE.insert(position, "baywheels.middleware.ReadOnlyMiddleware")
if CORS_ALLOWED_ORIGINS:
    # After the request log and the headers for browsers.
    position = MIDDLEWARE.index("baywheels.middleware.BrowserHeadersMiddleware") + 1
    MIDDLEWARE.insert(position, "corsheaders.middleware.CorsMiddleware")
ROOT_URLCONF = "baywheels.urls"
WSGI_APPLICATION = "baywheels.wsgi.application"
# A redirect to the path with a slash would lose the body of a POST.
APPEND_SLASH = False
CSRF_FAILURE_VIEW = "baywheels.errors.csrf_failure"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "dispatch" / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# In transaction mode clients share sessions: nothing may be prepared, kept open or set in one.
BEHIND_PGBOUNCER = yes_or_no("BEHIND_PGBOUNCER", False)
DATABASES = {"default": database(DATABASE_URL)}
DATABASES["default"].update(
    CONN_MAX_AGE=whole_number("CONN_MAX_AGE", 60),
    CONN_HEALTH_CHECKS=True,
    DISABLE_SERVER_SIDE_CURSORS=BEHIND_PGBOUNCER,
)
# docs/batch-client.md. A transaction pooler hands a session, with its statements, to others.
BATCH_STATEMENTS = yes_or_no("BATCH_STATEMENTS", True)
PREPARE_STATEMENTS = not BEHIND_PGBOUNCER
# Planning prepared statements for every call takes a quarter of an approval's time. Distributed
# planners, as Citus', need the parameters.
GENERIC_PLANS = yes_or_no("GENERIC_PLANS", True)
# Parameters in the query of DATABASE_URL take precedence.
given = DATABASES["default"].get("OPTIONS", {})
DATABASES["default"]["OPTIONS"] = connection_options(read_only=READ_ONLY) | given
# None: wsgi.py adds the server's timeouts, and management commands have none.
DB_OPTIONS = env.str("DB_OPTIONS", default=None)
DB_ANSWER_SECONDS = whole_number("DB_ANSWER_SECONDS", 9)
if not BEHIND_PGBOUNCER:
    ours = session_options(read_only=READ_ONLY, generic_plans=GENERIC_PLANS)
    options = f"{ours} {given.get('options', '')} {DB_OPTIONS or ''}"
    DATABASES["default"]["OPTIONS"]["options"] = options
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = time_zone()
USE_I18N = False
FORMAT_MODULE_PATH = ["baywheels.formats"]
USE_TZ = True

STATIC_URL = f"{BASE_PATH}/static/"
WHITENOISE_STATIC_PREFIX = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
# Serves the compressed copies that collectstatic makes (the image runs it); without them, the files
# in the packages.
WHITENOISE_USE_FINDERS = not STATIC_ROOT.exists()
STORAGES = {"staticfiles": {"BACKEND": "whitenoise.storage.CompressedStaticFilesStorage"}}
warnings.filterwarnings("ignore", message="No directory at", category=UserWarning)

# In bytes. A bulk action of the console sends 1,000 fields of about 30 bytes.
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 2_000

# Browsers must use HTTPS in production, unless HTTPS_ONLY=false (closed networks without TLS).
HTTPS_ONLY = yes_or_no("HTTPS_ONLY", PRODUCTION)
SECURE_SSL_REDIRECT = HTTPS_ONLY
SECURE_REDIRECT_EXEMPT = [
    rf"^{BASE_PATH.lstrip('/')}/?{name}$" for name in ("healthz", "readyz", "metrics")
]
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS_ONLY else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS_ONLY
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS_ONLY
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 60 * whole_number("SESSION_IDLE_MINUTES", 720, least=3, most=525_600)
LOGIN_REDIRECT_URL = "admin:index"
X_FRAME_OPTIONS = "DENY"
BEHIND_PROXY = yes_or_no("BEHIND_PROXY", False)
if BEHIND_PROXY:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")

# Signing in to the console. Lockouts apply to a name at one address, so that no one can lock out a
# colleague from elsewhere.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_CLIENT_IP_CALLABLE = "baywheels.lockout.client_address"
AXES_LOCKOUT_CALLABLE = "baywheels.lockout.locked_out"
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
# Attempts during a lockout neither extend it nor fill the table.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_ENABLE_ADMIN = False
# Users sometimes type the password into the username field.
AXES_SENSITIVE_PARAMETERS = ["username", "csrfmiddlewaretoken"]
AXES_VERBOSE = False

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": (
        ["dispatch.api.authentication.ApiTokenAuthentication"] if API_AUTH == "required" else []
    ),
    "DEFAULT_PERMISSION_CLASSES": ["dispatch.api.authority.ApiAccess"],
    "DEFAULT_PARSER_CLASSES": [
        "dispatch.api.parsers.StrictJSONParser",
        "dispatch.api.parsers.StrictFormParser",
        "dispatch.api.parsers.StrictMultiPartParser",
    ],
    "DEFAULT_RENDERER_CLASSES": ["dispatch.api.renderers.MsgspecRenderer"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "dispatch.api.negotiation.AlwaysFirstRenderer",
    "DEFAULT_METADATA_CLASS": "dispatch.api.negotiation.NameOnly",
    "DEFAULT_SCHEMA_CLASS": "dispatch.api.auto_schema.ApiSchema",
    "EXCEPTION_HANDLER": "dispatch.api.errors.exception_handler",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
    "UNAUTHENTICATED_USER": None,
}

SPECTACULAR_SETTINGS = openapi.configuration(API_TITLE, API_VERSION, BASE_PATH or "/")

LOGGING = logs.configuration(
    one_of("LOG_LEVEL", ("DEBUG", "INFO", "WARNING", "ERROR"), "INFO"),
    one_of("LOG_FORMAT", ("text", "json"), "text"),
)
