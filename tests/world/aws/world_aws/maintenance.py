"""RDS: DescribePendingMaintenanceActions, which moto has no answer to."""

from __future__ import annotations

from typing import Any

from moto.core.responses import ActionResult
from moto.rds.models import DBInstance
from moto.rds.responses import RDSResponse

from .patching import answer

# Attribute that we keep on moto's instances.
ACTIONS = "world_maintenance_actions"


def announce(instance: DBInstance, actions: list[str]) -> None:
    """Have actions such as `system-update` wait for an instance; an empty list takes them away."""
    instance.__dict__[ACTIONS] = actions


def install() -> None:
    """Answer the call; only instances have actions."""

    def describe(self: RDSResponse) -> ActionResult:
        wanted = self.params.get("ResourceIdentifier")
        told = [
            {"ResourceIdentifier": instance.db_instance_arn, "PendingMaintenanceActionDetails": _details(instance)}
            for instance in self.backend.databases.values()
            if instance.__dict__.get(ACTIONS) and wanted in (None, instance.db_instance_arn)
        ]
        return ActionResult({"PendingMaintenanceActions": told})

    answer(RDSResponse, describe_pending_maintenance_actions=describe)


def _details(instance: DBInstance) -> list[dict[str, Any]]:
    return [
        {"Action": action, "Description": f"The test world wants {action}", "OptInStatus": "pending"}
        for action in instance.__dict__[ACTIONS]
    ]
