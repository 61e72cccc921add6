"""Everything that the four services share. The other modules only override values."""

import os
from pathlib import Path

from config.env import Environment
from core.keys import derived_key, key_fingerprint, secret_problem
from core.version import VERSION

env = Environment(os.environ)

BASE_DIR = Path(__file__).resolve().parent.parent.parent
OPENAPI_FILE = BASE_DIR.parent / "docs" / "api" / "openapi.yaml"

# --- What this process is --------------------------------------------------------------------------------------------
DJANGO_ENV = env.choice("DJANGO_ENV", options=("production", "development", "testing"), default="development")
SERVICE_NAME = env.text("RENDER_SERVICE_NAME", default="rgms")
SERVICE_NAMES = ("rotc-django-web", "rotc-django-channels", "rotc-celery-worker", "rotc-celery-beat")
INSTANCE_ID = env.text("RENDER_INSTANCE_ID", default="local")
COMMIT = env.text("RENDER_GIT_COMMIT", default="") or None
DEBUG = env.flag("DEBUG", default=False)

# --- Keys: one secret for all services, derived per use --------------------------------------------------------------
_secret = env.text(
    "DJANGO_SECRET_KEY",
    remedy="Share one generated value between all four services: an environment group with generateValue.",
)
if _secret and (_problem := secret_problem(_secret)):
    env.blame(
        "DJANGO_SECRET_KEY",
        _problem,
        'Generate one: python -c "import secrets; print(secrets.token_urlsafe(48))", the same for all services.',
    )
    _secret = ""
SECRET_KEY = derived_key(secret=_secret, label="rgms.django") if _secret else ""
TOKEN_KEY = derived_key(secret=_secret, label="rgms.tokens") if _secret else ""
ATTENDANCE_CODE_KEY = derived_key(secret=_secret, label="rgms.attendance-codes") if _secret else ""
KEY_FINGERPRINT = key_fingerprint(secret=_secret) if _secret else ""

# --- Hosts and origins -----------------------------------------------------------------------------------------------
ALLOWED_HOSTS = env.comma_list("ALLOWED_HOSTS")
if _external := env.text("RENDER_EXTERNAL_HOSTNAME", default=""):
    ALLOWED_HOSTS = [*dict.fromkeys([*ALLOWED_HOSTS, _external])]
CORS_ALLOWED_ORIGINS = env.origins("CORS_ALLOWED_ORIGINS")
CORS_ALLOW_CREDENTIALS = True
CORS_URLS_REGEX = r"^/api/.*$"
CORS_ALLOW_HEADERS = ("accept", "authorization", "content-type", "if-match", "if-none-match", "x-request-id")
CORS_EXPOSE_HEADERS = (
    "etag",
    "location",
    "retry-after",
    "x-request-id",
    "cache-status",
    "server-timing",
    "x-code-expires-at",
)
CORS_PREFLIGHT_MAX_AGE = 3600
CSRF_TRUSTED_ORIGINS = CORS_ALLOWED_ORIGINS

# --- Applications ----------------------------------------------------------------------------------------------------
INSTALLED_APPS = [
    "config.admin_site.AdministrationConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "corsheaders",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_celery_beat",
    "channels",
    "core",
    "apps.events",
    "apps.accounts",
    "apps.pictures",
    "apps.cadets",
    "apps.realtime",
    "apps.messaging",
    "apps.training",
    "apps.grading",
    "apps.imports",
    "apps.reports",
    "apps.operations",
]
MIDDLEWARE = [
    "core.middleware.RequestMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "corsheaders.middleware.CorsMiddleware",
    "core.middleware.TrailingSlashMiddleware",
    "core.middleware.AdminSiteMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "apps.accounts.middleware.LockoutMiddleware",
]
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
ASGI_APPLICATION = "config.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
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
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Database --------------------------------------------------------------------------------------------------------
_database = env.database("DATABASE_URL", remedy="Copy the connection string of NeonDB or Render PostgreSQL.")
DATABASES = {
    "default": {
        **_database,
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,  # a serverless database closes idle connections
        "DISABLE_SERVER_SIDE_CURSORS": True,  # a transaction pooler cannot keep a cursor between statements
        "OPTIONS": {
            "connect_timeout": 5,
            # A connection that was lost without a word is noticed within seconds, not after the kernel's two hours.
            "keepalives_idle": 10,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": 15_000,
            **_database.get("OPTIONS", {}),
            "application_name": SERVICE_NAME,
        },
    },
}

