# What has to do with code. Everything that matters to the platform (address, workers, preload, time-outs) stands on the
# command line in render.yaml: the platform presets GUNICORN_CMD_ARGS, which beats this file and not the command line.
import gc
import logging
import re
from typing import Any

from gunicorn.glogging import Logger

from core.logs import JsonFormatter

_QUERY = re.compile(r"\?[^\s\"']*")


class JsonLogger(Logger):
    """One JSON object a line. No access log, also if GUNICORN_CMD_ARGS asks for one: the application writes its own."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(_WithoutQuery())
        # Django answers HEAD like GET and leaves the body to the server, which need not warn of it each time.
        logging.getLogger("gunicorn.http.wsgi").setLevel(logging.ERROR)

    def access(self, resp: Any, req: Any, environ: Any, request_time: Any) -> None:
        """Nothing: a line of gunicorn's would repeat the query, which may hold a token."""


class _WithoutQuery(JsonFormatter):
    def format(self, record: logging.LogRecord) -> str:
        # gunicorn names the request that it failed on with its whole address, and a token may stand in there.
        record.msg, record.args = _QUERY.sub("", record.getMessage()), ()
        return super().format(record)


logger_class = JsonLogger
control_socket_disable = True  # nobody uses it, and it stands in the home directory


def when_ready(server: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    # Django loads its views with the first request: now they are loaded once and shared by all workers, and
    # the first request of each is as quick as the others.
    from django.urls import get_resolver

    _ = get_resolver().url_patterns
    # Collected later, every page that the workers share would be written to, and so be copied for each.
    gc.collect()
    gc.freeze()


def pre_fork(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    # What was opened while the application was loaded belongs to the master; two processes on one connection
    # would read each other's answers.
    from django.core.cache import caches
    from django.db import connections

    from core import broker

    connections.close_all()
    caches.close_all()
    broker.forget_connections()


def post_worker_init(worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    from apps.operations.sampler import start_sampler

    start_sampler()


def worker_exit(server: Any, worker: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    from apps.operations.sampler import stop_sampler

    stop_sampler()


def on_exit(server: Any) -> None:  # noqa: ARG001 - gunicorn's signature
    from core import broker

    broker.heartbeat_remove()
