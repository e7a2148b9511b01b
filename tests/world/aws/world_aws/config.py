"""The launcher's configuration file, read once at the start."""

from __future__ import annotations

import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Oidc:
    """The cluster's ServiceAccount issuer, trusted for web identity."""

    issuer: str
    public_key: Path
    audience: str


@dataclass(frozen=True)
class InstanceSeed:
    """A DB instance that exists from the start, with a real server behind it."""

    identifier: str
    engine: str
    engine_version: str
    resource_id: str
    host: str
    port: int
    local: str
    iam: bool
    master_username: str
    master_password: str
    sql: tuple[str, ...]

    @property
    def endpoint(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class UserSeed:
    """An IAM user with one access key."""

    name: str
    access_key_id: str
    secret_access_key: str


@dataclass(frozen=True)
class RoleSeed:
    """An IAM role and who may assume it."""

    name: str
    path: str
    trust: dict[str, Any]


@dataclass(frozen=True)
class Config:
    """Everything the launcher is told."""

    host: str
    port: int
    region: str
    account: str
    partition: str
    auth_config: Path
    request_log: Path
    oidc: Oidc
    instances: tuple[InstanceSeed, ...]
    users: tuple[UserSeed, ...]
    roles: tuple[RoleSeed, ...]


def load(path: Path) -> Config:
    """Read the file that `--config` names."""
    raw = json.loads(path.read_text(encoding="utf-8"))
    host, port = _listen(raw["listen"])
    return Config(
        host=host,
        port=port,
        region=raw["region"],
        account=raw["account"],
        partition=raw["partition"],
        auth_config=Path(raw["authConfig"]),
        request_log=Path(raw["requestLog"]),
        oidc=Oidc(raw["oidc"]["issuer"], Path(raw["oidc"]["publicKey"]), raw["oidc"]["audience"]),
        instances=tuple(_instance(entry) for entry in raw.get("instances", [])),
        users=tuple(
            UserSeed(entry["name"], entry["accessKeyId"], entry["secretAccessKey"]) for entry in raw.get("users", [])
        ),
        roles=tuple(RoleSeed(entry["name"], entry.get("path", "/"), entry["trust"]) for entry in raw.get("roles", [])),
    )


def _listen(address: str) -> tuple[str, int]:
    """Split `host:port`, and refuse an address that other machines could reach: this server hands out credentials."""
    host, _, port = address.rpartition(":")
    if not ipaddress.ip_address(host).is_loopback:
        raise ValueError(f"listen: {host} is not a loopback address")
    return host, int(port)


def _instance(entry: dict[str, Any]) -> InstanceSeed:
    return InstanceSeed(
        identifier=entry["identifier"],
        engine=entry["engine"],
        engine_version=entry["engineVersion"],
        resource_id=entry["resourceId"],
        host=entry["host"],
        port=int(entry["port"]),
        local=entry["local"],
        iam=bool(entry["iam"]),
        master_username=entry["masterUsername"],
        master_password=entry["masterPassword"],
        sql=tuple(entry.get("sql", ())),
    )
