"""Limits and refusals of IAM, and what the plugin is told of policies."""

from __future__ import annotations

import json
from typing import Any

import pytest
from conftest import ACCOUNT, SHOP_ROLE, World, policy, trust
from refusals import refused

OPERATOR_ARN = f"arn:aws:iam::{ACCOUNT}:user/iamdb-operator"


def sized(size: int) -> str:
    """A valid document of so many characters that are not white space."""
    filled = policy("x")
    missing = size - len("".join(filled.split()))
    return policy("x" * (missing + 1))


def make_policy(world: World, name: str, document: str | None = None, **arguments: Any) -> str:
    made = world.client("iam").create_policy(PolicyName=name, PolicyDocument=document or policy("app"), **arguments)
    return str(made["Policy"]["Arn"])


def test_policy_size_is_limited_without_white_space(world: World) -> None:
    iam = world.client("iam")
    spacious = json.dumps(json.loads(sized(6144)), indent=8)
    arn = make_policy(world, "full", spacious)
    too_big = {"PolicyDocument": sized(6145)}
    assert refused(iam.create_policy, PolicyName="overfull", **too_big) == ("LimitExceeded", 409)
    assert refused(iam.create_policy_version, PolicyArn=arn, **too_big) == ("LimitExceeded", 409)


@pytest.mark.parametrize(("kind", "quota"), [("role", 10240), ("user", 2048), ("group", 5120)])
def test_inline_policies_share_a_limit(world: World, kind: str, quota: int) -> None:
    iam = world.client("iam")
    name = f"inline-{kind}"
    if kind == "role":
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust({"AWS": "*"})))
    else:
        getattr(iam, f"create_{kind}")(**{f"{kind.title()}Name": name})
    put = getattr(iam, f"put_{kind}_policy")
    entity = {f"{kind.title()}Name": name}
    put(PolicyName="a", PolicyDocument=sized(quota - 1000), **entity)
    put(PolicyName="b", PolicyDocument=sized(1000), **entity)
    put(PolicyName="b", PolicyDocument=sized(1000), **entity)
    over = {"PolicyName": "c", "PolicyDocument": policy("app")} | entity
    assert refused(put, **over) == ("LimitExceeded", 409)


@pytest.mark.parametrize(
    "document",
    [
        "not json",
        "{}",
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "rds-db:connect"}]}',
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Maybe", "Action": "*", "Resource": "*"}]}',
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "connect", "Resource": "*"}]}',
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "rds-db:connect", "Resource": "x"}]}',
    ],
)
def test_malformed_documents_are_refused(world: World, document: str) -> None:
    iam = world.client("iam")
    request = {"PolicyName": "malformed", "PolicyDocument": document}
    assert refused(iam.create_policy, **request) == ("MalformedPolicyDocument", 400)
    assert refused(iam.put_role_policy, RoleName="shop-app", **request)[0] == "MalformedPolicyDocument"


def test_malformed_trust_is_refused(world: World) -> None:
    iam = world.client("iam")
    no_principal = json.dumps(trust({"AWS": "*"})).replace("Principal", "Subject")
    for document in ("not json", no_principal):
        request = {"RoleName": "untrusted", "AssumeRolePolicyDocument": document}
        assert refused(iam.create_role, **request) == ("MalformedPolicyDocument", 400)


def test_attached_policies_are_limited_and_counted_once(world: World) -> None:
    iam = world.client("iam")
    iam.create_user(UserName="collector")
    arns = [make_policy(world, f"collected-{number}") for number in range(11)]
    for arn in arns[:10]:
        iam.attach_user_policy(UserName="collector", PolicyArn=arn)
    iam.attach_user_policy(UserName="collector", PolicyArn=arns[0])
    assert iam.get_policy(PolicyArn=arns[0])["Policy"]["AttachmentCount"] == 1
    eleventh = {"UserName": "collector", "PolicyArn": arns[10]}
    assert refused(iam.attach_user_policy, **eleventh) == ("LimitExceeded", 409)
    missing = {"UserName": "collector", "PolicyArn": arns[0] + "-missing"}
    assert refused(iam.attach_user_policy, **missing) == ("NoSuchEntity", 404)
    iam.detach_user_policy(UserName="collector", PolicyArn=arns[0])
    iam.attach_user_policy(**eleventh)


def test_attached_policies_are_not_deleted(world: World) -> None:
    iam = world.client("iam")
    arn = make_policy(world, "attached")
    iam.attach_role_policy(RoleName="shop-app", PolicyArn=arn)
    assert refused(iam.delete_policy, PolicyArn=arn) == ("DeleteConflict", 409)
    iam.detach_role_policy(RoleName="shop-app", PolicyArn=arn)
    iam.delete_policy(PolicyArn=arn)
    assert refused(iam.get_policy, PolicyArn=arn) == ("NoSuchEntity", 404)


def test_versions_are_limited_and_guard_their_policy(world: World) -> None:
    iam = world.client("iam")
    arn = make_policy(world, "versioned")
    for number in range(4):
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy(f"v{number}"), SetAsDefault=True)
    sixth = {"PolicyArn": arn, "PolicyDocument": policy("v6")}
    assert refused(iam.create_policy_version, **sixth) == ("LimitExceeded", 409)
    assert refused(iam.delete_policy, PolicyArn=arn) == ("DeleteConflict", 409)
    assert refused(iam.delete_policy_version, PolicyArn=arn, VersionId="v5") == ("DeleteConflict", 409)
    for number in range(1, 5):
        iam.delete_policy_version(PolicyArn=arn, VersionId=f"v{number}")
    iam.delete_policy(PolicyArn=arn)


