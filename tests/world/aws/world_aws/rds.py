"""RDS: what moto makes alike for every instance, ignores, or does not tell."""

from __future__ import annotations

import json
import secrets
import string
from datetime import UTC, datetime
from typing import Any

from moto.rds.exceptions import DBInstanceNotFoundError
from moto.rds.models import (
    BlueGreenDeployment,
    DBCluster,
    DBInstance,
    DBInstanceClustered,
    MasterUserSecret,
    RDSBackend,
    find_cluster,
)

from .cluster import Cluster
from .patching import Method, around
from .server import Server
from .servers import Servers

# The part of every host name that AWS makes unique to an account and Region.
HOST_LABEL = "cworld000001"
CA_IDENTIFIER = "rds-ca-rsa2048-g1"
CA_VALID_TILL = datetime(2061, 5, 25, tzinfo=UTC)
DEFAULT_VERSIONS = {"mysql": "8.0.36", "mariadb": "10.11.8"}
RESOURCE_ID_ALPHABET = string.ascii_uppercase + string.digits
PASSWORD_ALPHABET = string.ascii_letters + string.digits

# Attributes that we keep on moto's instances.
HOST = "world_host"
LOCAL = "world_local"
PENDING = "world_pending"

# What waits for the maintenance window, by the name that PendingModifiedValues gives it.
DEFERRED = {
    "allocated_storage": "AllocatedStorage",
    "ca_certificate_identifier": "CACertificateIdentifier",
    "db_instance_class": "DBInstanceClass",
    "enable_iam_database_authentication": "IAMDatabaseAuthenticationEnabled",
    "engine_version": "EngineVersion",
    "multi_az": "MultiAZ",
}


def install(servers: Servers) -> None:
    """Close the gaps; each function below names the ones it closes."""
    _tell_instances_apart()
    _name_hosts()
    _ignore_case_of_names()
    _defer_changes()
    _keep_master_passwords(servers)
    _make_replicas_own_instances()
    _let_green_be_like_blue()
    _skip_automated_backups()


def endpoint(instance: DBInstance) -> str:
    """`host:port`, as tokens are signed for it."""
    return f"{instance.address}:{instance.port}"


def local_address(instance: DBInstance, servers: Servers) -> str | None:
    """Where logins for this instance arrive; None if no server stands behind it."""
    server = servers.at(endpoint(instance))
    return instance.__dict__.get(LOCAL) or (server.local if server else None)


def resource_id(instance: DBInstance) -> str:
    """What policies name: a member's logins are its cluster's."""
    if isinstance(instance, DBInstanceClustered):
        return str(instance.cluster.db_cluster_resource_id)
    return str(instance.dbi_resource_id)


def find(backend: RDSBackend, identifier: str) -> DBInstance:
    """An instance by its name; raises AWS's own error."""
    instance = backend.databases.get(identifier.lower())
    if instance is None:
        raise DBInstanceNotFoundError(identifier)
    return instance