# How long one statement of a web or channels process may run, or wait for a lock: a request must not hold its thread
# for as long as a frozen database likes; gunicorn's limit does not see the threads of a worker. See core.timeouts.
STATEMENT_SECONDS = env.whole("DATABASE_STATEMENT_SECONDS", default=20, least=1, most=600)
LOCK_SECONDS = env.whole("DATABASE_LOCK_SECONDS", default=5, least=1, most=600)

# A backup takes one snapshot and holds one lock for minutes, which a pooler of transactions cannot keep.
DATABASE_DIRECT = (
    env.database("DATABASE_DIRECT_URL", remedy="Copy the connection string without a pooler.")
    if os.environ.get("DATABASE_DIRECT_URL", "").strip()
    else {}
)

# --- Redis: broker, channel layer, cache, heartbeats -----------------------------------------------------------------
REDIS_URL = env.redis_url("REDIS_URL", remedy="Copy the connection string of Upstash or Render Key Value.")
REDIS_TIMEOUT = 0.3  # seconds; a request must not wait for a Redis that is away
CACHES = {
    "default": {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": REDIS_URL,
        "KEY_PREFIX": "rgms",
        "OPTIONS": {
            "serializer": "core.cache.JsonSerializer",
            "socket_timeout": REDIS_TIMEOUT,
            "socket_connect_timeout": REDIS_TIMEOUT,
            "retry": None,  # redis-py's default retries turn 0.3 s into 7.5 s
        },
    },
}
CHANNEL_LAYERS = {
    "default": {
        # Pub/sub, not the polling layer: nothing is read while nothing happens, and only wake-ups travel here.
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {"hosts": [{"address": REDIS_URL, "socket_connect_timeout": 1.0}], "prefix": "rgms.channels"},
    },
}

# --- Celery ----------------------------------------------------------------------------------------------------------
CELERY_BROKER_URL = REDIS_URL
CELERY_TASK_DEFAULT_QUEUE = "rgms"
CELERY_TIMEZONE = "UTC"
CELERY_ENABLE_UTC = True

# --- Accounts --------------------------------------------------------------------------------------------------------
AUTH_USER_MODEL = "accounts.User"
PASSWORD_HASHERS = [
    "apps.accounts.authentication.LeanArgon2PasswordHasher",
    "apps.accounts.authentication.LegacyBcryptPasswordHasher",  # accepted once, then replaced by the first
]
AUTHENTICATION_BACKENDS = ["apps.accounts.admin.AdminSiteBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {
        "NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator",
        "OPTIONS": {"user_attributes": ("username", "email", "first_name", "last_name")},
    },
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
ACCESS_TOKEN_MINUTES = 15
REFRESH_TOKEN_DAYS = 7
# Wrong passwords within LOCKOUT_MINUTES, after which an account or an address is refused for LOCKOUT_MINUTES. A campus
# is one address: with few allowed, one cadet's typing errors would lock everybody out on the morning of the grades.
LOCKOUT_ACCOUNT_FAILURES = env.whole("LOCKOUT_ACCOUNT_FAILURES", default=5, least=1, most=100)
LOCKOUT_ADDRESS_FAILURES = env.whole("LOCKOUT_ADDRESS_FAILURES", default=300, least=1, most=10_000)
LOCKOUT_MINUTES = env.whole("LOCKOUT_MINUTES", default=15, least=1, most=1440)
# From one address within LOCKOUT_MINUTES. A campus is one address on the morning when everybody registers.
REGISTRATIONS_PER_ADDRESS = env.whole("REGISTRATIONS_PER_ADDRESS", default=300, least=1, most=10_000)
PASSWORD_RESETS_PER_ADDRESS = env.whole("PASSWORD_RESETS_PER_ADDRESS", default=30, least=1, most=1000)
# How many proxies of the platform write into X-Forwarded-For on the way here; 0: the header is not believed.
# Cloudflare, which stands in front of Render's router, and hops with private addresses are looked through, not counted.
TRUSTED_PROXY_COUNT = env.whole("TRUSTED_PROXY_COUNT", default=1 if DJANGO_ENV == "production" else 0, least=0, most=5)
INVITATION_HOURS = 72
PASSWORD_RESET_PAUSE_MINUTES = 5  # no second e-mail to the same account within them
# The page that an invitation's link opens. Empty: the page of the service that was asked.
INVITATION_URL = env.web_address(
    "INVITATION_URL",
    default=f"{_own}/invitation/" if (_own := env.text("RENDER_EXTERNAL_URL", default="")) else "",
)

