"""What moto's IAM accepts and AWS's does not."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from moto.iam.models import Group, IAMBackend, Role, User
from moto.iam.policy_validation import IAMTrustPolicyDocumentValidator

from .errors import AwsError
from .patching import Method, around

POLICY_SIZE = 6144
TRUST_SIZE = 2048
SESSION_SECONDS = (3600, 43200)


def install() -> None:
    """Close the gaps; each function below names the ones it closes."""
    _limit_policy_sizes()
    _limit_attachments()
    _guard_deletions()
    _make_names_unique()
    _check_roles()


def _limit_policy_sizes() -> None:
    """moto takes documents of any size; AWS counts every character that is not white space."""

    @around(IAMBackend, "create_policy")
    def create_policy(
        original: Method,
        self: IAMBackend,
        description: str,
        path: str,
        policy_document: str,
        policy_name: str,
        tags: list[dict[str, str]],
    ) -> Any:
        _check_size(policy_document, POLICY_SIZE, "PolicySize")
        return original(self, description, path, policy_document, policy_name, tags)

    @around(IAMBackend, "create_policy_version")
    def create_policy_version(
        original: Method, self: IAMBackend, policy_arn: str, policy_document: str, set_as_default: bool
    ) -> Any:
        _check_size(policy_document, POLICY_SIZE, "PolicySize")
        return original(self, policy_arn, policy_document, set_as_default)

    for kind, quota in (("role", 10240), ("user", 2048), ("group", 5120)):
        _limit_inline_total(kind, quota)


def _limit_inline_total(kind: str, quota: int) -> None:
    """moto does not add up a principal's inline policies."""

    @around(IAMBackend, f"put_{kind}_policy")
    def put_policy(original: Method, self: IAMBackend, name: str, policy_name: str, policy_json: str) -> Any:
        entity = getattr(self, f"get_{kind}")(name)
        others = [document for other, document in entity.policies.items() if other != policy_name]
        if sum(map(_size, [*others, policy_json])) > quota:
            raise _limit(f"Maximum policy size of {quota} bytes exceeded for {kind} {name}")
        return original(self, name, policy_name, policy_json)


def _limit_attachments() -> None:
    """moto attaches without limit, and counts a policy twice that is attached twice."""

    def limit(kind: str) -> None:
        @around(IAMBackend, f"attach_{kind}_policy")
        def attach(original: Method, self: IAMBackend, policy_arn: str, name: str) -> Any:
            attached = getattr(self, f"get_{kind}")(name).managed_policies
            if policy_arn in attached:
                return None
            quota = self.get_account_summary().summary_map[f"AttachedPoliciesPer{kind.title()}Quota"]
            if policy_arn in self.managed_policies and len(attached) >= quota:
                raise _limit(f"Cannot exceed quota for PoliciesPer{kind.title()}: {quota}")
            return original(self, policy_arn, name)

    for kind in ("role", "user", "group"):
        limit(kind)


def _guard_deletions() -> None:
    """moto deletes policies that are attached or have more versions, and users that have keys or groups."""

    @around(IAMBackend, "delete_policy")
    def delete_policy(original: Method, self: IAMBackend, policy_arn: str) -> Any:
        policy = self.get_policy(policy_arn)
        if any(policy_arn in entity.managed_policies for entity in _entities(self)):
            raise _conflict("Cannot delete a policy attached to entities.")
        if len(policy.versions) > 1:
            raise _conflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's "
                "versions. The default version is deleted with the policy."
            )
        return original(self, policy_arn)

    @around(IAMBackend, "delete_user")
    def delete_user(original: Method, self: IAMBackend, user_name: str) -> Any:
        user = self.get_user(user_name)
        if user.access_keys:
            raise _conflict("Cannot delete entity, must delete access keys first.")
        if self.get_groups_for_user(user_name):
            raise _conflict("Cannot delete entity, must remove users from group first.")
        return original(self, user_name)


