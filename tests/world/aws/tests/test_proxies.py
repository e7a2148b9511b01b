"""RDS Proxies: identity, auth schemes, endpoints and targets."""

from __future__ import annotations

from typing import Any

from conftest import World
from refusals import refused

ROLE = "arn:aws:iam::123456789012:role/orders-proxy"
HOST = "orders-proxy.proxy-cworld000001.us-east-1.rds.amazonaws.com"
READ_ONLY = "orders-proxy-ro.endpoint.proxy-cworld000001.us-east-1.rds.amazonaws.com"


def describe(world: World, name: str) -> dict[str, Any]:
    found: dict[str, Any] = world.client("rds").describe_db_proxies(DBProxyName=name)["DBProxies"][0]
    return found


def test_the_seeded_proxies_are_as_told(world: World) -> None:
    proxy = describe(world, "orders-proxy")
    assert proxy["DBProxyArn"] == "arn:aws:rds:us-east-1:123456789012:db-proxy:prx-0orders0000000001"
    assert (proxy["Endpoint"], proxy["RoleArn"], proxy["Status"]) == (HOST, ROLE, "available")
    assert (proxy["EngineFamily"], proxy["RequireTLS"]) == ("MYSQL", True)
    assert (proxy["DefaultAuthScheme"], proxy["Auth"]) == ("IAM_AUTH", [])
    standard = describe(world, "orders-proxy-standard")
    assert standard["DefaultAuthScheme"] == "NONE"
    assert standard["Auth"][0]["IAMAuth"] == "REQUIRED"
    assert standard["DBProxyArn"] != proxy["DBProxyArn"]


def test_a_proxys_endpoints_are_described(world: World) -> None:
    rds = world.client("rds")
    told = rds.describe_db_proxy_endpoints(DBProxyName="orders-proxy")["DBProxyEndpoints"]
    assert [(e["Endpoint"], e["TargetRole"], e["IsDefault"]) for e in told] == [
        (HOST, "READ_WRITE", True),
        (READ_ONLY, "READ_ONLY", False),
    ]
    rds.create_db_proxy_endpoint(DBProxyName="orders-proxy", DBProxyEndpointName="more", VpcSubnetIds=["s"])
    one = rds.describe_db_proxy_endpoints(DBProxyEndpointName="more")["DBProxyEndpoints"]
    assert [e["Endpoint"] for e in one] == ["more.endpoint.proxy-cworld000001.us-east-1.rds.amazonaws.com"]
    rds.delete_db_proxy_endpoint(DBProxyEndpointName="more")
    gone = refused(rds.describe_db_proxy_endpoints, DBProxyEndpointName="more")
    assert gone == ("DBProxyEndpointNotFoundFault", 404)


def test_a_proxys_targets_are_described(world: World) -> None:
    rds = world.client("rds")
    target = rds.describe_db_proxy_targets(DBProxyName="orders-proxy")["Targets"][0]
    assert (target["Type"], target["RdsResourceId"], target["Port"]) == ("RDS_INSTANCE", "orders", 3306)
    assert target["Endpoint"] == "orders.cworld000001.us-east-1.rds.amazonaws.com"
    assert target["Role"] == "READ_WRITE"
    groups = rds.describe_db_proxy_target_groups(DBProxyName="orders-proxy")["TargetGroups"]
    assert [group["TargetGroupName"] for group in groups] == ["default"]


def test_missing_proxies_are_not_found(world: World) -> None:
    rds = world.client("rds")
    for call in (
        rds.describe_db_proxies,
        rds.describe_db_proxy_endpoints,
        rds.describe_db_proxy_targets,
        rds.describe_db_proxy_target_groups,
    ):
        assert refused(call, DBProxyName="missing")[0] == "DBProxyNotFoundFault"


def test_logins_through_a_proxy_are_judged_by_its_id_and_its_roles(world: World) -> None:
    told = {entry["local"]: entry for entry in world.auth()["endpoints"] if entry["resourceId"].startswith("prx-")}
    behind = {"role": ROLE, "target": "db-ORDERS0000000000000000001"}
    assert told == {
        local: {
            "endpoint": f"{host}:3306",
            "local": local,
            "resourceId": "prx-0orders0000000001",
            "iam": True,
            "proxy": behind,
        }
        for local, host in {"127.10.2.51:3306": HOST, "127.10.2.52:3306": READ_ONLY}.items()
    }
