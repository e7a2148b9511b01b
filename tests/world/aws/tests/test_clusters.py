"""DB clusters: identity, endpoints, the switch of IAM authentication, secrets and fail-over."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import World
from refusals import refused

WRITER = "ledger.cluster-cworld000001.us-east-1.rds.amazonaws.com"
READER = "ledger.cluster-ro-cworld000001.us-east-1.rds.amazonaws.com"
REPORTS = "reports.cluster-custom-cworld000001.us-east-1.rds.amazonaws.com"
RESOURCE_ID = "cluster-LEDGER00000000000000000001"


def describe(world: World, identifier: str = "ledger") -> dict[str, Any]:
    found: dict[str, Any] = world.client("rds").describe_db_clusters(DBClusterIdentifier=identifier)["DBClusters"][0]
    return found


def members(world: World) -> dict[str, bool]:
    told = describe(world)["DBClusterMembers"]
    return {member["DBInstanceIdentifier"]: member["IsClusterWriter"] for member in told}


def logins(world: World) -> dict[str, dict[str, Any]]:
    """The endpoints of the cluster in the plugin's configuration, by the address at which logins arrive."""
    told = world.auth()["endpoints"]
    return {entry["local"]: entry for entry in told if entry["resourceId"] == RESOURCE_ID}


def test_the_seeded_cluster_is_as_told(world: World) -> None:
    ledger = describe(world)
    assert ledger["DbClusterResourceId"] == RESOURCE_ID
    assert ledger["Engine"] == "aurora-mysql"
    assert ledger["Status"] == "available"
    assert ledger["IAMDatabaseAuthenticationEnabled"] is True
    assert (ledger["Endpoint"], ledger["ReaderEndpoint"], ledger["Port"]) == (WRITER, READER, 3306)
    assert ledger["CustomEndpoints"] == [REPORTS]
    assert members(world) == {"ledger-1": True, "ledger-2": False}


def test_members_are_instances_of_the_cluster(world: World) -> None:
    rds = world.client("rds")
    found = rds.describe_db_instances(Filters=[{"Name": "db-cluster-id", "Values": ["ledger"]}])["DBInstances"]
    assert [instance["DBInstanceIdentifier"] for instance in found] == ["ledger-1", "ledger-2"]
    assert {instance["DBClusterIdentifier"] for instance in found} == {"ledger"}
    assert found[0]["Endpoint"]["Address"] == "ledger-1.cworld000001.us-east-1.rds.amazonaws.com"
    assert found[0]["DbiResourceId"] != found[1]["DbiResourceId"]
    assert all("MasterUserSecret" not in instance for instance in found)


def test_every_endpoint_of_a_cluster_is_its_resource(world: World) -> None:
    told = {local: entry["endpoint"].removesuffix(":3306") for local, entry in logins(world).items()}
    assert told == {
        "127.10.2.11:3306": "ledger-1.cworld000001.us-east-1.rds.amazonaws.com",
        "127.10.2.12:3306": "ledger-2.cworld000001.us-east-1.rds.amazonaws.com",
        **{f"127.10.2.{host}:3306": WRITER for host in (21, 22)},
        **{f"127.10.2.{host}:3306": READER for host in (31, 32)},
        **{f"127.10.2.{host}:3306": REPORTS for host in (41, 42)},
    }


def test_endpoints_are_described_with_their_kinds(world: World) -> None:
    rds = world.client("rds")
    told = rds.describe_db_cluster_endpoints(DBClusterIdentifier="ledger")["DBClusterEndpoints"]
    assert [(e["EndpointType"], e["Endpoint"]) for e in told] == [
        ("WRITER", WRITER),
        ("READER", READER),
        ("CUSTOM", REPORTS),
    ]
    wanted = [{"Name": "db-cluster-endpoint-type", "Values": ["custom"]}]
    custom = rds.describe_db_cluster_endpoints(DBClusterIdentifier="ledger", Filters=wanted)["DBClusterEndpoints"]
    assert [e["DBClusterEndpointIdentifier"] for e in custom] == ["reports"]
    assert refused(rds.describe_db_cluster_endpoints, DBClusterIdentifier="none") == ("DBClusterNotFoundFault", 404)


