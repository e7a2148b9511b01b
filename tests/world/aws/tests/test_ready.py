"""The launcher starts, says so, and stops."""

from __future__ import annotations

from conftest import World


def test_is_ready(world: World) -> None:
    assert world.control("GET", "ready") == {"ready": True}
