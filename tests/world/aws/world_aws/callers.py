"""Tells who signed a call, from the access key: users' keys and role sessions are known, nothing else."""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from moto.iam.models import IAMBackend

from .call import Call
from .errors import AwsError
from .sessions import Session, Sessions


@dataclass(frozen=True)
class Caller:
    """The principal of a signed call."""

    arn: str
    user_id: str
    role_arn: str | None = None


_current: ContextVar[Caller | None] = ContextVar("caller", default=None)


@contextmanager
def acting_as(caller: Caller | None) -> Iterator[None]:
    """Make the caller known to moto's handlers, which have no place for it."""
    token = _current.set(caller)
    try:
        yield
    finally:
        _current.reset(token)


def current_caller() -> Caller:
    """The caller of the call that is being handled; only for actions that must be signed."""
    caller = _current.get()
    if caller is None:
        raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
    return caller


class Callers:
    """Looks callers up. Signatures are not verified: the key must exist, be active, and carry its session token."""

    def __init__(self, iam: IAMBackend, sessions: Sessions) -> None:
        self._iam = iam
        self._sessions = sessions

    def identify(self, call: Call) -> Caller | None:
        """The caller; None for the calls that need no signature."""
        if call.access_key_id is None:
            if call.may_be_unsigned:
                return None
            raise AwsError("MissingAuthenticationToken", "Request is missing Authentication Token", 403)
        session = self._sessions.get(call.access_key_id)
        if session is not None:
            return self._of_session(call, session)
        key = self._iam.access_keys.get(call.access_key_id)
        user = self._iam.users.get(key.user_name) if key is not None and key.user_name else None
        if key is None or user is None or key.status != "Active":
            raise _unknown(call)
        return Caller(user.arn, user.id)

    def _of_session(self, call: Call, session: Session) -> Caller:
        role = self._iam.get_role_by_id(session.role_id)
        if role is None or not hmac.compare_digest(call.session_token or "", session.session_token):
            raise _unknown(call)
        if session.expired:
            code, status = ("ExpiredTokenException", 400) if call.json_protocol else ("ExpiredToken", 403)
            raise AwsError(code, "The security token included in the request is expired", status)
        return Caller(session.arn, session.user_id, session.role_arn)


def _unknown(call: Call) -> AwsError:
    """The same refusal has one name in AWS's query services and another in its JSON services."""
    message = "The security token included in the request is invalid."
    if call.json_protocol:
        return AwsError("UnrecognizedClientException", message, 400)
    return AwsError("InvalidClientTokenId", message, 403)
