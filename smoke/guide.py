"""What to do next.

Entries of the deployment guide, mostly of its Troubleshooting section, that failing checks point to.
"""

SERVICE = (
    "Troubleshooting → Service Won't Start: read the service's build and deploy logs, then check that "
    "all its environment variables are set and that it binds 0.0.0.0:$PORT."
)
HEALTH = (
    "Troubleshooting → Health Check Failing: curl -i <base URL>/api/health/ and read the web service's "
    "log from the same minute."
)
DATABASE = (
    "Troubleshooting → Database Connection Errors: check DATABASE_URL of rotc-django-web and that the "
    'database service is available; psql "$DATABASE_URL" -c "select 1" from its shell.'
)
REDIS = (
    "Troubleshooting → Redis Connection Errors: check REDIS_URL of the service named above and the Key "
    'Value service and its memory; redis-cli -u "$REDIS_URL" ping from its shell.'
)
REDIS_SHARED = (
    "Troubleshooting → Redis Connection Errors: compare REDIS_URL of all four services; every one must "
    "name the same server and the same database number."
)
WORKER = (
    "Troubleshooting → Celery Tasks Not Processing: read the log of rotc-celery-worker for "
    "'celery@worker ready', compare its REDIS_URL with that of rotc-django-web, then restart "
    "rotc-celery-worker."
)
BEAT = (
    "Troubleshooting → Celery Tasks Not Processing: read the log of rotc-celery-beat for 'Scheduler', "
    "then restart rotc-celery-beat; nothing scheduled runs until it is back."
)
SCHEDULE = (
    "Monitoring and Maintenance → Scheduled Maintenance Tasks: restart rotc-celery-beat, which writes "
    "its table of jobs at start, and look in /admin/ under Periodic tasks for one that was switched "
    "off."
)
CHANNELS = (
    "Troubleshooting → WebSocket Connection Fails: check that rotc-django-channels is Live and read its"
    " log; then curl -i <channels URL>/api/health/."
)
WEBSOCKET = (
    "Troubleshooting → WebSocket Connection Fails: read the log of rotc-django-channels at the time of "
    "this check, and check its REDIS_URL and CORS_ALLOWED_ORIGINS."
)
SIGNING_KEYS = (
    "Troubleshooting → WebSocket Connection Fails: DJANGO_SECRET_KEY must come from the group "
    "rgms-shared alone; delete the key from the service that differs and deploy it again."
)
VERSION = (
    "Deployment Steps → Deploy Services: in the dashboard, open the service that differs, look for a "
    "failed or waiting deploy, and deploy the same commit there."
)
MIGRATIONS = (
    "Post-Deployment Verification → Database Migration Verification: python manage.py showmigrations in"
    " the web service's shell; read the log of its pre-deploy command; python manage.py migrate "
    "--noinput."
)
LOGIN = (
    "Post-Deployment Verification → API Endpoint Verification: sign in with the guide's curl; if it "
    "answers 401, check SMOKE_ADMIN_* and SMOKE_CADET_* against the accounts of this deployment."
)
TOKENS = (
    "Rollback Procedure → When to Rollback, 'Critical functionality broken': tokens are not judged as "
    "they must be; roll back, then look at rotc_backend/apps/accounts and at recent changes to "
    "authentication settings."
)
PERMISSIONS = (
    "Rollback Procedure → When to Rollback, 'Critical functionality broken': somebody reads what is not"
    " theirs; roll back, then look at the permission classes of the view named above."
)
API = (
    "Troubleshooting → Health Check Failing: read the web service's log for the request id above; error"
    " answers are made in rotc_backend/core/http.py."
)
STATIC_FILES = (
    "Troubleshooting → Static Files Not Loading: python manage.py collectstatic --noinput must be part "
    "of the build command; check the build log and STATIC_ROOT."
)
CORS = (
    "Troubleshooting → CORS Errors: CORS_ALLOWED_ORIGINS of rotc-django-web must list the front-end's "
    "origin and nothing else; it has a scheme and no trailing slash."
)
SETTINGS = (
    "Service Configuration → Environment Variables: DJANGO_ENV=production, "
    "DJANGO_SETTINGS_MODULE=config.settings.production and DEBUG=False on all four services; python "
    "manage.py check --deploy in the web service's shell names what is missing."
)
HOSTS = (
    "Service Configuration → Environment Variables: ALLOWED_HOSTS of rotc-django-web must list its own "
    "host names only, never *."
)
MEDIA = (
    "Prerequisites → Cloudinary: set CLOUDINARY_CLOUD_NAME, CLOUDINARY_API_KEY and "
    "CLOUDINARY_API_SECRET on all four services, and remove MEDIA_STORAGE; pictures on a service's own "
    "disk are lost at the next deploy."
)
EVENTS = (
    "Rollback Procedure → When to Rollback, 'Critical functionality broken': notifications do not reach"
    " exactly their person; read the log of rotc-django-channels for the correlation id above."
)
CACHE = (
    "Troubleshooting → Redis Connection Errors: the cache is not used or not reported; check REDIS_URL "
    "of rotc-django-web and the Cache-Status header of the request named above."
)
RESIDUE = (
    "Run the suite once more: it removes what an earlier run left. If the rows stay, delete them in "
    "/admin/ by their correlation id."
)
