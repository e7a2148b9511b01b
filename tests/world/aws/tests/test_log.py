"""The request log: every call, never a value."""

from __future__ import annotations

import threading

from conftest import OPERATOR, SHOP_ROLE, World
from refusals import refused

FIELDS = {"time", "service", "action", "principal", "status", "code", "write", "parameters"}


def test_calls_are_logged_before_they_are_answered(world: World) -> None:
    iam = world.client("iam", OPERATOR)
    iam.create_user(UserName="logged", Tags=[{"Key": "secret-key", "Value": "secret-value"}])
    line = world.log()[-1]
    assert line.keys() == FIELDS
    assert (line["service"], line["action"], line["status"], line["code"]) == ("iam", "CreateUser", 200, None)
    assert line["principal"] == "arn:aws:iam::123456789012:user/iamdb-operator"
    assert line["write"] is True
    assert line["parameters"] == ["Tags", "UserName"]
    iam.get_user(UserName="logged")
    assert world.log()[-1]["write"] is False


def test_errors_are_logged_by_code(world: World) -> None:
    refused(world.client("iam").get_user, UserName="missing")
    assert (world.log()[-1]["status"], world.log()[-1]["code"]) == (404, "NoSuchEntity")
    refused(world.client("secretsmanager").get_secret_value, SecretId="missing")
    line = world.log()[-1]
    assert (line["action"], line["code"], line["parameters"]) == (
        "GetSecretValue",
        "ResourceNotFoundException",
        ["SecretId"],
    )


def test_callers_that_are_not_known_have_no_principal(world: World) -> None:
    refused(world.client("iam", ("AKIAUNKNOWN000000001", "x")).list_users)
    assert (world.log()[-1]["principal"], world.log()[-1]["code"]) == (None, "InvalidClientTokenId")
    world.unsigned_sts().assume_role_with_web_identity(
        RoleArn=SHOP_ROLE, RoleSessionName="x-y", WebIdentityToken=world.jwt()
    )
    assert (world.log()[-1]["principal"], world.log()[-1]["write"]) == (None, False)


def test_no_value_is_written(world: World) -> None:
    token = world.jwt()
    credentials = world.unsigned_sts().assume_role_with_web_identity(
        RoleArn=SHOP_ROLE, RoleSessionName="quiet", WebIdentityToken=token
    )["Credentials"]
    text = (world.folder / "aws.log").read_text()
    assert token not in text
    assert credentials["SessionToken"] not in text
    assert credentials["SecretAccessKey"] not in text


def test_calls_at_once_do_not_mix_their_lines(world: World) -> None:
    before = len(world.log())
    clients = [world.client("iam") for _ in range(8)]
    threads = [threading.Thread(target=lambda c=client: [c.list_users() for _ in range(5)]) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = world.log()[before:]
    assert [line["action"] for line in lines] == ["ListUsers"] * 40


def test_actions_that_are_not_emulated_say_so(world: World) -> None:
    assert refused(world.client("sts").get_session_token) == ("InvalidAction", 400)
    assert refused(world.client("rds").describe_certificates) == ("InvalidAction", 400)
