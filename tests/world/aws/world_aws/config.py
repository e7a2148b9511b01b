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
    cluster: str | None

    @property
    def endpoint(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True)
class RouteSeed:
    """A server that an endpoint can lead to: what the name then resolves to, and where logins arrive."""

    instance: str
    address: str
    local: str


@dataclass(frozen=True)
class EndpointSeed:
    """A name of a cluster or a proxy; it begins with the first of its routes."""

    name: str
    kind: str
    host: str
    routes: tuple[RouteSeed, ...]


@dataclass(frozen=True)
class MemberSeed:
    """A member of a cluster, and the SQL that makes it the writer or the other's replica."""

    instance: str
    promote: str
    follow: str


@dataclass(frozen=True)
class ClusterSeed:
    """A DB cluster with real servers behind its members."""

    identifier: str
    engine: str
    engine_version: str
    resource_id: str
    port: int
    iam: bool
    master_username: str
    writer: Path
    hosts: Path
    members: tuple[MemberSeed, ...]
    endpoints: tuple[EndpointSeed, ...]


@dataclass(frozen=True)
class ProxySeed:
    """An RDS Proxy with end-to-end IAM authentication before an instance."""

    name: str
    id: str
    role: str
    target: str
    endpoints: tuple[EndpointSeed, ...]


@dataclass(frozen=True)
class TrustStoreSeed:
    """The CA certificates that AWS publishes, and where it does so over HTTPS."""

    ca: Path
    host: str
    port: int
    certificate: Path
    key: Path


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
    trust_store: TrustStoreSeed
    instances: tuple[InstanceSeed, ...]
    clusters: tuple[ClusterSeed, ...]
    proxies: tuple[ProxySeed, ...]
    replicas: tuple[EndpointSeed, ...]
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
        trust_store=_trust_store(raw["trustStore"]),
        instances=tuple(_instance(entry) for entry in raw.get("instances", [])),
        clusters=tuple(_cluster(entry) for entry in raw.get("clusters", [])),
        proxies=tuple(
            ProxySeed(
                entry["name"], entry["id"], entry["role"], entry["target"], tuple(map(_endpoint, entry["endpoints"]))
            )
            for entry in raw.get("proxies", [])
        ),
        replicas=tuple(map(_endpoint, raw.get("replicas", []))),
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


def _trust_store(entry: dict[str, Any]) -> TrustStoreSeed:
    host, port = _listen(entry["listen"])
    return TrustStoreSeed(Path(entry["ca"]), host, port, Path(entry["certificate"]), Path(entry["key"]))


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
        cluster=entry.get("cluster"),
    )


def _cluster(entry: dict[str, Any]) -> ClusterSeed:
    return ClusterSeed(
        identifier=entry["identifier"],
        engine=entry["engine"],
        engine_version=entry["engineVersion"],
        resource_id=entry["resourceId"],
        port=int(entry["port"]),
        iam=bool(entry["iam"]),
        master_username=entry["masterUsername"],
        writer=Path(entry["writer"]),
        hosts=Path(entry["hosts"]),
        members=tuple(MemberSeed(m["instance"], m["promote"], m["follow"]) for m in entry["members"]),
        endpoints=tuple(map(_endpoint, entry["endpoints"])),
    )


def _endpoint(entry: dict[str, Any]) -> EndpointSeed:
    routes = tuple(RouteSeed(route["instance"], route["address"], route["local"]) for route in entry["routes"])
    return EndpointSeed(entry["name"], entry["kind"], entry["host"], routes)
