"""RDS: proxies. What moto drops of them, makes up, or has no answer to."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.rds.exceptions import DBProxyNotFoundFault
from moto.rds.models import DBInstance, DBProxy, DBProxyTarget, RDSBackend
from moto.rds.responses import RDSResponse

from .errors import AwsError
from .patching import Method, answer, around
from .rds import HOST_LABEL

# Attributes that we keep on moto's proxies.
FURTHER = "world_endpoints"

# What DefaultAuthScheme says: whether the proxy connects to the database by IAM, too.
STANDARD, END_TO_END = "NONE", "IAM_AUTH"


def install() -> None:
    """Close the gaps; each function below names the ones it closes."""
    _name_hosts()
    _keep_auth_scheme()
    _describe_targets()
    _have_endpoints()


def find(backend: RDSBackend, name: str) -> DBProxy:
    """A proxy by its name; raises AWS's own error."""
    proxy = backend.db_proxies.get(name.lower())
    if proxy is None:
        raise DBProxyNotFoundFault(name)
    return proxy


def target_of(backend: RDSBackend, proxy: DBProxy) -> DBInstance | None:
    """The instance that a proxy leads to."""
    names = [target.rds_resource_id for group in proxy.proxy_target_groups.values() for target in group.targets]
    return next((backend.databases[name] for name in names if name in backend.databases), None)


def _name_hosts() -> None:
    """moto's host names are random at each start, and lack the word by which a proxy's are known."""

    @around(DBProxy, "__init__")
    def init(original: Method, self: DBProxy, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        self.endpoint = f"{self.db_proxy_name}.proxy-{HOST_LABEL}.{self.region}.rds.amazonaws.com"


def _keep_auth_scheme() -> None:
    """moto drops DefaultAuthScheme, and cannot do without the list of secrets that it makes superfluous."""
    DBProxy.default_auth_scheme = STANDARD  # type: ignore[attr-defined]

    @around(RDSResponse, "create_db_proxy")
    def create(original: Method, self: RDSResponse) -> ActionResult:
        scheme = self.params.get("DefaultAuthScheme", STANDARD)
        if scheme not in (STANDARD, END_TO_END):
            raise AwsError("InvalidParameterValue", f"{scheme} is not a valid DefaultAuthScheme")
        if scheme == STANDARD and not self.params.get("Auth"):
            raise AwsError("InvalidParameterCombination", "Auth is required when DefaultAuthScheme is NONE")
        self.params.setdefault("Auth", [])
        answer: ActionResult = original(self)
        set_auth_scheme(self.backend.db_proxies[self.params["DBProxyName"]], scheme)
        return answer


def set_auth_scheme(proxy: DBProxy, scheme: str) -> None:
    """What CreateDBProxy or ModifyDBProxy says."""
    proxy.default_auth_scheme = scheme  # type: ignore[attr-defined]


def _describe_targets() -> None:
    """moto's targets all have PostgreSQL's port and neither endpoint nor role, and an unknown proxy is a KeyError."""

    @around(RDSBackend, "register_db_proxy_targets")
    def register(original: Method, self: RDSBackend, db_proxy_name: str, *args: Any, **kwargs: Any) -> Any:
        find(self, db_proxy_name)
        targets: list[DBProxyTarget] = original(self, db_proxy_name, *args, **kwargs)
        for target in targets:
            instance = self.databases.get(target.rds_resource_id)
            if instance is not None:
                target.endpoint, target.port = instance.address, instance.port or target.port
                target.target_arn = instance.db_instance_arn  # type: ignore[assignment]
                target.role = "READ_WRITE"  # type: ignore[assignment]
            else:
                target.port = self.clusters[target.rds_resource_id].port
        return targets

    for name in ("describe_db_proxy_targets", "describe_db_proxy_target_groups"):

        @around(RDSBackend, name)
        def describe(original: Method, self: RDSBackend, proxy_name: str) -> Any:
            return original(self, find(self, proxy_name).db_proxy_name)


def add_endpoint(proxy: DBProxy, name: str, role: str = "READ_ONLY") -> dict[str, Any]:
    """Give a proxy a further endpoint."""
    told = _endpoint(proxy, name, f"{name}.endpoint.proxy-{HOST_LABEL}.{proxy.region}.rds.amazonaws.com", role)
    _further(proxy)[name] = told
    return told


def _further(proxy: DBProxy) -> dict[str, dict[str, Any]]:
    further: dict[str, dict[str, Any]] = proxy.__dict__.setdefault(FURTHER, {})
    return further


def _endpoint(proxy: DBProxy, name: str, host: str, role: str, *, default: bool = False) -> dict[str, Any]:
    arn = f"arn:{proxy.partition}:rds:{proxy.region}:{proxy.account_id}:db-proxy-endpoint:prx-endpoint-{name}"
    return {
        "DBProxyEndpointName": name,
        "DBProxyEndpointArn": arn,
        "DBProxyName": proxy.db_proxy_name,
        "Status": "available",
        "VpcId": proxy.vpc_id,
        "VpcSecurityGroupIds": proxy.vpc_security_group_ids,
        "VpcSubnetIds": proxy.vpc_subnet_ids,
        "Endpoint": host,
        "CreatedDate": proxy.created_date,
        "TargetRole": role,
        "IsDefault": default,
    }


def _have_endpoints() -> None:
    """moto has no call for a proxy's further endpoints."""

    def create(self: RDSResponse) -> ActionResult:
        proxy, name = find(self.backend, self.params["DBProxyName"]), self.params["DBProxyEndpointName"].lower()
        if any(name in _further(other) for other in self.backend.db_proxies.values()):
            raise AwsError("DBProxyEndpointAlreadyExistsFault", f"{name} already exists")
        return ActionResult({"DBProxyEndpoint": add_endpoint(proxy, name, self.params.get("TargetRole", "READ_WRITE"))})

    def delete(self: RDSResponse) -> ActionResult:
        name = self.params["DBProxyEndpointName"].lower()
        for proxy in self.backend.db_proxies.values():
            told = _further(proxy).pop(name, None)
            if told is not None:
                return ActionResult({"DBProxyEndpoint": told | {"Status": "deleting"}})
        raise AwsError("DBProxyEndpointNotFoundFault", f"{name} not found", 404)

    def describe(self: RDSResponse) -> ActionResult:
        name, endpoint = self.params.get("DBProxyName"), self.params.get("DBProxyEndpointName")
        proxies = [find(self.backend, name)] if name else list(self.backend.db_proxies.values())
        told = [
            found
            for proxy in proxies
            for found in (
                _endpoint(proxy, "default", proxy.endpoint, "READ_WRITE", default=True),
                *_further(proxy).values(),
            )
        ]
        if endpoint:
            told = [found for found in told if found["DBProxyEndpointName"] == endpoint.lower()]
            if not told:
                raise AwsError("DBProxyEndpointNotFoundFault", f"{endpoint} not found", 404)
        return ActionResult({"DBProxyEndpoints": told})

    answer(
        RDSResponse,
        create_db_proxy_endpoint=create,
        delete_db_proxy_endpoint=delete,
        describe_db_proxy_endpoints=describe,
    )
