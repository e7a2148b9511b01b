"""Writes what AWS knows of credentials, policies and endpoints for the database servers' plugin."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable
from typing import Any

from moto.iam.models import Group, IAMBackend, ManagedPolicy, Role, User
from moto.rds.models import RDSBackend

from .config import Config
from .iam import statements
from .propagation import Propagation
from .rds import endpoint, local_address, resource_id
from .rdsproxies import target_of
from .servers import Servers
from .sessions import Sessions


class AuthFile:
    """The plugin's configuration file, replaced whole when something in it changed."""

    def __init__(
        self,
        config: Config,
        iam: IAMBackend,
        rds: RDSBackend,
        sessions: Sessions,
        servers: Servers,
        propagation: Propagation,
    ) -> None:
        self._config = config
        self._iam = iam
        self._rds = rds
        self._sessions = sessions
        self._servers = servers
        self._propagation = propagation
        self._lock = threading.Lock()
        self._effective: dict[str, Any] = {}
        self._written = ""

    def refresh(self) -> None:
        """Bring the file up to date, with the policies at once or once they have spread."""
        policies, late = self._policies(), self._propagation.effective
        if late:
            spread = threading.Timer(late, self._write, [policies])
            spread.daemon = True
            spread.start()
        self._write(None if late else policies)

    def _write(self, policies: dict[str, Any] | None) -> None:
        """Write what changed; readers see the old file or the new one, never a part."""
        with self._lock:
            if policies is not None:
                self._effective = policies
            self._replace()

    def _replace(self) -> None:
        text = json.dumps(self._document(), sort_keys=True)
        if text == self._written:
            return
        path = self._config.auth_config
        draft = path.with_name(path.name + ".new")
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
        self._written = text

    def _document(self) -> dict[str, Any]:
        return {
            "partition": self._config.partition,
            "region": self._config.region,
            "account": self._config.account,
            "endpoints": self._endpoints(),
            "keys": {**self._user_keys(), **self._session_keys()},
            "policies": self._effective,
        }

    def _endpoints(self) -> list[dict[str, Any]]:
        return [*self._instances(), *self._clusters(), *self._proxies()]

    def _proxies(self) -> list[dict[str, Any]]:
        """Every name of a proxy, with what its role must be allowed to."""
        told = []
        for seed in self._config.proxies:
            proxy = self._rds.db_proxies.get(seed.name)
            target = target_of(self._rds, proxy) if proxy else None
            if proxy is None or target is None:
                continue
            told += [
                {
                    "endpoint": f"{name.host}:{target.port}",
                    "local": route.local,
                    "resourceId": proxy.unique_id,
                    "iam": bool(target.iam_database_authentication_enabled),
                    "proxy": {"role": proxy.role_arn, "target": resource_id(target)},
                }
                for name in seed.endpoints
                for route in name.routes
            ]
        return told

    def _clusters(self) -> list[dict[str, Any]]:
        """Every name of a cluster, once for each server that it can lead to."""
        told = []
        for cluster in self._rds.clusters.values():
            behind = self._servers.cluster(cluster.db_cluster_identifier)
            told += [
                {
                    "endpoint": f"{name.host}:{cluster.port}",
                    "local": route.local,
                    "resourceId": cluster.db_cluster_resource_id,
                    "iam": cluster.iam_database_authentication_enabled,
                }
                for name in (behind.seed.endpoints if behind else ())
                for route in name.routes
            ]
        return told

    def _instances(self) -> list[dict[str, Any]]:
        """The instances that a login can reach."""
        reachable = ((instance, local_address(instance, self._servers)) for instance in self._rds.databases.values())
        return [
            {
                "endpoint": endpoint(instance),
                "local": local,
                "resourceId": resource_id(instance),
                "iam": bool(instance.iam_database_authentication_enabled),
            }
            for instance, local in reachable
            if local is not None
        ]

    def _user_keys(self) -> dict[str, Any]:
        return {
            key.access_key_id: {"secret": key.secret_access_key, "principal": user.arn}
            for user in self._iam.users.values()
            for key in user.access_keys
            if key.status == "Active"
        }

    def _session_keys(self) -> dict[str, Any]:
        return {
            session.access_key_id: {
                "secret": session.secret_access_key,
                "sessionToken": session.session_token,
                "principal": session.role_arn,
                "expires": int(session.expiration.timestamp()),
            }
            for session in self._sessions.all()
            if session.role_id in self._iam.roles
        }

    def _policies(self) -> dict[str, list[dict[str, Any]]]:
        """The statements that hold for each principal, a user's groups included."""
        effective = {
            user.arn: [*_own(user), *(s for group in self._groups_of(user) for s in _own(group))]
            for user in self._iam.users.values()
        }
        effective.update({role.arn: _own(role) for role in self._iam.roles.values()})
        return effective

    def _groups_of(self, user: User) -> list[Group]:
        return [group for group in self._iam.groups.values() if user in group.users]


def _own(entity: User | Group | Role) -> list[dict[str, Any]]:
    documents = [*map(_default_document, entity.managed_policies.values()), *entity.policies.values()]
    return [_without_sid(statement) for document in documents for statement in statements(document)]


def _default_document(policy: ManagedPolicy) -> str:
    versions: Iterable[Any] = policy.versions
    return str(next(v.document for v in versions if v.version_id == policy.default_version_id))


def _without_sid(statement: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in statement.items() if key != "Sid"}