def test_custom_endpoints_come_and_go(world: World) -> None:
    rds = world.client("rds")
    wanted = {"EndpointType": "ANY", "StaticMembers": ["ledger-2"]}
    made = rds.create_db_cluster_endpoint(DBClusterIdentifier="ledger", DBClusterEndpointIdentifier="audit", **wanted)
    assert made["Endpoint"] == "audit.cluster-custom-cworld000001.us-east-1.rds.amazonaws.com"
    told = rds.describe_db_cluster_endpoints(DBClusterEndpointIdentifier="audit")["DBClusterEndpoints"]
    assert [(e["CustomEndpointType"], e["StaticMembers"]) for e in told] == [("ANY", ["ledger-2"])]
    assert len(describe(world)["CustomEndpoints"]) == 2
    rds.delete_db_cluster_endpoint(DBClusterEndpointIdentifier="audit")
    gone = refused(rds.delete_db_cluster_endpoint, DBClusterEndpointIdentifier="audit")
    assert gone == ("DBClusterEndpointNotFoundFault", 400)


def test_created_clusters_rule_their_members(world: World) -> None:
    rds = world.client("rds")
    request = {
        "Engine": "aurora-mysql",
        "MasterUsername": "admin",
        "MasterUserPassword": "a-long-password",
        "Port": 3308,
        "EnableIAMDatabaseAuthentication": False,
    }
    cluster = rds.create_db_cluster(DBClusterIdentifier="Books", **request)["DBCluster"]
    assert cluster["Endpoint"] == "books.cluster-cworld000001.us-east-1.rds.amazonaws.com"
    rds.create_db_instance(
        DBInstanceIdentifier="books-1",
        DBClusterIdentifier="books",
        Engine="aurora-mysql",
        DBInstanceClass="db.r6g.large",
    )
    one = rds.describe_db_instances(DBInstanceIdentifier="books-1")["DBInstances"][0]
    assert (one["Endpoint"]["Port"], one["IAMDatabaseAuthenticationEnabled"]) == (3308, False)
    rds.modify_db_cluster(DBClusterIdentifier="books", EnableIAMDatabaseAuthentication=True, ApplyImmediately=True)
    one = rds.describe_db_instances(DBInstanceIdentifier="books-1")["DBInstances"][0]
    assert one["IAMDatabaseAuthenticationEnabled"] is True
    assert not any("books" in entry["endpoint"] for entry in world.auth()["endpoints"])


def test_a_green_cluster_has_an_id_of_its_own(world: World) -> None:
    rds = world.client("rds")
    blue = rds.create_db_cluster(
        DBClusterIdentifier="blues",
        Engine="aurora-mysql",
        MasterUsername="admin",
        MasterUserPassword="a-long-password",
        EnableIAMDatabaseAuthentication=True,
    )["DBCluster"]
    made = rds.create_blue_green_deployment(BlueGreenDeploymentName="blues", Source=blue["DBClusterArn"])
    green = describe(world, made["BlueGreenDeployment"]["Target"].rpartition(":")[2])
    assert green["DbClusterResourceId"] != blue["DbClusterResourceId"]
    assert green["IAMDatabaseAuthenticationEnabled"] is True
    rds.switchover_blue_green_deployment(
        BlueGreenDeploymentIdentifier=made["BlueGreenDeployment"]["BlueGreenDeploymentIdentifier"]
    )
    assert describe(world, "blues")["DbClusterResourceId"] == green["DbClusterResourceId"]


def test_missing_clusters_are_not_found(world: World) -> None:
    rds = world.client("rds")
    for call in (rds.describe_db_clusters, rds.modify_db_cluster):
        assert refused(call, DBClusterIdentifier="missing") == ("DBClusterNotFoundFault", 404)


