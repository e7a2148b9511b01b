"""Who may become whom, and for how long."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
import requests
from conftest import ACCOUNT, AUDIENCE, ISSUER, OPERATOR, PROVIDER, SHOP_ROLE, SHOP_SUBJECT, World, trust
from cryptography.hazmat.primitives.asymmetric import rsa
from refusals import refused

OPERATOR_ARN = f"arn:aws:iam::{ACCOUNT}:user/iamdb-operator"


def web_identity(token: str, role: str = SHOP_ROLE, **arguments: Any) -> dict[str, Any]:
    return {"RoleArn": role, "RoleSessionName": "test", "WebIdentityToken": token} | arguments


def make_role(world: World, name: str, document: dict[str, Any], **arguments: Any) -> str:
    role = world.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(document), **arguments)[
        "Role"
    ]
    return str(role["Arn"])


def test_web_identity_opens_a_session(world: World) -> None:
    answer = world.unsigned_sts().assume_role_with_web_identity(**web_identity(world.jwt()))
    assert answer["SubjectFromWebIdentityToken"] == SHOP_SUBJECT
    assert answer["Provider"] == ISSUER
    assert answer["Audience"] == AUDIENCE
    assert answer["AssumedRoleUser"]["Arn"] == f"arn:aws:sts::{ACCOUNT}:assumed-role/shop-app/test"

    credentials = answer["Credentials"]
    lifetime = credentials["Expiration"] - datetime.now(UTC)
    assert 3590 < lifetime.total_seconds() <= 3600
    key = world.auth()["keys"][credentials["AccessKeyId"]]
    assert key == {
        "secret": credentials["SecretAccessKey"],
        "sessionToken": credentials["SessionToken"],
        "principal": SHOP_ROLE,
        "expires": int(credentials["Expiration"].timestamp()),
    }


def test_session_tokens_are_long_and_unique(world: World) -> None:
    sts = world.unsigned_sts()
    tokens = {
        sts.assume_role_with_web_identity(**web_identity(world.jwt()))["Credentials"]["SessionToken"] for _ in range(3)
    }
    assert len(tokens) == 3
    assert all(900 <= len(token) <= 1200 for token in tokens)


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        ({"exp": int(time.time()) - 5}, "ExpiredTokenException"),
        ({"iss": "https://other.example"}, "InvalidIdentityToken"),
        ({"aud": ["https://kubernetes.default.svc"]}, "InvalidIdentityToken"),
        ({"nbf": int(time.time()) + 300}, "InvalidIdentityToken"),
        ({"sub": None}, "InvalidIdentityToken"),
        ({"sub": "system:serviceaccount:other:app"}, "AccessDenied"),
    ],
)
def test_tokens_with_wrong_claims_are_refused(world: World, claims: dict[str, Any], code: str) -> None:
    sts = world.unsigned_sts()
    request = web_identity(world.jwt(**claims))
    assert refused(sts.assume_role_with_web_identity, **request)[0] == code


def test_tokens_of_another_key_are_refused(world: World) -> None:
    sts = world.unsigned_sts()
    other = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    forged = world.jwt(key=other)
    assert refused(sts.assume_role_with_web_identity, **web_identity(forged)) == ("InvalidIdentityToken", 400)
    header, payload, signature = world.jwt().split(".")
    altered = ".".join([header, payload, signature[:-8] + "AAAAAAAA"])
    assert refused(sts.assume_role_with_web_identity, **web_identity(altered))[0] == "InvalidIdentityToken"


@pytest.mark.parametrize("token", ["garbage", "a.b.c"])
def test_what_is_no_token_is_refused(world: World, token: str) -> None:
    sts = world.unsigned_sts()
    assert refused(sts.assume_role_with_web_identity, **web_identity(token))[0] == "InvalidIdentityToken"


def test_web_identity_needs_a_role_that_trusts_it(world: World) -> None:
    sts = world.unsigned_sts()
    missing = f"arn:aws:iam::{ACCOUNT}:role/missing"
    request = web_identity(world.jwt(), missing)
    assert refused(sts.assume_role_with_web_identity, **request) == ("AccessDenied", 403)

    document = trust({"Federated": PROVIDER.replace("kubernetes", "other")}, "sts:AssumeRoleWithWebIdentity")
    foreign = make_role(world, "other-provider", document)
    assert refused(sts.assume_role_with_web_identity, **web_identity(world.jwt(), foreign))[0] == "AccessDenied"


def test_a_denied_subject_stays_out(world: World) -> None:
    document = trust({"Federated": PROVIDER}, "sts:AssumeRoleWithWebIdentity")
    condition = {"StringEquals": {"kubernetes.default.svc:sub": SHOP_SUBJECT}}
    document["Statement"].append(document["Statement"][0] | {"Effect": "Deny", "Condition": condition})
    role = make_role(world, "all-but-shop", document)
    sts = world.unsigned_sts()
    assert refused(sts.assume_role_with_web_identity, **web_identity(world.jwt(), role))[0] == "AccessDenied"
    sts.assume_role_with_web_identity(**web_identity(world.jwt(sub="system:serviceaccount:a:b"), role))


@pytest.mark.parametrize(
    ("number", "principal", "admitted"),
    [
        (0, {"AWS": OPERATOR_ARN}, True),
        (1, {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}, True),
        (2, {"AWS": "*"}, True),
        (3, {"AWS": [f"arn:aws:iam::{ACCOUNT}:user/world-admin"]}, False),
        (4, {"Service": "rds.amazonaws.com"}, False),
    ],
)
def test_assume_role_asks_the_trust_policy(world: World, number: int, principal: Any, admitted: bool) -> None:
    role = make_role(world, f"trust-{number}", trust(principal), Path="/team/")
    sts = world.client("sts", OPERATOR)
    if admitted:
        answer = sts.assume_role(RoleArn=role, RoleSessionName="op")
        assert answer["AssumedRoleUser"]["Arn"].endswith(f":assumed-role/trust-{number}/op")
    else:
        assert refused(sts.assume_role, RoleArn=role, RoleSessionName="op") == ("AccessDenied", 403)


def test_assume_role_needs_the_role(world: World) -> None:
    sts = world.client("sts", OPERATOR)
    role = f"arn:aws:iam::{ACCOUNT}:role/missing"
    assert refused(sts.assume_role, RoleArn=role, RoleSessionName="op") == ("AccessDenied", 403)


def test_external_id_is_compared(world: World) -> None:
    condition = {"StringEquals": {"sts:ExternalId": "right"}}
    role = make_role(world, "external", trust({"AWS": OPERATOR_ARN}, condition=condition))
    sts = world.client("sts", OPERATOR)
    sts.assume_role(RoleArn=role, RoleSessionName="op", ExternalId="right")
    for wrong in ({}, {"ExternalId": "wrong"}):
        assert refused(sts.assume_role, RoleArn=role, RoleSessionName="op", **wrong)[0] == "AccessDenied"


def test_a_session_may_assume_a_role_that_trusts_its_role(world: World) -> None:
    role = make_role(world, "chained", trust({"AWS": SHOP_ROLE}), MaxSessionDuration=7200)
    credentials = world.unsigned_sts().assume_role_with_web_identity(**web_identity(world.jwt()))["Credentials"]
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    sts = world.client("sts", tuple(credentials[name] for name in names))
    sts.assume_role(RoleArn=role, RoleSessionName="next")
    longer = {"RoleArn": role, "RoleSessionName": "next", "DurationSeconds": 7200}
    assert refused(sts.assume_role, **longer)[0] == "ValidationError"


@pytest.mark.parametrize(("seconds", "fits"), [(899, False), (900, True), (7200, True), (7201, False)])
def test_durations_are_honoured(world: World, seconds: int, fits: bool) -> None:
    role = make_role(world, f"duration-{seconds}", trust({"AWS": OPERATOR_ARN}), MaxSessionDuration=7200)
    sts = world.client("sts", OPERATOR)
    request = {"RoleArn": role, "RoleSessionName": "op", "DurationSeconds": seconds}
    if fits:
        left = sts.assume_role(**request)["Credentials"]["Expiration"] - datetime.now(UTC)
        assert seconds - 10 < left.total_seconds() <= seconds
    else:
        assert refused(sts.assume_role, **request) == ("ValidationError", 400)


@pytest.mark.parametrize("name", ["x", "no spaces", "y" * 65])
def test_session_names_are_checked(world: World, name: str) -> None:
    request = web_identity(world.jwt(), RoleSessionName=name)
    assert refused(world.unsigned_sts().assume_role_with_web_identity, **request)[0] == "ValidationError"


def test_sessions_end_with_their_role(world: World) -> None:
    role = make_role(world, "short-lived", trust({"AWS": "*"}))
    credentials = world.client("sts").assume_role(RoleArn=role, RoleSessionName="doomed")["Credentials"]
    names = ("AccessKeyId", "SecretAccessKey", "SessionToken")
    world.client("iam").delete_role(RoleName="short-lived")
    assert credentials["AccessKeyId"] not in world.auth()["keys"]
    sts = world.client("sts", tuple(credentials[name] for name in names))
    assert refused(sts.get_caller_identity)[0] == "InvalidClientTokenId"


def test_sessions_live_as_long_as_a_test_wants(world: World) -> None:
    def left() -> float:
        answer = world.unsigned_sts().assume_role_with_web_identity(**web_identity(world.jwt(), DurationSeconds=3600))
        return float((answer["Credentials"]["Expiration"] - datetime.now(UTC)).total_seconds())

    world.control("POST", "sessions", {"lives": [600, 5]})
    assert [590 < left() <= 600, left() <= 5, 590 < left() <= 600] == [True] * 3
    assert world.control("POST", "sessions", {"lives": [5], "role": "another"}) == {"given": [600, 5, 600]}
    assert left() > 3590
    assert world.control("POST", "sessions", {"lives": [5], "role": "shop-"}) == {"given": []}
    assert left() <= 5
    assert world.control("POST", "sessions", {}) == {"given": [5]}
    assert left() > 3590


@pytest.mark.parametrize("spec", [{"lives": [0]}, {"life": [5]}, {"lives": ["x"]}])
def test_lives_that_make_no_sense_are_refused(world: World, spec: dict[str, object]) -> None:
    with pytest.raises(requests.HTTPError, match="400"):
        world.control("POST", "sessions", spec)
