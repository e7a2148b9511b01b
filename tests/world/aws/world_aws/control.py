"""The launcher's own endpoints, below `/_world/`: for tests, not for the product."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from moto.rds.exceptions import DBClusterNotFoundError, DBInstanceNotFoundError
from moto.rds.models import DBInstance, RDSBackend
from werkzeug.wrappers import Request, Response

from . import maintenance
from .faults import Faults
from .propagation import Propagation
from .rds import HOST, LOCAL, apply_pending, find
from .sessions import Sessions
from .truststore import TrustStore

PREFIX = "/_world/"
INSTANCES = PREFIX + "instances/"
FAIL_OVER = PREFIX + "failover"


class Control:
    """Answers readiness, faults, and changes of instances that AWS's API has no call for."""

    def __init__(
        self,
        faults: Faults,
        rds: RDSBackend,
        settle: Callable[[], None],
        lock: threading.RLock,
        propagation: Propagation,
        trust_store: TrustStore,
        sessions: Sessions,
    ) -> None:
        self._faults = faults
        self._rds = rds
        self._settle = settle
        self._lock = lock
        self._propagation = propagation
        self._trust_store = trust_store
        self._sessions = sessions

    def answer(self, request: Request) -> Response:
        """Route one request; a request that makes no sense is told why."""
        try:
            return self._route(request)
        except (DBInstanceNotFoundError, DBClusterNotFoundError) as error:
            return _json({"error": error.message}, 404)
        except RuntimeError as error:
            return _json({"error": str(error)}, 500)
        except (ValueError, TypeError, KeyError) as error:
            return _json({"error": str(error)}, 400)

    def _route(self, request: Request) -> Response:
        path, method = request.path, request.method
        if path == PREFIX + "ready" and method == "GET":
            return _json({"ready": True})
        if path == PREFIX + "faults":
            if method == "GET":
                return _json(self._faults.describe())
            if method == "DELETE":
                return _json(self._faults.clear())
            if method == "POST":
                return _json(self._faults.arm(_object(request)), 201)
        if path == PREFIX + "iam" and method == "POST":
            return _json(self._propagation.set(_object(request)))
        if path == PREFIX + "sessions" and method == "POST":
            return _json(self._sessions.limit(_object(request)))
        if path == PREFIX + "truststore" and method == "POST":
            self._trust_store.publish(_object(request)["pem"])
            return _json({})
        if path == FAIL_OVER and method == "POST":
            return self._fail_over(**_object(request))
        if path.startswith(INSTANCES) and method == "POST":
            return self._alter(path.removeprefix(INSTANCES), _object(request))
        return _json({"error": f"no {method} {path}"}, 404)

    def _alter(self, identifier: str, change: dict[str, Any]) -> Response:
        """Give an instance another endpoint, server, resource id or status, or let its maintenance window come."""
        unknown = set(change) - set(ALTER)
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        with self._lock:
            instance = find(self._rds, identifier)
            for name, value in change.items():
                ALTER[name](instance, value)
            self._settle()
        return _json({"identifier": instance.db_instance_identifier, **change})

    def _fail_over(self, cluster: str, target: str | None = None) -> Response:
        """Let another member of a cluster write, as `FailoverDBCluster` does."""
        with self._lock:
            failed_over = self._rds.failover_db_cluster(cluster, target)
            writer = failed_over.writer
            return _json({"cluster": cluster, "writer": writer.db_instance_identifier if writer else None})


ALTER: dict[str, Callable[[DBInstance, Any], None]] = {
    "host": lambda instance, value: instance.__dict__.update({HOST: value}),
    "local": lambda instance, value: instance.__dict__.update({LOCAL: value}),
    "port": lambda instance, value: setattr(instance, "port", int(value)),
    "resourceId": lambda instance, value: setattr(instance, "dbi_resource_id", value),
    "pendingMaintenance": lambda instance, value: maintenance.announce(instance, list(value)),
    "maintenance": lambda instance, _: apply_pending(instance),
    "status": lambda instance, value: setattr(instance, "status", value),
}


def _object(request: Request) -> dict[str, Any]:
    document = json.loads(request.get_data() or b"{}")
    if not isinstance(document, dict):
        raise ValueError("expected a JSON object")
    return document


def _json(document: Any, status: int = 200) -> Response:
    return Response(json.dumps(document) + "\n", status, content_type="application/json")
