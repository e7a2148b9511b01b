"""Only keys that exist are answered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from conftest import OPERATOR, SHOP_ROLE, World
from refusals import refused

from world_aws.call import Call
from world_aws.callers import Callers
from world_aws.errors import AwsError
from world_aws.sessions import Sessions

UNKNOWN = ("AKIAUNKNOWN000000001", "secret")


def test_seeded_users_are_who_they_are(world: World) -> None:
    identity = world.client("sts", OPERATOR).get_caller_identity()
    assert identity["Arn"] == "arn:aws:iam::123456789012:user/iamdb-operator"
    assert identity["Account"] == "123456789012"


@pytest.mark.parametrize(
    ("service", "action"), [("sts", "get_caller_identity"), ("iam", "list_users"), ("rds", "describe_db_instances")]
)
def test_unknown_keys_are_refused(world: World, service: str, action: str) -> None:
    client = world.client(service, UNKNOWN)
    assert refused(getattr(client, action)) == ("InvalidClientTokenId", 403)


def test_unknown_keys_are_refused_in_json_as_aws_does_there(world: World) -> None:
    assert refused(world.client("secretsmanager", UNKNOWN).list_secrets) == ("UnrecognizedClientException", 400)


def test_unsigned_calls_are_refused(world: World) -> None:
    assert refused(world.unsigned_sts().get_caller_identity) == ("MissingAuthenticationToken", 403)


def test_created_keys_are_known_until_they_are_inactive(world: World) -> None:
    iam = world.client("iam")
    iam.create_user(UserName="keyed")
    key = iam.create_access_key(UserName="keyed")["AccessKey"]
    sts = world.client("sts", (key["AccessKeyId"], key["SecretAccessKey"]))
    assert sts.get_caller_identity()["Arn"].endswith(":user/keyed")
    assert key["AccessKeyId"] in world.auth()["keys"]

    iam.update_access_key(UserName="keyed", AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert refused(sts.get_caller_identity)[0] == "InvalidClientTokenId"
    assert key["AccessKeyId"] not in world.auth()["keys"]


def test_session_keys_need_their_token(world: World) -> None:
    credentials = world.unsigned_sts().assume_role_with_web_identity(
        RoleArn=SHOP_ROLE, RoleSessionName="tokens", WebIdentityToken=world.jwt()
    )["Credentials"]
    key, secret, token = (credentials[name] for name in ("AccessKeyId", "SecretAccessKey", "SessionToken"))
    assert world.client("sts", (key, secret, token)).get_caller_identity()["Arn"].endswith("/shop-app/tokens")
    assert refused(world.client("sts", (key, secret)).get_caller_identity)[0] == "InvalidClientTokenId"
    assert refused(world.client("sts", (key, secret, token[:-4])).get_caller_identity)[0] == "InvalidClientTokenId"


@pytest.mark.parametrize(("json_protocol", "code"), [(False, "ExpiredToken"), (True, "ExpiredTokenException")])
def test_expired_sessions_are_told_so(json_protocol: bool, code: str) -> None:
    """Without a launcher: no session is shorter than a quarter of an hour."""
    sessions = Sessions()
    session = sessions.open(role_arn=SHOP_ROLE, role_id="AROA1", name="old", seconds=-1)
    iam: Any = SimpleNamespace(get_role_by_id=lambda _: object())
    call = Call("x", "Get", session.access_key_id, session.session_token, (), json_protocol)
    with pytest.raises(AwsError) as caught:
        Callers(iam, sessions).identify(call)
    assert caught.value.code == code
