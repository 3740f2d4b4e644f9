"""Settings shared by every way of running; each value comes from the environment or its default.

docs/settings.md lists them. The embedded default needs no server: SQLite, a broker made of files,
local folders. `DATABASE_URL` and `CELERY_BROKER_URL` switch the same code to PostgreSQL and Redis.
"""

from pathlib import Path
from typing import Any

from csp.constants import NONE, SELF

from config.env import env, read_bool, read_choice, read_int, read_list, read_path

BASE_DIR = Path(__file__).resolve().parent.parent.parent

# Preferendum
PREFERENDUM_DATA_DIR = read_path("PREFERENDUM_DATA_DIR", default=BASE_DIR / "var")
PREFERENDUM_BASE_MODEL = env.str("PREFERENDUM_BASE_MODEL", default="")
# JSON lines {"text": ...} that PPO-ptx mixes in; empty: the demonstrations.
PREFERENDUM_PRETRAINING_TEXTS = env.str("PREFERENDUM_PRETRAINING_TEXTS", default="")
PREFERENDUM_ALLOW_DOWNLOADS = read_bool("PREFERENDUM_ALLOW_DOWNLOADS", default=False)
PREFERENDUM_RUN_LEASE_SECONDS = read_int("PREFERENDUM_RUN_LEASE_SECONDS", default=30, minimum=3)
# Without work for so long, the process that writes replies gives its memory back.
PREFERENDUM_REPLY_IDLE_SECONDS = read_int("PREFERENDUM_REPLY_IDLE_SECONDS", default=600)
PREFERENDUM_TICK_SECONDS = read_int("PREFERENDUM_TICK_SECONDS", default=5)
# Zero lets torch decide, which is right on a machine that only trains.
PREFERENDUM_TRAIN_THREADS = read_int("PREFERENDUM_TRAIN_THREADS", default=0, minimum=0)
# Stands for `python` before `-m training.algorithms...`, for instance "srun --gres=gpu:1 python".
PREFERENDUM_LAUNCHER = env.str("PREFERENDUM_LAUNCHER", default="")
# More than one: training methods start under torchrun, one process per GPU.
PREFERENDUM_TRAIN_PROCESSES = read_int("PREFERENDUM_TRAIN_PROCESSES", default=1)
PREFERENDUM_TRAIN_PRECISION = read_choice(
    "PREFERENDUM_TRAIN_PRECISION", default="fp32", choices=("fp32", "bf16")
)
PREFERENDUM_TRAIN_SHARDING = read_choice(
    "PREFERENDUM_TRAIN_SHARDING", default="none", choices=("none", "fsdp")
)

# Django
DEBUG = False
ALLOWED_HOSTS = read_list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
CSRF_TRUSTED_ORIGINS = read_list("CSRF_TRUSTED_ORIGINS", default=[])
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "csp",
    "config",
    "annotation",
    "training",
    "frontend",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    # Pages and answers of the API; WhiteNoise has static files compressed already.
    "django.middleware.gzip.GZipMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [],
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

DATABASES: dict[str, dict[str, Any]] = {
    "default": env.db_url(
        "DATABASE_URL", default=f"sqlite:///{PREFERENDUM_DATA_DIR / 'db.sqlite3'}"
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # Write-ahead log and immediate transactions: several processes write without "locked" errors.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }

CACHES = {"default": env.cache_url("CACHE_URL", default="locmemcache://")}

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
LOGIN_REDIRECT_URL = "work"
LOGOUT_REDIRECT_URL = "login"

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
# Before Django's own words, which it also has for "Log in" or "Password".
LOCALE_PATHS = [BASE_DIR / "frontend" / "locale"]
LANGUAGE_COOKIE_AGE = 365 * 24 * 3600
LANGUAGE_COOKIE_SAMESITE = "Lax"
TIME_ZONE = env.str("TIME_ZONE", default="UTC")
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = PREFERENDUM_DATA_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# Security: no inline script or style anywhere; prompts and completions are hostile text.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
DATA_UPLOAD_MAX_MEMORY_SIZE = 64 * 1024 * 1024

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "annotation.api.authentication.BearerTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["annotation.api.parsers.StrictJsonParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.AnonRateThrottle",
        "rest_framework.throttling.UserRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {
        "anon": env.str("THROTTLE_ANONYMOUS", default="60/min"),
        "user": env.str("THROTTLE_USER", default="1200/min"),
    },
    "EXCEPTION_HANDLER": "annotation.api.errors.exception_handler",
    "UNAUTHENTICATED_USER": "django.contrib.auth.models.AnonymousUser",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Preferendum",
    "DESCRIPTION": "Human preferences in, better policies out.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENUM_NAME_OVERRIDES": {
        "AILabelerKindEnum": "annotation.choices.AILabelerKind",
        "BriefKindEnum": "annotation.choices.BriefKind",
        "CheckpointKindEnum": "training.choices.CheckpointKind",
        "DeploymentRoleEnum": "training.choices.DeploymentRole",
        "GateStatusEnum": "training.api.round_serializers.GATE_STATES",
        "ReportKindEnum": "annotation.choices.ReportKind",
        "ReplyStatusEnum": "training.selectors.replies.REPLY_STATES",
        "RoleEnum": "annotation.choices.Role",
        "RoundStatusEnum": "training.choices.RoundStatus",
        "RoundStepEnum": "training.choices.RoundStep",
        "RuleVerdictEnum": "annotation.choices.RuleVerdict",
        "RunStatusEnum": "training.choices.RunStatus",
        "RunStepEnum": "training.choices.RUN_STEPS",
    },
}

# Celery: late acknowledgement, one message at a time, no result store (the row is the result).
CELERY_BROKER_URL = env.str("CELERY_BROKER_URL", default="files://localhost/")
CELERY_BROKER_TRANSPORT_OPTIONS: dict[str, Any] = (
    {"folder": str(PREFERENDUM_DATA_DIR / "broker")}
    if CELERY_BROKER_URL.startswith("files:")
    # Redis gives an unacknowledged message to a second worker after this time.
    else {"visibility_timeout": 12 * 3600}
)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# Runs are cancelled through their rows; the embedded broker has no fanout.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(PREFERENDUM_DATA_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "tick": {
        "task": "training.tasks.tick",
        "schedule": PREFERENDUM_TICK_SECONDS,
        # A tick that could not start before the next one is due has nothing left to do.
        "options": {"queue": "default", "expires": PREFERENDUM_TICK_SECONDS},
    }
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
}
