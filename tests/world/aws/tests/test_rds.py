"""Instances: identity, endpoints, master secrets, IAM authentication and the servers behind them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore.exceptions import ClientError
from conftest import World
from refusals import refused

RESOURCE_ID = re.compile(r"db-[A-Z0-9]{26}")


def describe(world: World, identifier: str) -> dict[str, Any]:
    found = world.client("rds").describe_db_instances(DBInstanceIdentifier=identifier)["DBInstances"]
    assert len(found) == 1
    instance: dict[str, Any] = found[0]
    return instance


def create(world: World, identifier: str, **arguments: Any) -> dict[str, Any]:
    request = {
        "DBInstanceIdentifier": identifier,
        "DBInstanceClass": "db.t4g.medium",
        "Engine": "mysql",
        "EngineVersion": "8.0.36",
        "AllocatedStorage": 20,
        "MasterUsername": "admin",
    }
    if "ManageMasterUserPassword" not in arguments:
        request["MasterUserPassword"] = "a-long-password"
    instance: dict[str, Any] = world.client("rds").create_db_instance(**request | arguments)["DBInstance"]
    return instance


def secret(world: World, identifier: str) -> dict[str, str]:
    arn = describe(world, identifier)["MasterUserSecret"]["SecretArn"]
    value = world.client("secretsmanager").get_secret_value(SecretId=arn)
    document: dict[str, str] = json.loads(value["SecretString"])
    return document


def endpoints(world: World) -> dict[str, dict[str, Any]]:
    return {entry["endpoint"].partition(".")[0]: entry for entry in world.auth()["endpoints"]}


def test_seeded_instances_are_as_told(world: World) -> None:
    orders = describe(world, "orders")
    assert orders["DbiResourceId"] == "db-ORDERS0000000000000000001"
    assert orders["Endpoint"]["Address"] == "orders.cworld000001.us-east-1.rds.amazonaws.com"
    assert orders["Endpoint"]["Port"] == 3306
    assert orders["DBInstanceStatus"] == "available"
    assert orders["IAMDatabaseAuthenticationEnabled"] is True
    assert orders["CACertificateIdentifier"] == orders["CertificateDetails"]["CAIdentifier"] == "rds-ca-rsa2048-g1"
    assert orders["DBInstanceArn"] == "arn:aws:rds:us-east-1:123456789012:db:orders"
    assert describe(world, "billing")["Engine"] == "mariadb"
    assert endpoints(world)["orders"] == {
        "endpoint": "orders.cworld000001.us-east-1.rds.amazonaws.com:3306",
        "local": "127.10.2.1:3306",
        "resourceId": "db-ORDERS0000000000000000001",
        "iam": True,
    }


def test_master_secrets_hold_the_servers_password(world: World) -> None:
    assert describe(world, "billing")["MasterUserSecret"]["SecretStatus"] == "active"
    assert secret(world, "billing") == {"username": "admin", "password": "billing-master-password"}


def test_created_instances_are_told_apart(world: World) -> None:
    first, second = create(world, "first", Port=3307), create(world, "second", EnableIAMDatabaseAuthentication=True)
    assert first["DbiResourceId"] != second["DbiResourceId"]
    assert RESOURCE_ID.fullmatch(first["DbiResourceId"])
    first = describe(world, "first")
    assert first["Endpoint"]["Address"] == "first.cworld000001.us-east-1.rds.amazonaws.com"
    assert first["Endpoint"]["Port"] == 3307
    assert first["IAMDatabaseAuthenticationEnabled"] is False
    assert describe(world, "second")["IAMDatabaseAuthenticationEnabled"] is True
    assert not endpoints(world).keys() & {"first", "second"}


def test_regions_are_part_of_the_host(world: World) -> None:
    rds = world.client("rds", region="eu-west-1")
    rds.create_db_instance(DBInstanceIdentifier="far", DBInstanceClass="db.t4g.medium", Engine="mariadb")
    far = rds.describe_db_instances(DBInstanceIdentifier="far")["DBInstances"][0]
    assert far["Endpoint"]["Address"] == "far.cworld000001.eu-west-1.rds.amazonaws.com"


def test_missing_instances_are_not_found(world: World) -> None:
    rds = world.client("rds")
    missing = {"DBInstanceIdentifier": "missing"}
    assert refused(rds.describe_db_instances, **missing) == ("DBInstanceNotFound", 404)
    assert refused(rds.modify_db_instance, **missing) == ("DBInstanceNotFound", 404)
    assert refused(rds.delete_db_instance, SkipFinalSnapshot=True, **missing) == ("DBInstanceNotFound", 404)


def test_names_know_no_case(world: World) -> None:
    create(world, "Mixed")
    assert describe(world, "MIXED")["DBInstanceIdentifier"] == "mixed"
    with pytest.raises(ClientError, match="DBInstanceAlreadyExists"):
        create(world, "mixeD")
    world.client("rds").delete_db_instance(DBInstanceIdentifier="mIxed", SkipFinalSnapshot=True)
    assert refused(world.client("rds").describe_db_instances, DBInstanceIdentifier="mixed")[0] == "DBInstanceNotFound"


def test_managed_secrets_live_with_their_instance(world: World) -> None:
    create(world, "managed", ManageMasterUserPassword=True)
    arn = describe(world, "managed")["MasterUserSecret"]["SecretArn"]
    held = secret(world, "managed")
    assert held["username"] == "admin"
    assert len(held["password"]) >= 20
    world.client("rds").delete_db_instance(DBInstanceIdentifier="managed", SkipFinalSnapshot=True)
    assert refused(world.client("secretsmanager").get_secret_value, SecretId=arn)[0] == "ResourceNotFoundException"


def test_rotation_reaches_the_server(world: World) -> None:
    rds = world.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier="orders", RotateMasterUserPassword=True, ApplyImmediately=True)
    held = secret(world, "orders")
    assert held["password"] != "orders-master-password"
    assert f"ALTER USER 'admin'@'%' IDENTIFIED BY '{held['password']}';" in world.sql("orders")


def test_a_given_password_reaches_the_server(world: World) -> None:
    rds = world.client("rds")
    change = {"DBInstanceIdentifier": "orders", "ApplyImmediately": True}
    rds.modify_db_instance(ManageMasterUserPassword=False, MasterUserPassword="o'clock", **change)
    assert r"ALTER USER 'admin'@'%' IDENTIFIED BY 'o\'clock';" in world.sql("orders")
    assert "MasterUserSecret" not in describe(world, "orders")
    rds.modify_db_instance(ManageMasterUserPassword=True, **change)
    assert secret(world, "orders") == {"username": "admin", "password": "o'clock"}


def test_switching_iam_reaches_server_and_plugin(world: World) -> None:
    rds = world.client("rds")

    def switch(enabled: bool) -> str:
        before = len(world.sql("billing"))
        rds.modify_db_instance(
            DBInstanceIdentifier="billing", EnableIAMDatabaseAuthentication=enabled, ApplyImmediately=True
        )
        assert describe(world, "billing")["IAMDatabaseAuthenticationEnabled"] is enabled
        assert endpoints(world)["billing"]["iam"] is enabled
        return world.sql("billing")[before:]

    assert switch(False) == "--user=root -e UNINSTALL PLUGIN AWSAuthenticationPlugin\n"
    assert switch(False) == ""
    install = "--user=root -e INSTALL PLUGIN AWSAuthenticationPlugin SONAME 'AWSAuthenticationPlugin.so'\n"
    assert switch(True) == install


def test_a_plugin_that_is_already_gone_is_no_error(world: World) -> None:
    rds, error = world.client("rds"), world.folder / "sql-billing.error"
    change = {"DBInstanceIdentifier": "billing", "ApplyImmediately": True}
    try:
        error.write_text("ERROR 1305 (42000) at line 1: PLUGIN AWSAuthenticationPlugin does not exist")
        rds.modify_db_instance(EnableIAMDatabaseAuthentication=False, **change)
        error.write_text("ERROR 1968 (HY000) at line 1: Plugin 'AWSAuthenticationPlugin' already installed")
        rds.modify_db_instance(EnableIAMDatabaseAuthentication=True, **change)
    finally:
        error.unlink()


def test_a_server_that_fails_is_not_hidden(world: World) -> None:
    rds, error = world.client("rds"), world.folder / "sql-billing.error"
    change = {"DBInstanceIdentifier": "billing", "ApplyImmediately": True}
    try:
        error.write_text("ERROR 2002 (HY000): Can't connect")
        request = {"EnableIAMDatabaseAuthentication": False} | change
        assert refused(rds.modify_db_instance, **request) == ("InternalFailure", 500)
        assert endpoints(world)["billing"]["iam"] is False
        world.client("iam").create_user(UserName="while-a-server-fails")
    finally:
        error.unlink()
    rds.modify_db_instance(EnableIAMDatabaseAuthentication=True, **change)


def test_changes_wait_for_the_maintenance_window(world: World) -> None:
    rds = world.client("rds")
    rds.modify_db_instance(DBInstanceIdentifier="billing", EnableIAMDatabaseAuthentication=False)
    billing = describe(world, "billing")
    assert billing["IAMDatabaseAuthenticationEnabled"] is True
    assert billing["PendingModifiedValues"] == {"IAMDatabaseAuthenticationEnabled": False}
    world.control("POST", "instances/billing", {"maintenance": True})
    billing = describe(world, "billing")
    assert billing["IAMDatabaseAuthenticationEnabled"] is False
    assert billing["PendingModifiedValues"] == {}
    assert endpoints(world)["billing"]["iam"] is False

    rds.modify_db_instance(DBInstanceIdentifier="billing", DBInstanceClass="db.r6g.large")
    rds.modify_db_instance(DBInstanceIdentifier="billing", EnableIAMDatabaseAuthentication=True, ApplyImmediately=True)
    assert describe(world, "billing")["DBInstanceClass"] == "db.r6g.large"


def test_maintenance_waits_until_it_is_taken_away(world: World) -> None:
    rds = world.client("rds")
    arn = describe(world, "orders")["DBInstanceArn"]
    assert rds.describe_pending_maintenance_actions()["PendingMaintenanceActions"] == []
    world.control("POST", "instances/orders", {"pendingMaintenance": ["system-update"]})
    told = rds.describe_pending_maintenance_actions(ResourceIdentifier=arn)["PendingMaintenanceActions"]
    assert [(t["ResourceIdentifier"], t["PendingMaintenanceActionDetails"][0]["Action"]) for t in told] == [
        (arn, "system-update")
    ]
    world.control("POST", "instances/orders", {"pendingMaintenance": []})
    assert rds.describe_pending_maintenance_actions()["PendingMaintenanceActions"] == []


def test_an_instance_that_comes_back_has_a_new_resource_id(world: World) -> None:
    rds = world.client("rds")
    rds.delete_db_instance(DBInstanceIdentifier="billing", SkipFinalSnapshot=True)
    assert "billing" not in endpoints(world)
    again = create(
        world,
        "billing",
        Engine="mariadb",
        EngineVersion="10.11",
        ManageMasterUserPassword=True,
        EnableIAMDatabaseAuthentication=True,
    )
    assert again["DbiResourceId"] != "db-BILLING000000000000000001"
    assert endpoints(world)["billing"]["local"] == "127.10.2.2:3306"
    assert endpoints(world)["billing"]["resourceId"] == again["DbiResourceId"]
    assert secret(world, "billing")["password"] == "billing-master-password"


def test_blue_green_moves_the_name_and_keeps_the_ids(world: World) -> None:
    rds = world.client("rds")
    create(world, "blue", EnableIAMDatabaseAuthentication=True)
    blue = describe(world, "blue")
    deployment = rds.create_blue_green_deployment(BlueGreenDeploymentName="swap", Source=blue["DBInstanceArn"])
    green_id = deployment["BlueGreenDeployment"]["Target"].rpartition(":")[2]
    green = describe(world, green_id)
    assert green["DbiResourceId"] != blue["DbiResourceId"]
    assert green["IAMDatabaseAuthenticationEnabled"] is True
    told = rds.describe_blue_green_deployments(Filters=[{"Name": "source", "Values": [blue["DBInstanceArn"]]}])
    assert [found["Target"] for found in told["BlueGreenDeployments"]] == [green["DBInstanceArn"]]
    assert green["Endpoint"]["Address"].startswith(f"{green_id}.cworld000001.")

    name = deployment["BlueGreenDeployment"]["BlueGreenDeploymentIdentifier"]
    rds.switchover_blue_green_deployment(BlueGreenDeploymentIdentifier=name)
    swapped = describe(world, "blue")
    assert swapped["DbiResourceId"] == green["DbiResourceId"]
    assert swapped["Endpoint"]["Address"] == blue["Endpoint"]["Address"]
    assert describe(world, "blue-old1")["DbiResourceId"] == blue["DbiResourceId"]


def test_replicas_are_instances_of_their_own(world: World) -> None:
    rds = world.client("rds")
    replica = rds.create_db_instance_read_replica(
        DBInstanceIdentifier="orders-replica", SourceDBInstanceIdentifier="orders"
    )["DBInstance"]
    assert RESOURCE_ID.fullmatch(replica["DbiResourceId"])
    assert replica["Endpoint"]["Address"].startswith("orders-replica.cworld000001.")
    assert "MasterUserSecret" not in replica
    assert endpoints(world)["orders-replica"] == {
        "endpoint": "orders-replica.cworld000001.us-east-1.rds.amazonaws.com:3306",
        "local": "127.10.2.3:3306",
        "resourceId": replica["DbiResourceId"],
        "iam": True,
    }
    before = world.sql("orders")
    change = {"DBInstanceIdentifier": "orders-replica", "ApplyImmediately": True}
    rds.modify_db_instance(EnableIAMDatabaseAuthentication=False, **change)
    assert (endpoints(world)["orders"]["iam"], endpoints(world)["orders-replica"]["iam"]) == (True, False)
    assert world.sql("orders") == before
    assert describe(world, "orders-replica")["ReadReplicaSourceDBInstanceIdentifier"] == "orders"
    assert describe(world, "orders")["ReadReplicaDBInstanceIdentifiers"] == ["orders-replica"]
    rds.delete_db_instance(DBInstanceIdentifier="orders-replica", SkipFinalSnapshot=True)
    assert describe(world, "orders")["ReadReplicaDBInstanceIdentifiers"] == []
    assert secret(world, "orders")["username"] == "admin"


def test_tests_may_alter_an_instance(world: World) -> None:
    create(world, "altered", EnableIAMDatabaseAuthentication=True)
    change = {
        "host": "altered.example.com",
        "port": 3399,
        "local": "127.10.2.9:3306",
        "resourceId": "db-ALTERED",
        "status": "modifying",
    }
    world.control("POST", "instances/altered", change)
    altered = describe(world, "altered")
    assert altered["Endpoint"]["Address"] == "altered.example.com"
    assert altered["DBInstanceStatus"] == "modifying"
    assert endpoints(world)["altered"] == {
        "endpoint": "altered.example.com:3399",
        "local": "127.10.2.9:3306",
        "resourceId": "db-ALTERED",
        "iam": True,
    }
    world.client("rds").delete_db_instance(DBInstanceIdentifier="altered", SkipFinalSnapshot=True)


def test_more_instances_than_motos_snapshots(world: World) -> None:
    for number in range(101):
        create(world, f"many-{number}")
    pages = world.client("rds").get_paginator("describe_db_instances").paginate()
    ids = [instance["DbiResourceId"] for page in pages for instance in page["DBInstances"]]
    assert len(ids) > 101
    assert len(set(ids)) == len(ids)
