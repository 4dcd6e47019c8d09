"""Django settings of SecureNet. Every value that differs between machines comes from the environment."""

from datetime import timedelta

from securenet import environment
from securenet.environment import env
from securenet.redis_urls import Cluster

PRODUCTION = environment.is_production()
DATA_DIR = environment.data_dir()

SECRET_KEY = environment.secret_key()
DEBUG = env.bool("DEBUG", default=False) and not PRODUCTION
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=[] if PRODUCTION else ["127.0.0.1", "localhost", "[::1]"])
CSRF_TRUSTED_ORIGINS = env.list("CSRF_TRUSTED_ORIGINS", default=[])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "perf",  # before django_rq: its rqworker command extends that one
    "securenet.queues.QueuesConfig",
    "securenet.accounts",
    "securenet.network",
    "securenet.security",
    "securenet.vulnerabilities",
    "securenet.logs",
    "securenet.notifications",
    "securenet.dashboard",
    "securenet.policies",
]

MIDDLEWARE = [
    "perf.middleware.PerformanceMiddleware",
    "securenet.middleware.LengthRequiredMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "securenet.middleware.ContentSecurityPolicyMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "securenet.urls"
WSGI_APPLICATION = "securenet.wsgi.application"
APPEND_SLASH = True

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [environment.PROJECT_DIR / "securenet" / "templates"],  # before the apps: the admin's frame
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

DATABASES = {"default": environment.database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Seconds. The limiter must not wait for a Redis that does not answer.
REDIS_TIMEOUT = env.float("REDIS_TIMEOUT", default=0.5)
CACHES = {"default": environment.redis_address().cache_settings(REDIS_TIMEOUT)}

RQ_QUEUES = {
    name: {
        **environment.jobs_redis_address().queue_settings(REDIS_TIMEOUT),
        "SERIALIZER": "json",
        "DEFAULT_TIMEOUT": 3600,
    }
    for name in ("high", "default", "low")
}

AUTH_USER_MODEL = "accounts.User"
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
USE_I18N = True

STATIC_URL = "static/"
STATIC_ROOT = DATA_DIR / "static"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "securenet.accounts.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_THROTTLE_CLASSES": ["perf.throttling.PolicyThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["perf.api.parsers.BoundedJSONParser"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_PAGINATION_CLASS": "perf.api.pagination.ResultPages",
    "PAGE_SIZE": 50,
    "DEFAULT_SCHEMA_CLASS": "securenet.schema.SecureNetSchema",
    "EXCEPTION_HANDLER": "perf.api.exceptions.exception_handler",
    "DEFAULT_VERSIONING_CLASS": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=env.int("ACCESS_TOKEN_MINUTES", default=15)),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=env.int("REFRESH_TOKEN_DAYS", default=7)),
    "ALGORITHM": "HS256",
    "SIGNING_KEY": SECRET_KEY,
    "AUTH_HEADER_TYPES": ("Bearer",),
    "USER_ID_CLAIM": "sub",
    "UPDATE_LAST_LOGIN": True,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "SecureNet",
    "DESCRIPTION": (
        "Network-security monitoring whose behaviour under load is data.\n\n"
        "Every error is a problem (RFC 9457); a method that a path does not have is 405 with `Allow`, and a failure of "
        "the server is 500. Bodies are UTF-8 JSON unless an operation says otherwise; fields that it does not name are "
        "refused, and no text holds a NUL. A query parameter without a value counts as not given, and one that no "
        "operation names is ignored."
    ),
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SCHEMA_PATH_PREFIX": "/api",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "FindingState": "securenet.security.models.Finding.State",
        "ServiceState": "securenet.network.models.Service.State",
        "JobStatus": "perf.models.Job.Status",
        "Severity": "securenet.security.models.Severity",
    },
}

# Bytes of a request's body; log batches are the largest thing a client sends.
DATA_UPLOAD_MAX_MEMORY_SIZE = env.int("MAX_BODY_BYTES", default=5 * 1024 * 1024)

PERF_CACHE_NAME = "securenet"
# On a Cluster entries are spread over its nodes; on one server limits and cache are one command.
PERF_CACHE_SHARDS = 16 if isinstance(environment.redis_address(), Cluster) else 1
# Answers hold paths, never addresses of this server.
PERF_VARY_ON_HOST = False
PERF_TRACING = bool(env.str("OTEL_EXPORTER_OTLP_ENDPOINT", default=""))
PERF_TRUSTED_PROXIES = env.list("TRUSTED_PROXIES", default=[])
PERF_PROCESSES = env.int("WEB_WORKERS", default=2)
PERF_IDENTITY_LIFETIME = SIMPLE_JWT["ACCESS_TOKEN_LIFETIME"].total_seconds() + 60
PERF_IDENTITY_VERSIONS = "securenet.accounts.identity.recent_versions"
PERF_ADMIN_ROLES = ["platform_owner", "security_admin"]

# Log files that are followed: paths, perhaps with wildcards.
SECURENET_LOG_FILES = environment.log_files()

# Time zone of log lines that name none, where an admin has set none for their source.
SECURENET_LOG_TIME_ZONE = environment.time_zone("LOG_TIME_ZONE")

# Networks from which /metrics may be read without signing in.
METRICS_NETWORKS = env.list("METRICS_NETWORKS", default=["127.0.0.0/8", "::1/128"])

SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
if PRODUCTION:
    SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=True)
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.bool("TLS_AT_PROXY", default=False) else None
    SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$", r"^metrics$"]
    SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=365 * 24 * 3600)
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"context": {"()": "perf.log_context.ContextFilter"}},
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name}: {message}", "style": "{"},
        "json": {
            "()": "pythonjsonlogger.json.JsonFormatter",
            "format": "{levelname}{name}{message}{process}{request_id}{job_id}",
            "style": "{",
            "timestamp": True,
            "rename_fields": {"levelname": "level", "name": "logger"},
        },
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": environment.log_format(PRODUCTION),
            "filters": ["context"],
        }
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        # Refusals are counted in the statistics; a line for each would be a way to fill the disk.
        "django.request": {"level": "ERROR"},
        "django.security": {"level": "CRITICAL"},  # with a traceback for each, where anybody can cause it
        "httpx": {"level": "WARNING"},
        "drain3": {"level": "WARNING"},
    },
}
