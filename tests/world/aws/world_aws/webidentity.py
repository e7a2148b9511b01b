"""Verifies the tokens of the cluster's ServiceAccounts, with the answers that STS gives."""

from __future__ import annotations

import time
from dataclasses import dataclass

import jwt

from .config import Oidc
from .errors import AwsError


@dataclass(frozen=True)
class WebIdentity:
    """What a verified token says."""

    issuer: str
    subject: str
    audiences: tuple[str, ...]

    @property
    def provider(self) -> str:
        """The issuer as IAM names it: without the scheme."""
        return self.issuer.partition("://")[2]


def verify(token: str, oidc: Oidc) -> WebIdentity:
    """Check signature, issuer and lifetime. Whether the audience is wanted is the OIDC provider's to say."""
    issuer = _unverified_issuer(token)
    if issuer != oidc.issuer:
        raise invalid(f"No OpenIDConnect provider found in your account for {issuer}")
    try:
        claims = jwt.decode(
            token,
            # Read each time: a test may rotate the issuer's key.
            oidc.public_key.read_text(encoding="ascii"),
            algorithms=["RS256"],
            issuer=oidc.issuer,
            options={"require": ["exp", "iat", "iss", "sub", "aud"], "verify_aud": False},
        )
    except jwt.ExpiredSignatureError as error:
        raise AwsError(
            "ExpiredTokenException",
            f"Token expired: current date/time {int(time.time())} must be before the expiration date/time",
        ) from error
    except jwt.InvalidSignatureError as error:
        raise invalid("Couldn't verify the token's signature with the provider's keys") from error
    except jwt.PyJWTError as error:
        raise invalid(f"The ID Token provided could not be validated: {error}") from error
    audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    return WebIdentity(issuer, claims["sub"], tuple(audiences))


def invalid(message: str) -> AwsError:
    """The answer to a token that proves nothing."""
    return AwsError("InvalidIdentityToken", message)


def _unverified_issuer(token: str) -> str:
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise invalid("The ID Token provided is not a valid JWT") from error
    return str(claims.get("iss"))
