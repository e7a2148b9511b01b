"""Puts the parts together and serves them until told to stop."""

from __future__ import annotations

import os
import signal
import ssl
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

from . import iam, maintenance, propagation, rds, rdsclusters, rdsproxies, sts
from .authfile import AuthFile
from .callers import Callers
from .config import Config
from .faults import Faults
from .gateway import Gateway
from .requestlog import RequestLog
from .seed import seed
from .servers import Servers
from .sessions import Sessions
from .truststore import TrustStore


class QuietHandler(MotoRequestHandler):
    """Keeps werkzeug's access log off: the request log says more."""

    def log_request(self, *_: Any) -> None:
        """Say nothing."""


def serve(config: Config) -> None:
    """Run in the foreground; SIGTERM and SIGINT end it cleanly."""
    faults = Faults()
    trust_store = TrustStore(config.trust_store, config.region)
    gateway = _gateway(config, faults, trust_store)
    server = make_server(config.host, config.port, gateway, threaded=True, request_handler=QuietHandler)
    secure = _secure(config, gateway)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: _stop(server, faults))
    # It ends with the process: nothing that it answers is worth waiting for.
    threading.Thread(target=secure.serve_forever, daemon=True).start()
    server.serve_forever()
    server.server_close()


def _secure(config: Config, gateway: Gateway) -> BaseWSGIServer:
    """The trust store once more, as AWS has it: over HTTPS."""
    store = config.trust_store
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(store.certificate, store.key)
    return make_server(
        store.host, store.port, gateway, threaded=True, request_handler=QuietHandler, ssl_context=context
    )


def _stop(server: BaseWSGIServer, faults: Faults) -> None:
    """`shutdown` waits for the serving loop, which the signal handler itself interrupts: so from another thread."""
    faults.clear()
    threading.Thread(target=server.shutdown).start()


def _gateway(config: Config, faults: Faults, trust_store: TrustStore) -> Gateway:
    # Without it moto takes the account from the access key, and 123456789012 for keys that it did not make itself.
    os.environ["MOTO_ACCOUNT_ID"] = config.account
    iam_backend = iam_backends[config.account][config.partition]
    rds_backend = rds_backends[config.account][config.region]
    sessions, servers = Sessions(), Servers(config.instances, config.clusters, config.replicas)
    spread = propagation.Propagation()
    iam.install()
    propagation.install(spread)
    rds.install(servers)
    rdsclusters.install(servers)
    rdsproxies.install()
    maintenance.install()
    sts.install(sts.Sts(config, iam_backend, sessions), config.account)
    seed(config, iam_backend, rds_backend)
    return Gateway(
        DomainDispatcherApplication(create_backend_app),
        callers=Callers(iam_backend, sessions),
        faults=faults,
        log=RequestLog(config.request_log),
        auth_file=AuthFile(config, iam_backend, rds_backend, sessions, servers, spread),
        rds=rds_backend,
        servers=servers,
        propagation=spread,
        trust_store=trust_store,
        sessions=sessions,
    )
