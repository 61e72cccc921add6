"""Django in the process of a benchmark, on stores of its own."""

import os
import secrets
from pathlib import Path

from scripts.stack.pytest_servers import ServerUrls


def django_started(urls: ServerUrls, *, media: Path) -> None:
    """Set Django up on empty stores and migrate them. Models can be imported only after it."""
    os.environ.update(
        DATABASE_URL=urls.database_url,
        REDIS_URL=urls.redis_url,
        DJANGO_SECRET_KEY=secrets.token_urlsafe(48),
        DJANGO_ENV="testing",
        DJANGO_SETTINGS_MODULE="config.settings.testing",
        LOG_LEVEL="ERROR",
        MEDIA_ROOT=str(media),
    )
    import django

    django.setup()
    from django.core.management import call_command

    call_command("migrate", "--no-input", verbosity=0)