def test_tags_are_kept_and_not_listed(world: World) -> None:
    iam = world.client("iam")
    tags = [{"Key": "owner", "Value": "iamdb"}, {"Key": "cluster", "Value": "one"}]
    arn = make_policy(world, "tagged", Path="/tagged/", Tags=tags)
    by_key = sorted(tags, key=lambda tag: tag["Key"])
    assert sorted(iam.get_policy(PolicyArn=arn)["Policy"]["Tags"], key=lambda tag: tag["Key"]) == by_key
    assert iam.list_policy_tags(PolicyArn=arn)["Tags"] == by_key
    listed = iam.list_policies(Scope="Local", PathPrefix="/tagged/")["Policies"]
    assert [entry["Arn"] for entry in listed] == [arn]
    assert "Tags" not in listed[0]


def test_policies_are_listed_by_path(world: World) -> None:
    iam = world.client("iam")
    arns = {make_policy(world, f"pathed-{number}", Path="/iamdb/cluster-a/") for number in range(3)}
    make_policy(world, "pathed-other", Path="/iamdb/cluster-b/")
    pages = iam.get_paginator("list_policies").paginate(
        Scope="Local", PathPrefix="/iamdb/cluster-a/", PaginationConfig={"PageSize": 2}
    )
    assert {entry["Arn"] for page in pages for entry in page["Policies"]} == arns


def test_names_are_unique_whatever_path_and_case(world: World) -> None:
    iam = world.client("iam")
    make_policy(world, "Unique", Path="/a/")
    request = {"PolicyName": "unique", "Path": "/b/", "PolicyDocument": policy("app")}
    assert refused(iam.create_policy, **request) == ("EntityAlreadyExists", 409)
    role = {"RoleName": "Shop-App", "AssumeRolePolicyDocument": json.dumps(trust({"AWS": "*"}))}
    assert refused(iam.create_role, **role) == ("EntityAlreadyExists", 409)
    assert refused(iam.create_user, UserName="World-Admin") == ("EntityAlreadyExists", 409)


def test_users_with_keys_or_groups_are_not_deleted(world: World) -> None:
    iam = world.client("iam")
    iam.create_user(UserName="leaver")
    key = iam.create_access_key(UserName="leaver")["AccessKey"]["AccessKeyId"]
    assert refused(iam.delete_user, UserName="leaver") == ("DeleteConflict", 409)
    iam.delete_access_key(UserName="leaver", AccessKeyId=key)
    iam.create_group(GroupName="leavers")
    iam.add_user_to_group(GroupName="leavers", UserName="leaver")
    assert refused(iam.delete_user, UserName="leaver") == ("DeleteConflict", 409)
    iam.remove_user_from_group(GroupName="leavers", UserName="leaver")
    iam.delete_user(UserName="leaver")


def test_the_plugin_is_told_the_effective_policies(world: World) -> None:
    iam = world.client("iam")
    user = f"arn:aws:iam::{ACCOUNT}:user/member"
    iam.create_user(UserName="member")
    iam.create_group(GroupName="members")
    iam.add_user_to_group(GroupName="members", UserName="member")
    iam.put_group_policy(GroupName="members", PolicyName="g", PolicyDocument=policy("group-inline"))
    arn = make_policy(world, "member-policy", policy("old"))
    iam.attach_group_policy(GroupName="members", PolicyArn=arn)
    iam.put_user_policy(UserName="member", PolicyName="u", PolicyDocument=policy("user-inline"))

    def users() -> set[str]:
        return {s["Resource"][0].rpartition("/")[2] for s in world.auth()["policies"][user]}

    assert users() == {"old", "group-inline", "user-inline"}
    iam.create_policy_version(PolicyArn=arn, PolicyDocument=policy("not-yet"))
    assert users() == {"old", "group-inline", "user-inline"}
    iam.set_default_policy_version(PolicyArn=arn, VersionId="v2")
    assert users() == {"not-yet", "group-inline", "user-inline"}
    iam.remove_user_from_group(GroupName="members", UserName="member")
    assert users() == {"user-inline"}


def test_conditions_reach_the_plugin(world: World) -> None:
    document = json.loads(policy("app"))
    condition = {"StringEquals": {"aws:PrincipalTag/team": "shop"}}
    document["Statement"][0]["Condition"] = condition
    iam = world.client("iam")
    iam.put_role_policy(RoleName="shop-app", PolicyName="conditional", PolicyDocument=json.dumps(document))
    assert condition in [statement.get("Condition") for statement in world.auth()["policies"][SHOP_ROLE]]
    iam.delete_role_policy(RoleName="shop-app", PolicyName="conditional")


def test_the_file_is_left_alone_when_nothing_changes(world: World) -> None:
    path = world.folder / "auth.json"
    before = path.stat()
    iam = world.client("iam")
    iam.tag_role(RoleName="shop-app", Tags=[{"Key": "team", "Value": "shop"}])
    iam.list_policies(Scope="Local")
    assert path.stat().st_ino == before.st_ino
    iam.create_user(UserName="newcomer")
    assert path.stat().st_ino != before.st_ino
