"""The published CA certificates."""

from __future__ import annotations

import json

import pytest
import requests
from conftest import World


@pytest.mark.parametrize("path", ["us-east-1/us-east-1-bundle.pem", "global/global-bundle.pem"])
def test_bundles_are_there_for_everybody(world: World, path: str) -> None:
    answer = requests.get(f"{world.url}/{path}", timeout=5)
    assert answer.status_code == 200
    assert answer.content == (world.folder / "ca.crt").read_bytes()
    assert (world.log()[-1]["service"], world.log()[-1]["action"]) == ("truststore", "GetBundle")


def test_other_regions_have_none_here(world: World) -> None:
    for path in ("eu-west-1/eu-west-1-bundle.pem", "eu-west-1/us-east-1-bundle.pem", "us-east-1/other.pem"):
        assert requests.get(f"{world.url}/{path}", timeout=5).status_code == 403, path


def test_what_has_not_changed_is_not_sent_again(world: World) -> None:
    url = f"{world.url}/global/global-bundle.pem"
    tag = requests.get(url, timeout=5).headers["ETag"]
    again = requests.get(url, headers={"If-None-Match": tag}, timeout=5)
    assert (again.status_code, again.content) == (304, b"")
    world.control("POST", "truststore", {"pem": "another"})
    changed = requests.get(url, headers={"If-None-Match": tag}, timeout=5)
    assert (changed.status_code, changed.text) == (200, "another")
    assert changed.headers["ETag"] != tag


def test_bundles_are_served_over_https_too(world: World) -> None:
    address = json.loads((world.folder / "aws.json").read_text())["trustStore"]["listen"]
    answer = requests.get(f"https://{address}/global/global-bundle.pem", verify=str(world.folder / "ca.crt"), timeout=5)
    assert answer.content == (world.folder / "ca.crt").read_bytes()


def test_the_trust_store_meets_faults(world: World) -> None:
    fault = {"service": "truststore", "action": "GetBundle", "code": "SlowDown", "status": 503}
    world.control("POST", "faults", fault)
    url = f"{world.url}/global/global-bundle.pem"
    assert [requests.get(url, timeout=5).status_code for _ in range(2)] == [503, 200]
