"""Puts the parts together and serves them until told to stop."""

from __future__ import annotations

import os
import signal
import threading
from typing import Any

from moto.iam.models import iam_backends
from moto.moto_server.werkzeug_app import (
    DomainDispatcherApplication,
    MotoRequestHandler,
    create_backend_app,
)
from moto.rds.models import rds_backends
from werkzeug.serving import BaseWSGIServer, make_server

from . import iam, rds, rdsclusters, sts
from .authfile import AuthFile
from .callers import Callers
from .config import Config
from .faults import Faults
from .gateway import Gateway
from .requestlog import RequestLog
from .seed import seed
from .servers import Servers
from .sessions import Sessions


class QuietHandler(MotoRequestHandler):
    """Keeps werkzeug's access log off: the request log says more."""

    def log_request(self, *_: Any) -> None:
        """Say nothing."""


def serve(config: Config) -> None:
    """Run in the foreground; SIGTERM and SIGINT end it cleanly."""
    faults = Faults()
    server = make_server(
        config.host, config.port, _gateway(config, faults), threaded=True, request_handler=QuietHandler
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _stop(server, faults))
    server.serve_forever()
    server.server_close()


def _stop(server: BaseWSGIServer, faults: Faults) -> None:
    """`shutdown` waits for the serving loop, which the signal handler itself interrupts: so from another thread."""
    faults.clear()
    threading.Thread(target=server.shutdown).start()


def _gateway(config: Config, faults: Faults) -> Gateway:
    # Without it moto takes the account from the access key, and 123456789012 for keys that it did not make itself.
    os.environ["MOTO_ACCOUNT_ID"] = config.account
    iam_backend = iam_backends[config.account][config.partition]
    rds_backend = rds_backends[config.account][config.region]
    sessions, servers = Sessions(), Servers(config.instances, config.clusters)
    iam.install()
    rds.install(servers)
    rdsclusters.install(servers)
    sts.install(sts.Sts(config, iam_backend, sessions), config.account)
    seed(config, iam_backend, rds_backend)
    return Gateway(
        DomainDispatcherApplication(create_backend_app),
        callers=Callers(iam_backend, sessions),
        faults=faults,
        log=RequestLog(config.request_log),
        auth_file=AuthFile(config, iam_backend, rds_backend, sessions, servers),
        rds=rds_backend,
        servers=servers,
    )
