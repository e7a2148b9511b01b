"""The WSGI application: knows the caller, lets faults happen, calls moto, and makes effects real before it answers."""

from __future__ import annotations

import re
import sys
import threading
import time
import traceback
from collections.abc import Iterable
from io import BytesIO
from typing import TYPE_CHECKING, Any

from moto.rds.models import RDSBackend
from werkzeug.wrappers import Request, Response

from . import call as calls
from . import errors, truststore
from .authfile import AuthFile
from .call import Call
from .callers import Caller, Callers, acting_as
from .control import PREFIX, Control
from .errors import AwsError
from .faults import Faults
from .propagation import Propagation
from .rds import endpoint
from .requestlog import RequestLog
from .servers import Servers
from .sessions import Sessions
from .truststore import TrustStore

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

ERROR_CODE = re.compile(rb"<Code>([^<]+)</Code>|\"__type\":\s*\"(?:[^\"#]*#)?([^\"]+)\"")


class Gateway:
    """Stands before moto.

    moto is not made for threads, so one call at a time is inside it; delays and held replies wait outside.
    """

    def __init__(
        self,
        moto: WSGIApplication,
        *,
        callers: Callers,
        faults: Faults,
        log: RequestLog,
        auth_file: AuthFile,
        rds: RDSBackend,
        servers: Servers,
        propagation: Propagation,
        trust_store: TrustStore,
        sessions: Sessions,
    ) -> None:
        self._moto = moto
        self._callers = callers
        self._faults = faults
        self._log = log
        self._auth_file = auth_file
        self._rds = rds
        self._servers = servers
        self._lock = threading.RLock()
        self._trust_store = trust_store
        self._control = Control(faults, rds, self._settle, self._lock, propagation, trust_store, sessions)
        self._settle()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        if request.path.startswith(PREFIX):
            response = self._control.answer(request)
        elif self._trust_store.wants(request):
            response = self._fetch(request)
        else:
            response = self._answer(request)
        return response(environ, start_response)

    def _fetch(self, request: Request) -> Response:
        """Answer who wants the CA's certificates: nobody signs for that."""
        fault = self._faults.take(truststore.CALL)
        error = None
        if fault is not None:
            time.sleep(fault.delay)
            error = fault.error()
        response = Response(error.code, error.status) if error else self._trust_store.answer(request)
        self._log.write(
            truststore.CALL, principal=None, status=response.status_code, code=error.code if error else None
        )
        if fault is not None and fault.hold:
            self._faults.wait(fault, truststore.CALL)
        return response

    def _answer(self, request: Request) -> Response:
        """Answer one AWS call; its log line is written before it is held or sent."""
        call = calls.parse(request)
        caller: Caller | None = None
        fault = None
        try:
            with self._lock:
                caller = self._callers.identify(call)
            fault = self._faults.take(call)
            if fault is not None:
                time.sleep(fault.delay)
                if error := fault.error():
                    raise error
            response = self._perform(request, call, caller)
        except AwsError as error:
            response = errors.answer(error, json_protocol=call.json_protocol)
        self._log.write(
            call,
            principal=caller.arn if caller else None,
            status=response.status_code,
            code=_error_code(response),
        )
        if fault is not None and fault.hold:
            self._faults.wait(fault, call)
        return response

    def _perform(self, request: Request, call: Call, caller: Caller | None) -> Response:
        """Let moto do the call, and carry its effects to the servers and the plugin."""
        try:
            with self._lock, acting_as(caller):
                response = Response.from_app(self._moto, _replayable(request), buffered=True)
                if call.changes_access:
                    self._settle(servers=call.service == "rds")
                return response
        except NotImplementedError as error:  # moto's own word for a call that it does not know
            raise AwsError("InvalidAction", f"moto does not emulate {call.service}:{call.action}") from error
        except AwsError:
            raise
        except Exception as error:
            traceback.print_exc(file=sys.stderr)
            raise AwsError("InternalFailure", f"{type(error).__name__}: {error}", 500) from error

    def _settle(self, *, servers: bool = True) -> None:
        """Make the plugin's configuration, and the servers, agree with what AWS now says.

        A server that cannot be reached fails the RDS call that it was to follow, but no call of another service.
        """
        try:
            if servers:
                self._switch_servers()
        finally:
            self._auth_file.refresh()

    def _switch_servers(self) -> None:
        for instance in self._rds.databases.values():
            server = self._servers.at(endpoint(instance))
            if server is not None:
                server.set_iam(bool(instance.iam_database_authentication_enabled))


def _replayable(request: Request) -> dict[str, Any]:
    """The request's environment with its body to be read once more."""
    return {**request.environ, "wsgi.input": BytesIO(request.get_data(cache=True))}


def _error_code(response: Response) -> str | None:
    if response.status_code < 400:
        return None
    found = ERROR_CODE.search(response.get_data())
    return (found[1] or found[2]).decode() if found else None