def _make_names_unique() -> None:
    """moto compares ARNs, exactly; in AWS a name is unique in the account whatever its path and case."""

    @around(IAMBackend, "create_policy")
    def create_policy(
        original: Method,
        self: IAMBackend,
        description: str,
        path: str,
        policy_document: str,
        policy_name: str,
        tags: list[dict[str, str]],
    ) -> Any:
        own = (policy.name for arn, policy in self.managed_policies.items() if ":iam::aws:" not in arn)
        _check_free(policy_name, own, "A policy called {} already exists. Duplicate names are not allowed.")
        return original(self, description, path, policy_document, policy_name, tags)

    @around(IAMBackend, "create_role")
    def create_role(original: Method, self: IAMBackend, role_name: str, *args: Any, **kwargs: Any) -> Any:
        _check_free(role_name, (role.name for role in self.roles.values()), "Role with name {} already exists.")
        return original(self, role_name, *args, **kwargs)

    @around(IAMBackend, "create_user")
    def create_user(
        original: Method, self: IAMBackend, region_name: str, user_name: str, *args: Any, **kwargs: Any
    ) -> Any:
        _check_free(user_name, self.users, "User with name {} already exists.")
        return original(self, region_name, user_name, *args, **kwargs)


def _check_roles() -> None:
    """moto takes any text as a new role's trust policy, and any session duration."""

    @around(IAMBackend, "create_role")
    def create_role(
        original: Method,
        self: IAMBackend,
        role_name: str,
        assume_role_policy_document: str,
        path: str,
        permissions_boundary: str | None,
        description: str,
        tags: list[dict[str, str]],
        max_session_duration: Any,
    ) -> Any:
        _check_size(assume_role_policy_document, TRUST_SIZE, "ACLSizePerRole")
        IAMTrustPolicyDocumentValidator(assume_role_policy_document).validate()
        seconds = _session_seconds(max_session_duration)
        return original(
            self, role_name, assume_role_policy_document, path, permissions_boundary, description, tags, seconds
        )

    @around(IAMBackend, "update_role")
    def update_role(
        original: Method, self: IAMBackend, role_name: str, role_description: str, max_session_duration: Any
    ) -> Any:
        current = self.get_role(role_name).max_session_duration
        seconds = _session_seconds(max_session_duration or current)
        return original(self, role_name, role_description, seconds)

    @around(IAMBackend, "update_assume_role_policy")
    def update_assume_role_policy(original: Method, self: IAMBackend, role_name: str, policy_document: str) -> Any:
        _check_size(policy_document, TRUST_SIZE, "ACLSizePerRole")
        return original(self, role_name, policy_document)


def _entities(backend: IAMBackend) -> Iterable[Role | User | Group]:
    return [*backend.roles.values(), *backend.users.values(), *backend.groups.values()]


def _session_seconds(value: Any) -> int:
    seconds = int(value or SESSION_SECONDS[0])
    if not SESSION_SECONDS[0] <= seconds <= SESSION_SECONDS[1]:
        raise AwsError("ValidationError", f"Value '{seconds}' at 'maxSessionDuration' failed to satisfy constraint")
    return seconds


def _size(document: str) -> int:
    return len("".join(document.split()))


def _check_size(document: str, quota: int, name: str) -> None:
    if _size(document) > quota:
        raise _limit(f"Cannot exceed quota for {name}: {quota}")


def _check_free(name: str, taken: Iterable[str], message: str) -> None:
    if name.lower() in {other.lower() for other in taken}:
        raise AwsError("EntityAlreadyExists", message.format(name), 409)


def _limit(message: str) -> AwsError:
    return AwsError("LimitExceeded", message, 409)


def _conflict(message: str) -> AwsError:
    return AwsError("DeleteConflict", message, 409)


@lru_cache(maxsize=8192)
def statements(document: str) -> tuple[dict[str, Any], ...]:
    """A policy document's statements, even if there is only one; kept, because each change asks for all of them."""
    found = json.loads(document)["Statement"]
    return tuple(found) if isinstance(found, list) else (found,)