def test_the_switch_of_iam_reaches_both_servers_and_the_reader_stays_one(world: World) -> None:
    rds = world.client("rds")
    uninstall = "--user=root -e UNINSTALL PLUGIN AWSAuthenticationPlugin\n"
    install = "--user=root -e INSTALL PLUGIN AWSAuthenticationPlugin SONAME 'AWSAuthenticationPlugin.so'\n"
    unlock, lock = (f"--user=root -e SET GLOBAL super_read_only = {state}\n" for state in ("OFF", "ON"))
    for enabled, statement in ((False, uninstall), (True, install)):
        before = {name: len(world.sql(name)) for name in members(world)}
        rds.modify_db_cluster(
            DBClusterIdentifier="ledger", EnableIAMDatabaseAuthentication=enabled, ApplyImmediately=True
        )
        assert {entry["iam"] for entry in logins(world).values()} == {enabled}
        assert world.sql("ledger-1")[before["ledger-1"] :] == statement
        assert world.sql("ledger-2")[before["ledger-2"] :] == unlock + statement + lock


def test_a_switch_of_iam_waits_for_the_window(world: World) -> None:
    rds = world.client("rds")
    rds.modify_db_cluster(DBClusterIdentifier="ledger", EnableIAMDatabaseAuthentication=False)
    ledger = describe(world)
    assert ledger["IAMDatabaseAuthenticationEnabled"] is True
    assert ledger["PendingModifiedValues"] == {"IAMDatabaseAuthenticationEnabled": False}
    rds.modify_db_cluster(DBClusterIdentifier="ledger", EnableIAMDatabaseAuthentication=True, ApplyImmediately=True)
    assert "PendingModifiedValues" not in describe(world)


def test_the_clusters_secret_holds_the_writers_password_and_is_rotated(world: World) -> None:
    rds = world.client("rds")

    def password() -> str:
        arn = describe(world)["MasterUserSecret"]["SecretArn"]
        value = world.client("secretsmanager").get_secret_value(SecretId=arn)
        held: dict[str, str] = json.loads(value["SecretString"])
        assert held["username"] == "admin"
        return held["password"]

    before = password()
    rds.modify_db_cluster(DBClusterIdentifier="ledger", RotateMasterUserPassword=True, ApplyImmediately=True)
    after = password()
    assert after != before
    writer = next(name for name, writes in members(world).items() if writes)
    assert f"ALTER USER 'admin'@'%' IDENTIFIED BY '{after}';" in world.sql(writer)


@pytest.mark.parametrize("by_api", [False, True])
def test_a_fail_over_moves_names_roles_and_replication(world: World, by_api: bool) -> None:
    writer, reader = sorted(members(world), key=lambda name: not members(world)[name])
    before = {name: len(world.sql(name)) for name in (writer, reader)}
    if by_api:
        world.client("rds").failover_db_cluster(DBClusterIdentifier="ledger", TargetDBInstanceIdentifier=reader)
    else:
        assert world.control("POST", "failover", {"cluster": "ledger"}) == {"cluster": "ledger", "writer": reader}

    assert members(world) == {writer: False, reader: True}
    promoted, demoted = world.sql(reader)[before[reader] :], world.sql(writer)[before[writer] :]
    assert "WAIT_FOR_EXECUTED_GTID_SET('3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5'" in promoted
    assert promoted.endswith(f"promote {reader};\n")
    assert demoted.index("SET GLOBAL super_read_only = ON;") < demoted.index(f"{writer} follows;")

    number = {"ledger-1": 1, "ledger-2": 2}
    assert (world.folder / "ledger.writer").read_text() == f"{reader}\n"
    assert (world.folder / "hosts").read_text().splitlines() == [
        f"127.10.1.2{number[reader]} {WRITER}",
        f"127.10.1.3{number[writer]} {READER}",
        f"127.10.1.4{number[writer]} {REPORTS}",
        "127.0.0.1 localhost",
    ]


def test_a_dead_writer_does_not_keep_the_other_from_writing(world: World) -> None:
    writer, reader = sorted(members(world), key=lambda name: not members(world)[name])
    error = world.folder / f"sql-{writer}.error"
    try:
        error.write_text("ERROR 2002 (HY000): Can't connect to local MySQL server through socket")
        before = len(world.sql(writer))
        world.control("POST", "failover", {"cluster": "ledger"})
        assert members(world) == {writer: False, reader: True}
        assert f"{writer} follows;" not in world.sql(writer)[before:]
    finally:
        error.unlink()


def test_a_cluster_that_is_not_there_does_not_fail_over(world: World) -> None:
    with pytest.raises(Exception, match="404"):
        world.control("POST", "failover", {"cluster": "none"})
