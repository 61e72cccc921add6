import io
import json
import runpy
from pathlib import Path

import pytest
from django.conf import settings
from gunicorn.config import Config

CONFIGURATION = runpy.run_path(str(Path(settings.BASE_DIR) / "gunicorn.conf.py"))


@pytest.fixture
def logger():
    config = Config()
    config.set("accesslog", "-")  # as GUNICORN_CMD_ARGS of the platform asks
    found = CONFIGURATION["JsonLogger"](config)
    yield found
    for log in (found.error_log, found.access_log):
        log.handlers.clear()
        log.propagate = True


def test_an_error_is_one_json_object_without_the_query_of_the_request(logger):
    output = io.StringIO()
    logger.error_log.handlers[0].setStream(output)
    logger.error("Error handling request %s", "/ws/notifications/?token=secret")
    (line,) = output.getvalue().splitlines()
    entry = json.loads(line)
    assert (entry["level"], entry["message"]) == ("ERROR", "Error handling request /ws/notifications/")


def test_no_access_log_is_written_even_when_the_platform_asks_for_one(logger, capsys):
    logger.access(None, None, {"RAW_URI": "/?token=secret"}, None)
    assert capsys.readouterr().out == ""


def test_what_matters_to_the_platform_stands_on_the_command_line_and_not_here():
    assert not {"bind", "workers", "threads", "timeout", "preload_app", "accesslog"} & set(CONFIGURATION)
