"""The launcher as a process: it starts, says so, and stops."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from botocore.exceptions import BotoCoreError
from conftest import PACKAGE_ROOT, World, free_port

from world_aws import config


def test_is_ready(world: World) -> None:
    assert world.control("GET", "ready") == {"ready": True}
    assert requests.get(f"{world.url}/_world/nothing", timeout=5).status_code == 404


def test_ends_cleanly_although_a_reply_is_held(start: Callable[[int], World]) -> None:
    world = start(free_port())
    world.control("POST", "faults", {"service": "iam", "action": "ListUsers", "hold": "reply"})

    def call() -> None:
        try:
            world.client("iam").list_users()
        except BotoCoreError:
            return  # the launcher is gone before it answers, or answers before it is gone

    caller = threading.Thread(target=call)
    caller.start()
    while not world.control("GET", "faults")["held"]:
        time.sleep(0.02)
    world.process.terminate()
    assert world.process.wait(timeout=20) == 0
    caller.join(timeout=20)
    assert not caller.is_alive()


@pytest.mark.parametrize("address", ["0.0.0.0:5000", "192.0.2.1:5000"])
def test_listens_on_loopback_only(world: World, tmp_path: Path, address: str) -> None:
    document = json.loads((world.folder / "aws.json").read_text())
    path = tmp_path / "aws.json"
    path.write_text(json.dumps(document | {"listen": address}))
    with pytest.raises(ValueError, match="loopback"):
        config.load(path)
    done = subprocess.run(
        [sys.executable, "-m", "world_aws", "--config", str(path)],
        env={**os.environ, "PYTHONPATH": str(PACKAGE_ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    assert "loopback" in done.stderr