def _tell_instances_apart() -> None:
    """moto gives every instance the same DbiResourceId, a CA of no known name, and no default MariaDB version."""
    DBInstance.default_engine_versions = DBInstance.default_engine_versions | DEFAULT_VERSIONS

    @around(DBInstance, "__init__")
    def init(original: Method, self: DBInstance, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("ca_certificate_identifier", CA_IDENTIFIER)
        original(self, *args, **kwargs)
        self.dbi_resource_id = _resource_id()

    DBInstance.certificate_details = property(  # type: ignore[attr-defined]
        lambda self: {"CAIdentifier": self.ca_certificate_identifier, "ValidTill": CA_VALID_TILL}
    )


def _name_hosts() -> None:
    """moto's host names do not carry a configurable label, or are random at each start."""

    def address(self: DBInstance) -> str:
        default = f"{self.db_instance_identifier}.{HOST_LABEL}.{self.region}.rds.amazonaws.com"
        return str(self.__dict__.get(HOST) or default)

    DBInstance.address = property(address)  # type: ignore[assignment,method-assign]


def _ignore_case_of_names() -> None:
    """moto keeps instances under the name as it was typed; AWS lower-cases it, and so refuses more duplicates."""

    def lower(arguments: Any, *names: str) -> None:
        for name in names:
            if arguments.get(name):
                arguments[name] = arguments[name].lower()

    @around(RDSBackend, "create_db_instance")
    def create(original: Method, self: RDSBackend, db_kwargs: Any) -> Any:
        lower(db_kwargs, "db_instance_identifier", "db_cluster_identifier")
        return original(self, db_kwargs)

    @around(RDSBackend, "modify_db_instance")
    def modify(original: Method, self: RDSBackend, db_instance_identifier: str, db_kwargs: Any) -> Any:
        lower(db_kwargs, "db_instance_identifier", "new_db_instance_identifier")
        return original(self, db_instance_identifier.lower(), db_kwargs)

    @around(RDSBackend, "delete_db_instance")
    def delete(original: Method, self: RDSBackend, db_instance_identifier: str, **kwargs: Any) -> Any:
        return original(self, db_instance_identifier.lower(), **kwargs)


def _defer_changes() -> None:
    """moto applies every change at once; AWS keeps those below until the maintenance window, unless told otherwise."""

    @around(DBInstance, "update")
    def update(original: Method, self: DBInstance, **kwargs: Any) -> None:
        for name in DEFERRED.keys() & kwargs.keys():
            _pending(self)[name] = kwargs.pop(name)
        if kwargs.get("apply_immediately"):
            kwargs |= _take_pending(self)
        original(self, **kwargs)

    def pending_modified_values(self: DBInstance) -> dict[str, Any]:
        return {
            DEFERRED[name]: value
            for name, value in _pending(self).items()
            if value is not None and value != getattr(self, name)
        }

    DBInstance.pending_modified_values = property(pending_modified_values)  # type: ignore[attr-defined]


def apply_pending(instance: DBInstance) -> None:
    """What the maintenance window does."""
    instance.update(apply_immediately=True)  # type: ignore[arg-type]


def _pending(instance: DBInstance) -> dict[str, Any]:
    pending: dict[str, Any] = instance.__dict__.setdefault(PENDING, {})
    return pending


def _take_pending(instance: DBInstance) -> dict[str, Any]:
    pending = dict(_pending(instance))
    _pending(instance).clear()
    return pending


def _keep_master_passwords(servers: Servers) -> None:
    """moto's managed secrets all hold one constant password, and rotating or changing it touches no server."""

    def behind(resource: DBInstance | DBCluster) -> Server | Cluster | None:
        if isinstance(resource, DBCluster):
            return servers.cluster(resource.db_cluster_identifier)
        return servers.at(endpoint(resource))

    @around(MasterUserSecret, "_generate_secret_string")
    def generate(_: Method, self: MasterUserSecret) -> str:
        server = behind(self.resource)
        password = server.master_password if server else _password()
        return json.dumps({"username": self.resource.master_username, "password": password})

    @around(MasterUserSecret, "rotate_secret")
    def rotate(_: Method, self: MasterUserSecret) -> None:
        password = _password()
        server = behind(self.resource)
        if server:
            server.set_master_password(password)
        self.secretsmanager.put_secret_value(
            secret_id=self.secret.arn,
            secret_string=json.dumps({"username": self.resource.master_username, "password": password}),
            secret_binary="",
            client_request_token="",
            version_stages=["AWSCURRENT"],
        )
        self._status = "rotating"

    @around(DBInstance, "update")
    def update(original: Method, self: DBInstance, **kwargs: Any) -> None:
        original(self, **kwargs)
        password, server = kwargs.get("master_user_password"), servers.at(endpoint(self))
        if password and server:
            server.set_master_password(password)

    @around(RDSBackend, "modify_db_cluster")
    def modify_cluster(original: Method, self: RDSBackend, kwargs: Any) -> Any:
        password, server = kwargs.get("master_user_password"), servers.cluster(kwargs["db_cluster_identifier"])
        answer = original(self, kwargs)
        if password and server:
            server.set_master_password(password)
        return answer


def _make_replicas_own_instances() -> None:
    """moto's replicas are copies that share their source's resource id, host and managed secret."""

    @around(RDSBackend, "create_db_instance_read_replica")
    def create(original: Method, self: RDSBackend, db_kwargs: Any) -> Any:
        replica = original(self, db_kwargs)
        replica.dbi_resource_id = _resource_id()
        replica.manage_master_user_password = False
        for name in (HOST, LOCAL, PENDING, "master_user_secret"):
            replica.__dict__.pop(name, None)
        return replica


def _let_green_be_like_blue() -> None:
    """moto's green instances begin with IAM authentication off."""

    @around(BlueGreenDeployment, "_create_green_instance")
    def create(original: Method, self: BlueGreenDeployment, **kwargs: Any) -> str:
        target = str(original(self, **kwargs))
        if self.backend._is_cluster(target):
            find_cluster(target).iam_auth = find_cluster(self.source).iam_auth
        else:
            blue, green = map(self.backend.find_db_from_id, (self.source, target))
            green.enable_iam_database_authentication = blue.iam_database_authentication_enabled
        return target


def _skip_automated_backups() -> None:
    """moto makes a snapshot with every instance, and refuses the hundred-and-first."""
    DBInstance.save_automated_backup = lambda _: None  # type: ignore[assignment,method-assign]


def _resource_id() -> str:
    return "db-" + "".join(secrets.choice(RESOURCE_ID_ALPHABET) for _ in range(26))


def _password() -> str:
    return "".join(secrets.choice(PASSWORD_ALPHABET) for _ in range(28))