# --- Attendance ------------------------------------------------------------------------------------------------------
# How long a cadet's code can be scanned: so short that a picture of it is of little use to a friend, and long enough
# for a queue.
ATTENDANCE_CODE_SECONDS = env.whole("ATTENDANCE_CODE_SECONDS", default=600, least=60, most=3600)

# --- Sockets ---------------------------------------------------------------------------------------------------------
# A client that says nothing for so long is taken for forgotten; the client module sends a ping every 25 seconds.
SOCKET_IDLE_SECONDS = env.whole("SOCKET_IDLE_SECONDS", default=900, least=1, most=86_400)
# Of one account in one process: some pages, each with a few sockets. More is a client that has lost count.
SOCKETS_OF_AN_ACCOUNT = env.whole("SOCKETS_OF_AN_ACCOUNT", default=50, least=1, most=10_000)

# --- E-mail ----------------------------------------------------------------------------------------------------------
_email = env.email_url("EMAIL_URL")
EMAIL_CONFIGURED = _email is not None
if _email is not None and not os.environ.get("DEFAULT_FROM_EMAIL", "").strip():
    env.blame("DEFAULT_FROM_EMAIL", "is not set, but EMAIL_URL is", "Write RGMS <rgms@your-domain.example>.")
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.mailbox("DEFAULT_FROM_EMAIL", default="RGMS <rgms@localhost>")
EMAIL_BACKEND = f"django.core.mail.backends.{'smtp' if EMAIL_CONFIGURED else 'dummy'}.EmailBackend"
EMAIL_HOST = _email["EMAIL_HOST"] if _email else ""
EMAIL_PORT = _email["EMAIL_PORT"] if _email else 0
EMAIL_HOST_USER = _email["EMAIL_HOST_USER"] if _email else ""
EMAIL_HOST_PASSWORD = _email["EMAIL_HOST_PASSWORD"] if _email else ""
EMAIL_USE_TLS = bool(_email and _email["EMAIL_USE_TLS"])
EMAIL_USE_SSL = bool(_email and _email["EMAIL_USE_SSL"])
EMAIL_TIMEOUT = 8  # seconds for each step; an administrator's request waits for them
# Of what events cause, by all workers together: a term's 300 grades, released at once, leave within five minutes and do
# not look like spam to a provider. Links for passwords do not wait in this line.
EMAIL_PER_MINUTE = env.whole("EMAIL_PER_MINUTE", default=60, least=1, most=6000)

