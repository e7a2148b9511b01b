"""IAM's eventual consistency, which a test can turn on: what was just made is not known everywhere yet."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from moto.iam.models import IAMBackend

from .errors import AwsError
from .patching import Method, around

# The calls that name a policy by its ARN, which is their first argument.
BY_ARN = (
    "get_policy",
    "get_policy_version",
    "list_policy_versions",
    "list_policy_tags",
    "tag_policy",
    "create_policy_version",
    "attach_role_policy",
    "attach_user_policy",
    "attach_group_policy",
)


class Propagation:
    """How many seconds it takes until a new policy is found, and until a change of policies lets somebody in or out."""

    def __init__(self) -> None:
        self.visible = 0.0
        self.effective = 0.0
        self._found_from: dict[str, float] = {}

    def set(self, spec: Mapping[str, Any]) -> dict[str, float]:
        """Take both numbers; what is left out is at once."""
        unknown = set(spec) - {"visible", "effective"}
        if unknown:
            raise ValueError(f"unknown: {', '.join(sorted(unknown))}")
        visible, effective = float(spec.get("visible", 0)), float(spec.get("effective", 0))
        if visible < 0 or effective < 0:
            raise ValueError("seconds are at least 0")
        self.visible, self.effective = visible, effective
        return {"visible": visible, "effective": effective}

    def note(self, arn: str) -> None:
        """A policy was made."""
        self._found_from[arn] = time.monotonic() + self.visible

    def hides(self, arn: str) -> bool:
        """Whether a policy is too new to be found."""
        return time.monotonic() < self._found_from.get(arn, 0)


def install(propagation: Propagation) -> None:
    """Let the policies of moto, which knows all at once, be found late."""

    @around(IAMBackend, "create_policy")
    def create(original: Method, self: IAMBackend, *args: Any, **kwargs: Any) -> Any:
        policy = original(self, *args, **kwargs)
        propagation.note(policy.arn)
        return policy

    def find_late(name: str) -> None:
        @around(IAMBackend, name)
        def patched(original: Method, self: IAMBackend, policy_arn: str, *args: Any, **kwargs: Any) -> Any:
            if propagation.hides(policy_arn):
                raise AwsError("NoSuchEntity", f"Policy {policy_arn} does not exist or is not attachable.", 404)
            return original(self, policy_arn, *args, **kwargs)

    for name in BY_ARN:
        find_late(name)
