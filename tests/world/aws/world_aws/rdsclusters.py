"""RDS: DB clusters. What moto drops of them, makes up, or has no answer to."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.rds.exceptions import DBClusterNotFoundError
from moto.rds.models import DBCluster, DBInstanceClustered, RDSBackend
from moto.rds.responses import RDSResponse

from .errors import AwsError
from .patching import Method, answer, around
from .rds import HOST_LABEL
from .servers import Servers

# Attributes that we keep on moto's clusters.
CUSTOM = "world_custom_endpoints"
PENDING_IAM = "world_pending_iam"


def install(servers: Servers) -> None:
    """Close the gaps; each function below names the ones it closes."""
    _name_hosts()
    _ignore_case_of_names()
    _switch_iam()
    _correct_members()
    _fail_over_for_real(servers)
    _have_custom_endpoints()


def _name_hosts() -> None:
    """moto's host names are random at each start."""

    @around(DBCluster, "__init__")
    def init(original: Method, self: DBCluster, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.url_identifier = HOST_LABEL


def _ignore_case_of_names() -> None:
    """moto keeps clusters under the name as it was typed."""

    def lower(name: str) -> None:
        @around(RDSBackend, name)
        def patched(original: Method, self: RDSBackend, kwargs: Any) -> Any:
            kwargs["db_cluster_identifier"] = kwargs["db_cluster_identifier"].lower()
            if name.startswith("modify") and kwargs["db_cluster_identifier"] not in self.clusters:
                raise DBClusterNotFoundError(kwargs["db_cluster_identifier"])
            return original(self, kwargs)

    for name in ("create_db_cluster", "modify_db_cluster"):
        lower(name)


def _switch_iam() -> None:
    """moto drops a cluster's change of IAM authentication; AWS keeps it until the window, unless told otherwise."""

    @around(RDSBackend, "modify_db_cluster")
    def modify(original: Method, self: RDSBackend, kwargs: Any) -> Any:
        cluster = self.clusters.get(kwargs["db_cluster_identifier"].lower())
        wanted = kwargs.get("enable_iam_database_authentication")
        if cluster is not None and wanted is not None:
            cluster.__dict__[PENDING_IAM] = wanted
        if cluster is not None and kwargs.get("apply_immediately"):
            apply_pending(cluster)
        return original(self, kwargs)

    def pending_modified_values(self: DBCluster) -> dict[str, Any] | None:
        wanted = self.__dict__.get(PENDING_IAM)
        if wanted is None or wanted == self.iam_database_authentication_enabled:
            return None
        return {"IAMDatabaseAuthenticationEnabled": wanted}

    DBCluster.pending_modified_values = property(pending_modified_values)  # type: ignore[attr-defined]


def apply_pending(cluster: DBCluster) -> None:
    """What the maintenance window does."""
    wanted = cluster.__dict__.pop(PENDING_IAM, None)
    if wanted is not None:
        cluster.iam_auth = wanted


def _correct_members() -> None:
    """moto's members have a flag and a port of their own."""

    @around(DBInstanceClustered, "__init__")
    def init(original: Method, self: DBInstanceClustered, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.port = self.cluster.port

    DBInstanceClustered.iam_database_authentication_enabled = property(  # type: ignore[assignment,method-assign]
        lambda self: self.cluster.iam_database_authentication_enabled
    )


def _fail_over_for_real(servers: Servers) -> None:
    """moto only tells that another member writes."""

    @around(DBCluster, "failover")
    def failover(original: Method, self: DBCluster, target_instance: DBInstanceClustered) -> None:
        real = servers.cluster(self.db_cluster_identifier)
        if real is not None:
            real.fail_over(target_instance.db_instance_identifier)
        original(self, target_instance)


def add_custom_endpoint(cluster: DBCluster, identifier: str, kind: str = "READER", **members: Any) -> dict[str, Any]:
    """Give a cluster an endpoint of its own choice of members."""
    host = f"{identifier}.cluster-custom-{HOST_LABEL}.{cluster.region}.rds.amazonaws.com"
    told = {
        "DBClusterEndpointIdentifier": identifier,
        "DBClusterIdentifier": cluster.db_cluster_identifier,
        "DBClusterEndpointResourceIdentifier": f"cluster-endpoint-{identifier.upper()}",
        "DBClusterEndpointArn": (
            f"arn:{cluster.partition}:rds:{cluster.region}:{cluster.account_id}:cluster-endpoint:{identifier}"
        ),
        "Endpoint": host,
        "Status": "available",
        "EndpointType": "CUSTOM",
        "CustomEndpointType": kind,
        "StaticMembers": members.get("static", []),
        "ExcludedMembers": members.get("excluded", []),
    }
    _custom(cluster)[identifier] = told
    return told


def _custom(cluster: DBCluster) -> dict[str, dict[str, Any]]:
    custom: dict[str, dict[str, Any]] = cluster.__dict__.setdefault(CUSTOM, {})
    return custom


def _own_endpoints(cluster: DBCluster) -> list[dict[str, Any]]:
    """The two that every cluster has. They have no identifier and no ARN."""
    common = {"DBClusterIdentifier": cluster.db_cluster_identifier, "Status": "available"}
    return [
        {**common, "Endpoint": cluster.endpoint, "EndpointType": "WRITER"},
        {**common, "Endpoint": cluster.reader_endpoint, "EndpointType": "READER"},
    ]


# The names of DescribeDBClusterEndpoints' filters, and of what they look at.
FILTERS = {
    "db-cluster-endpoint-type": "EndpointType",
    "db-cluster-endpoint-custom-type": "CustomEndpointType",
    "db-cluster-endpoint-id": "DBClusterEndpointIdentifier",
    "db-cluster-endpoint-status": "Status",
}


def _have_custom_endpoints() -> None:
    """moto has no call for them."""
    DBCluster.custom_endpoints = property(  # type: ignore[attr-defined]
        lambda self: [endpoint["Endpoint"] for endpoint in _custom(self).values()]
    )

    def create(self: RDSResponse) -> ActionResult:
        cluster = self.backend.describe_db_clusters(self.params["DBClusterIdentifier"].lower())[0]
        identifier = self.params["DBClusterEndpointIdentifier"].lower()
        if identifier in _custom(cluster):
            raise AwsError("DBClusterEndpointAlreadyExistsFault", f"{identifier} already exists.")
        told = add_custom_endpoint(
            cluster,
            identifier,
            self.params["EndpointType"],
            static=self.params.get("StaticMembers", []),
            excluded=self.params.get("ExcludedMembers", []),
        )
        return ActionResult(told)

    def delete(self: RDSResponse) -> ActionResult:
        identifier = self.params["DBClusterEndpointIdentifier"].lower()
        for cluster in self.backend.clusters.values():
            told = _custom(cluster).pop(identifier, None)
            if told is not None:
                return ActionResult(told | {"Status": "deleting"})
        raise AwsError("DBClusterEndpointNotFoundFault", f"{identifier} not found.")

    def describe(self: RDSResponse) -> ActionResult:
        clusters = self.backend.describe_db_clusters(self.params.get("DBClusterIdentifier", "").lower() or None)
        told = [e for cluster in clusters for e in [*_own_endpoints(cluster), *_custom(cluster).values()]]
        identifier = self.params.get("DBClusterEndpointIdentifier")
        if identifier:
            told = [e for e in told if e.get("DBClusterEndpointIdentifier") == identifier.lower()]
        for wanted in self.params.get("Filters", []):
            name, values = FILTERS[wanted["Name"]], [value.lower() for value in wanted["Values"]]
            told = [e for e in told if str(e.get(name, "")).lower() in values]
        return ActionResult({"DBClusterEndpoints": told})

    answer(
        RDSResponse,
        create_db_cluster_endpoint=create,
        delete_db_cluster_endpoint=delete,
        describe_db_cluster_endpoints=describe,
    )
