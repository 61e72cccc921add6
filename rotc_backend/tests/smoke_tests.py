"""The deployment guide's command for a rollback: `cd rotc_backend && python -m pytest tests/smoke_tests.py`.

Runs the suite of smoke/ against SMOKE_BASE_URL, else against the system that scripts/up runs here.
"""

from smoke.checks import every_check

# Registered while this file is collected, so that no other test run knows of it.
pytest_plugins = ["smoke.plugin"]

globals().update(every_check())