# --- REST ------------------------------------------------------------------------------------------------------------
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["apps.accounts.authentication.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["apps.accounts.authentication.SignedIn"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["core.parsers.BoundedJsonParser"],
    "URL_FORMAT_OVERRIDE": None,  # `format` belongs to the operations that have one
    "DEFAULT_SCHEMA_CLASS": "core.openapi.RoleAutoSchema",
    "EXCEPTION_HANDLER": "core.http.problem_of_exception",
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_PAGINATION_CLASS": "core.http.Pages",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SIMPLE_JWT = {
    "ALGORITHM": "HS256",
    "SIGNING_KEY": TOKEN_KEY,
    "USER_ID_CLAIM": "sub",
    "CHECK_USER_IS_ACTIVE": False,  # revocation decides, without a query per request
    "UPDATE_LAST_LOGIN": False,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "RGMS: ROTC Grading Management System of MSU-SND",
    "DESCRIPTION": "REST interface of the unit's grading system. Errors are problem documents (RFC 9457).",
    "VERSION": VERSION,
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "COMPONENT_SPLIT_REQUEST": True,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    # Closed groups and a filter: the page is a table of contents first.
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "docExpansion": "none", "filter": True},
    # In the order in which a newcomer needs them.
    "TAGS": [
        {"name": "auth", "description": "Sign in and out, register, passwords, the own account."},
        {"name": "grades", "description": "The own standing, the grades of a company, leaderboard, dashboard."},
        {"name": "cadets", "description": "Who is trained; the own record and photo."},
        {"name": "enrollments", "description": "A cadet's place in a term."},
        {"name": "terms", "description": "Semesters; one is current."},
        {"name": "companies", "description": "An extensible list."},
        {"name": "platoons", "description": "An extensible list."},
        {"name": "staff", "description": "Who trains, and in what function."},
        {"name": "training days", "description": "When the unit gathers."},
        {"name": "attendance", "description": "One record, or a company's day in one call."},
        {"name": "attendance scans", "description": "Codes that cadets show, and what scanners hand in."},
        {"name": "excuse letters", "description": "Filed by cadets, decided by the staff's head."},
        {"name": "exam scores", "description": "One by one, or 500 at a time."},
        {"name": "merits", "description": "Merits and demerits: issued and revoked, never edited."},
        {"name": "adjustments", "description": "Points added to a grade by hand, with a reason."},
        {"name": "grading policies", "description": "Weights, statuses that count as attended, bounds."},
        {"name": "grade sheets", "description": "Close and reopen a term; frozen grades and their verification."},
        {"name": "imports", "description": "Tables from files: sent, checked, applied; empty ones to fill in."},
        {"name": "reports", "description": "Documents to print and sheets to keep, made by the worker."},
        {"name": "certificates", "description": "Whether a printed certificate is genuine; for everybody."},
        {"name": "notifications", "description": "What one is told, and whether one has read it."},
        {"name": "chat", "description": "Rooms of companies, of the staff, and of two people."},
        {"name": "announcements", "description": "For everybody, with photos."},
        {"name": "users", "description": "Accounts: approval, roles, archive, invitations."},
        {"name": "audit", "description": "Who has changed what."},
        {"name": "operations", "description": "Queue, probe, integrity and status, for whoever is on call."},
        {"name": "health", "description": "What the platform asks."},
    ],
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "core.openapi.document_problems",
    ],
    "ENUM_NAME_OVERRIDES": {
        "RoleEnum": "apps.accounts.models.Role",
        "AccountStatusEnum": "apps.accounts.models.Status",
        "EnrollmentStatusEnum": "apps.cadets.models.EnrollmentStatus",
        "CadetRankEnum": "apps.cadets.models.CadetRank",
        "StaffRankEnum": "apps.cadets.models.StaffRank",
        "AttendanceStatusEnum": "apps.training.models.AttendanceStatus",
        "AttendanceSourceEnum": "apps.training.models.AttendanceSource",
        "ScanEffectEnum": "apps.training.models.ScanEffect",
        "LetterStateEnum": "apps.training.models.LetterState",
        "ImportKindEnum": "apps.imports.models.Kind",
        "ReportKindEnum": "apps.reports.models.Kind",
        "ReportStateEnum": "apps.reports.models.State",
        "ReportFormatEnum": "apps.reports.models.FileFormat",
        "CertificateTypeEnum": "apps.reports.models.CertificateType",
        "CertificateStateEnum": ["valid", "superseded", "revoked"],
        "MeritKindEnum": "apps.grading.models.MeritKind",
        "ExamEnum": "apps.grading.models.Exam",
        "RoomKindEnum": "apps.messaging.models.RoomKind",
        "AnnouncementKindEnum": "apps.messaging.models.AnnouncementKind",
        "FileStateEnum": ["processing", "refused", "ready"],
        "ConnectionEnum": ["connected", "disconnected"],
        "WorkerEnum": ["running", "stopped"],
        "ProcessEnum": ["running", "stopped", "unknown"],
        "ProbeEnum": ["pending", "finished", "failed"],
        "BackupStepEnum": "apps.operations.models.JournalEntry.Kind",
        "BackupPurposeEnum": "apps.operations.models.JournalEntry.Purpose",
        "BackupOutcomeEnum": "apps.operations.models.JournalEntry.Outcomes",
        "BackupStateEnum": ["waiting", "running", "succeeded", "failed", "interrupted"],
    },
}

