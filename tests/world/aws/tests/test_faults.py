"""Faults that tests arm."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
import requests
from conftest import World, policy
from refusals import refused


def test_a_fault_fails_the_next_calls_only(world: World) -> None:
    iam = world.client("iam")
    world.control("POST", "faults", {"service": "iam", "action": "ListUsers", "code": "Throttling", "times": 2})
    assert refused(iam.list_users) == ("Throttling", 400)
    iam.list_roles()
    assert refused(iam.list_users) == ("Throttling", 400)
    iam.list_users()


@pytest.mark.parametrize(
    ("service", "action", "method"),
    [
        ("rds", "DescribeDBInstances", "describe_db_instances"),
        ("sts", "GetCallerIdentity", "get_caller_identity"),
        ("secretsmanager", "ListSecrets", "list_secrets"),
    ],
)
def test_faults_speak_the_protocol_of_their_service(world: World, service: str, action: str, method: str) -> None:
    fault = {"service": service, "action": action, "code": "ServiceUnavailable", "status": 503}
    world.control("POST", "faults", fault)
    assert refused(getattr(world.client(service), method)) == ("ServiceUnavailable", 503)


def test_a_failed_call_has_no_effect(world: World) -> None:
    iam = world.client("iam")
    world.control("POST", "faults", {"service": "iam", "action": "CreateUser", "code": "ServiceFailure", "status": 500})
    assert refused(iam.create_user, UserName="never") == ("ServiceFailure", 500)
    assert refused(iam.get_user, UserName="never") == ("NoSuchEntity", 404)


def test_unsigned_calls_meet_faults(world: World) -> None:
    fault = {"service": "sts", "action": "AssumeRoleWithWebIdentity", "code": "IDPCommunicationError"}
    world.control("POST", "faults", fault)
    request = {"RoleArn": "arn:aws:iam::123456789012:role/shop-app", "RoleSessionName": "x", "WebIdentityToken": "xxxx"}
    assert refused(world.unsigned_sts().assume_role_with_web_identity, **request)[0] == "IDPCommunicationError"


def test_a_delay_is_waited_for_while_others_are_answered(world: World) -> None:
    world.control("POST", "faults", {"service": "iam", "action": "ListUsers", "delay": 1})
    took: list[float] = []

    def slow() -> None:
        began = time.monotonic()
        world.client("iam").list_users()
        took.append(time.monotonic() - began)

    thread = threading.Thread(target=slow)
    thread.start()
    began = time.monotonic()
    world.client("rds").describe_db_instances(DBInstanceIdentifier="orders")
    assert time.monotonic() - began < 0.9
    thread.join()
    assert took[0] >= 1


def test_a_held_reply_waits_for_its_release(world: World) -> None:
    world.control("POST", "faults", {"service": "iam", "action": "CreatePolicy", "hold": "reply"})
    answers: list[Any] = []
    client = world.client("iam")
    thread = threading.Thread(
        target=lambda: answers.append(client.create_policy(PolicyName="held", PolicyDocument=policy("app")))
    )
    thread.start()
    arn = "arn:aws:iam::123456789012:policy/held"
    deadline = time.monotonic() + 5
    while not world.control("GET", "faults")["held"]:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    while world.log()[-1]["action"] != "CreatePolicy":
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert world.client("iam").get_policy(PolicyArn=arn)["Policy"]["PolicyName"] == "held"
    assert not answers
    state = world.control("DELETE", "faults")
    assert [entry["action"] for entry in state["held"]] == ["CreatePolicy"]
    thread.join(timeout=5)
    assert answers[0]["Policy"]["Arn"] == arn


def test_what_is_armed_and_fired_is_told(world: World) -> None:
    world.control("POST", "faults", {"service": "iam", "action": "ListUsers", "code": "Throttling", "times": 3})
    refused(world.client("iam").list_users)
    state = world.control("GET", "faults")
    assert [(fault["action"], fault["times"]) for fault in state["armed"]] == [("ListUsers", 2)]
    assert [fired["action"] for fired in state["fired"]] == ["ListUsers"]
    world.control("DELETE", "faults")
    world.client("iam").list_users()
    assert world.control("GET", "faults") == {"armed": [], "fired": [], "held": []}


@pytest.mark.parametrize(
    "fault",
    [
        {},
        {"service": "iam"},
        {"code": "X", "hold": "reply"},
        {"hold": "request"},
        {"cod": "X"},
        {"code": "X", "times": 0},
    ],
)
def test_faults_that_make_no_sense_are_refused(world: World, fault: dict[str, Any]) -> None:
    answer = requests.post(f"{world.url}/_world/faults", json=fault, timeout=5)
    assert answer.status_code == 400
    assert answer.json()["error"]
