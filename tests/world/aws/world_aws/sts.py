"""STS: moto lets anybody assume any role with any token; here the token, the role and its trust policy are checked."""

from __future__ import annotations

import re
from typing import Any

from moto.core.responses import ActionResult
from moto.iam.models import IAMBackend, Role
from moto.sts.responses import TokenResponse

from . import trust, webidentity
from .callers import Caller, current_caller
from .config import Config
from .errors import AwsError
from .patching import answer
from .sessions import Session, Sessions
from .webidentity import WebIdentity

SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}")
SHORTEST_SECONDS = 900
LONGEST_CHAINED_SECONDS = 3600
DEFAULT_SECONDS = 3600


class Sts:
    """Decides who becomes whom; moto only parses the request and writes the answer."""

    def __init__(self, config: Config, iam: IAMBackend, sessions: Sessions) -> None:
        self._config = config
        self._iam = iam
        self._sessions = sessions

    def assume_role(
        self, caller: Caller, *, role_arn: str, session_name: str, seconds: int | None, external_id: str | None
    ) -> Session:
        """AssumeRole: the trust policy must name the caller, its role or its account."""
        role = self._find(role_arn)
        if role is None or not self._trusts_caller(role, caller, session_name, external_id):
            raise AwsError(
                "AccessDenied",
                f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: {role_arn}",
                403,
            )
        if caller.role_arn is not None and (seconds or 0) > LONGEST_CHAINED_SECONDS:
            raise _validation(
                "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"
            )
        return self._open(role, session_name, seconds)

    def assume_role_with_web_identity(
        self, *, token: str, role_arn: str, session_name: str, seconds: int | None
    ) -> tuple[Session, WebIdentity]:
        """AssumeRoleWithWebIdentity: the token is the proof, the OIDC provider and the trust policy the permission."""
        identity = webidentity.verify(token, self._config.oidc)
        provider_arn = f"arn:{self._config.partition}:iam::{self._config.account}:oidc-provider/{identity.provider}"
        provider = self._iam.open_id_providers.get(provider_arn)
        if provider is None:
            raise webidentity.invalid(f"No OpenIDConnect provider found in your account for {identity.issuer}")
        if not set(identity.audiences) & set(provider.client_id_list):
            raise webidentity.invalid("Incorrect token audience")
        principal = trust.Principal(
            "Federated",
            frozenset({provider_arn}),
            {
                f"{identity.provider}:sub": (identity.subject,),
                f"{identity.provider}:aud": identity.audiences,
                "sts:RoleSessionName": (session_name,),
            },
        )
        role = self._find(role_arn)
        if role is None or not trust.admits(
            role.assume_role_policy_document, "sts:AssumeRoleWithWebIdentity", principal
        ):
            raise AwsError("AccessDenied", "Not authorized to perform sts:AssumeRoleWithWebIdentity", 403)
        return self._open(role, session_name, seconds), identity

    def _trusts_caller(self, role: Role, caller: Caller, session_name: str, external_id: str | None) -> bool:
        account = self._config.account
        root = f"arn:{self._config.partition}:iam::{account}:root"
        names = {caller.arn, caller.role_arn or caller.arn, root, account}
        context = {"aws:PrincipalArn": (caller.role_arn or caller.arn,), "sts:RoleSessionName": (session_name,)}
        if external_id is not None:
            context["sts:ExternalId"] = (external_id,)
        principal = trust.Principal("AWS", frozenset(names), context)
        return trust.admits(role.assume_role_policy_document, "sts:AssumeRole", principal)

    def _find(self, role_arn: str) -> Role | None:
        return next((role for role in self._iam.roles.values() if role.arn == role_arn), None)

    def _open(self, role: Role, session_name: str, seconds: int | None) -> Session:
        if not SESSION_NAME.fullmatch(session_name):
            raise _validation(f"Value '{session_name}' at 'roleSessionName' failed to satisfy constraint")
        wanted = DEFAULT_SECONDS if seconds is None else seconds
        if wanted < SHORTEST_SECONDS:
            raise _validation(
                f"Value '{wanted}' at 'durationSeconds' failed to satisfy constraint: "
                f"Member must have value greater than or equal to {SHORTEST_SECONDS}"
            )
        if wanted > int(role.max_session_duration or DEFAULT_SECONDS):
            raise _validation("The requested DurationSeconds exceeds the MaxSessionDuration set for this role.")
        return self._sessions.open(role_arn=role.arn, role_id=role.id, name=session_name, seconds=wanted)


def install(sts: Sts, account: str) -> None:
    """Put our decisions behind moto's request handlers."""

    def assume_role(self: TokenResponse) -> ActionResult:
        session = sts.assume_role(
            current_caller(),
            role_arn=self._get_param("RoleArn", ""),
            session_name=self._get_param("RoleSessionName", ""),
            seconds=self._get_int_param("DurationSeconds"),
            external_id=self._get_param("ExternalId"),
        )
        return ActionResult(_credentials(session))

    def assume_role_with_web_identity(self: TokenResponse) -> ActionResult:
        session, identity = sts.assume_role_with_web_identity(
            token=self._get_param("WebIdentityToken", ""),
            role_arn=self._get_param("RoleArn", ""),
            session_name=self._get_param("RoleSessionName", ""),
            seconds=self._get_int_param("DurationSeconds"),
        )
        return ActionResult(
            _credentials(session)
            | {
                "SubjectFromWebIdentityToken": identity.subject,
                "Audience": identity.audiences[0],
                "Provider": identity.issuer,
            }
        )

    def get_caller_identity(self: TokenResponse) -> ActionResult:  # noqa: ARG001
        caller = current_caller()
        return ActionResult({"UserId": caller.user_id, "Account": account, "Arn": caller.arn})

    # moto's own answers for these are constants whose keys nothing knows: a login with them would be refused and not say why.
    def only_roles(self: TokenResponse) -> ActionResult:
        raise AwsError("InvalidAction", "only roles have sessions in the test world")

    answer(
        TokenResponse,
        assume_role=assume_role,
        assume_role_with_web_identity=assume_role_with_web_identity,
        get_caller_identity=get_caller_identity,
        get_session_token=only_roles,
        get_federation_token=only_roles,
        assume_role_with_saml=only_roles,
    )


def _credentials(session: Session) -> dict[str, Any]:
    return {
        "Credentials": {
            "AccessKeyId": session.access_key_id,
            "SecretAccessKey": session.secret_access_key,
            "SessionToken": session.session_token,
            "Expiration": session.expiration,
        },
        "AssumedRoleUser": {"AssumedRoleId": session.user_id, "Arn": session.arn},
        "PackedPolicySize": 6,
    }


def _validation(message: str) -> AwsError:
    return AwsError("ValidationError", message)