# --- Files -----------------------------------------------------------------------------------------------------------
STATIC_URL = "/static/"
STATIC_ROOT = env.text("STATIC_ROOT", default=str(BASE_DIR / "staticfiles"))
MEDIA_STORAGE = env.choice(
    "MEDIA_STORAGE",
    options=("cloudinary", "local"),
    default="cloudinary" if DJANGO_ENV == "production" else "local",
)
MEDIA_ROOT = env.text("MEDIA_ROOT", default=str(BASE_DIR.parent / ".local" / "media"))
_cloudinary_remedy = "Copy it from the Cloudinary dashboard, or set MEDIA_STORAGE=local to keep files on this disk."
CLOUDINARY_UPLOAD_PREFIX = env.text("CLOUDINARY_UPLOAD_PREFIX", default="https://api.cloudinary.com")
CLOUDINARY = (
    {
        "cloud_name": env.text("CLOUDINARY_CLOUD_NAME", remedy=_cloudinary_remedy),
        "api_key": env.text("CLOUDINARY_API_KEY", remedy=_cloudinary_remedy),
        "api_secret": env.text("CLOUDINARY_API_SECRET", remedy=_cloudinary_remedy),
        "upload_prefix": CLOUDINARY_UPLOAD_PREFIX,
    }
    if MEDIA_STORAGE == "cloudinary"
    else None
)
STORAGES = {
    "default": {
        "BACKEND": (
            "core.storage.CloudinaryStorage"
            if MEDIA_STORAGE == "cloudinary"
            else "django.core.files.storage.FileSystemStorage"
        ),
    },
    "staticfiles": {"BACKEND": "core.static_files.HashedStaticFilesStorage"},
}

# --- Backups: encrypted with the first key; the others open older ones ------------------------------------------------
BACKUP_PLACE = env.backup_place("BACKUP_URL")
BACKUP_KEYS = env.secrets("BACKUP_ENCRYPTION_KEY")
_half = [bool(os.environ.get(name, "").strip()) for name in ("BACKUP_URL", "BACKUP_ENCRYPTION_KEY")]
if any(_half) and not all(_half):
    # Nothing is ever stored unencrypted, and a key alone stores nothing: whoever set one believes to have backups.
    env.blame(
        "BACKUP_ENCRYPTION_KEY" if _half[0] else "BACKUP_URL",
        "is not set, but the other half of the backups' settings is",
        "Set BACKUP_URL and BACKUP_ENCRYPTION_KEY together, or neither.",
    )
if BACKUP_PLACE and not DATABASE_DIRECT and "-pooler." in str(_database.get("HOST", "")):
    env.blame(
        "DATABASE_DIRECT_URL",
        "is not set, but DATABASE_URL leads through a pooler and BACKUP_URL is set",
        "Copy the same connection string without “-pooler” in the host.",
    )

# --- Language and time -----------------------------------------------------------------------------------------------
LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"  # days follow Asia/Manila where the domain says so: core.clock
USE_TZ = True
USE_I18N = False

# --- Security that does not depend on the environment ----------------------------------------------------------------
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REDIRECT_EXEMPT = [r"^api/health/"]  # a redirect would count as healthy, whatever stands behind it
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_HTTPONLY = True
CSRF_COOKIE_SAMESITE = "Lax"
DATA_UPLOAD_MAX_MEMORY_SIZE = 2_621_440  # bytes of a request body outside uploads

# --- Logs: one JSON object a line ------------------------------------------------------------------------------------
LOG_LEVEL = env.choice("LOG_LEVEL", options=("DEBUG", "INFO", "WARNING", "ERROR"), default="INFO")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": "core.logs.JsonFormatter"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"}},
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "propagate": True},
        "django.server": {"handlers": [], "propagate": True},
        "django.security": {"level": "CRITICAL"},  # a wrong Host is the caller's mistake; the same line tells of it
        "django.request": {"level": "ERROR"},  # core.middleware writes one line for every request already
        "daphne": {"level": "INFO"},
        "urllib3": {"level": "WARNING"},
    },
}

# --- Errors ----------------------------------------------------------------------------------------------------------
SENTRY_DSN = env.dsn("SENTRY_DSN")
SENTRY_TRACES_SAMPLE_RATE = env.share("SENTRY_TRACES_SAMPLE_RATE", default=0.0)

env.refuse()

if SENTRY_DSN:
    # Imported only where it is used: the SDK and its integrations cost every process about 10 MB.
    from core.sentry import start_sentry

    start_sentry(
        dsn=SENTRY_DSN,
        release=f"rgms@{COMMIT or VERSION}",
        environment=DJANGO_ENV,
        server_name=SERVICE_NAME,
        traces_sample_rate=SENTRY_TRACES_SAMPLE_RATE,
    )
