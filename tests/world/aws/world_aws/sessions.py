"""Role sessions that STS handed out: who they are and until when."""

from __future__ import annotations

import secrets
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

# An expired session stays known for a while, so that its holder is told "expired" and not "unknown".
KEPT_AFTER_EXPIRY = timedelta(hours=1)

# AWS's tokens are opaque and about this long; ours are random, so that no two have a part in common.
TOKEN_LENGTH = 1024
TOKEN_PREFIX = "IQoJb3JpZ2luX2Vj"

KEY_ALPHABET = string.ascii_uppercase + "234567"
SECRET_ALPHABET = string.ascii_letters + string.digits + "+/"


@dataclass(frozen=True)
class Session:
    """Temporary credentials of an assumed role."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    role_arn: str
    role_id: str
    arn: str
    user_id: str
    expiration: datetime

    @property
    def expired(self) -> bool:
        return datetime.now(UTC) >= self.expiration


class Sessions:
    """All sessions by access key."""

    def __init__(self) -> None:
        self._by_key: dict[str, Session] = {}
        self._lives: list[int] = []
        self._limited = ""
        self._given: list[int] = []

    def limit(self, spec: Mapping[str, Any]) -> dict[str, list[int]]:
        """Sessions of roles whose ARN contains a text live so many seconds, one after another, whatever is asked for.

        Answers what the last list gave.
        """
        unknown = set(spec) - {"lives", "role"}
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        lives = [int(life) for life in spec.get("lives", [])]
        if any(life < 1 for life in lives):
            raise ValueError("a session lives at least a second")
        given, self._lives, self._given = self._given, lives, []
        self._limited = str(spec.get("role", ""))
        return {"given": given}

    def open(self, *, role_arn: str, role_id: str, name: str, seconds: int) -> Session:
        """Make a session of a role."""
        self._forget_old()
        if self._lives and self._limited in role_arn:
            seconds = self._lives[len(self._given) % len(self._lives)]
            self._given.append(seconds)
        partition, account, role_name = _parts(role_arn)
        session = Session(
            access_key_id="ASIA" + _random(KEY_ALPHABET, 16),
            secret_access_key=_random(SECRET_ALPHABET, 40),
            session_token=TOKEN_PREFIX + _random(SECRET_ALPHABET, TOKEN_LENGTH - len(TOKEN_PREFIX) - 2) + "==",
            role_arn=role_arn,
            role_id=role_id,
            arn=f"arn:{partition}:sts::{account}:assumed-role/{role_name}/{name}",
            user_id=f"{role_id}:{name}",
            expiration=(datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0),
        )
        self._by_key[session.access_key_id] = session
        return session

    def get(self, access_key_id: str) -> Session | None:
        return self._by_key.get(access_key_id)

    def all(self) -> Iterable[Session]:
        return self._by_key.values()

    def _forget_old(self) -> None:
        horizon = datetime.now(UTC) - KEPT_AFTER_EXPIRY
        self._by_key = {key: s for key, s in self._by_key.items() if s.expiration > horizon}


def _parts(role_arn: str) -> tuple[str, str, str]:
    """Partition, account and bare name of a role: a session's ARN leaves the path out."""
    _, partition, _, _, account, resource = role_arn.split(":", 5)
    return partition, account, resource.rpartition("/")[2]


def _random(alphabet: str, length: int) -> str:
    return "".join(secrets.choice(alphabet) for _ in range(length))
