"""IAM's eventual consistency, where a test wants it."""

from __future__ import annotations

import time

import pytest
import requests
from conftest import World, policy
from refusals import refused

ADMIN = "arn:aws:iam::123456789012:user/world-admin"


def test_a_new_policy_is_found_late(world: World) -> None:
    iam = world.client("iam")
    old = iam.create_policy(PolicyName="known", PolicyDocument=policy("app"))["Policy"]["Arn"]
    world.control("POST", "iam", {"visible": 2})
    arn = iam.create_policy(PolicyName="too-new", PolicyDocument=policy("app"))["Policy"]["Arn"]
    assert refused(iam.get_policy, PolicyArn=arn) == ("NoSuchEntity", 404)
    assert refused(iam.attach_role_policy, PolicyArn=arn, RoleName="shop-app") == ("NoSuchEntity", 404)
    iam.get_policy(PolicyArn=old)
    time.sleep(2)
    assert iam.get_policy(PolicyArn=arn)["Policy"]["Arn"] == arn


def test_a_change_lets_somebody_in_late(world: World) -> None:
    iam = world.client("iam")
    world.control("POST", "iam", {"effective": 0.5})
    iam.put_user_policy(UserName="world-admin", PolicyName="late", PolicyDocument=policy("late"))
    assert world.auth()["policies"][ADMIN] == []
    key = iam.create_access_key(UserName="iamdb-operator")["AccessKey"]["AccessKeyId"]
    assert key in world.auth()["keys"], "only policies are late"
    deadline = time.monotonic() + 5
    while not world.auth()["policies"][ADMIN]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    world.control("POST", "iam", {})
    iam.delete_user_policy(UserName="world-admin", PolicyName="late")
    iam.delete_access_key(UserName="iamdb-operator", AccessKeyId=key)
    assert world.auth()["policies"][ADMIN] == []


@pytest.mark.parametrize("spec", [{"visible": -1}, {"invisible": 1}, {"effective": "x"}])
def test_a_spec_that_makes_no_sense_is_refused(world: World, spec: dict[str, object]) -> None:
    with pytest.raises(requests.HTTPError, match="400"):
        world.control("POST", "iam", spec)
