//! What an error of the SDK means. Its code goes on, its text never does: texts name principals, resources and requests.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sts::config::http::HttpResponse;
use aws_sdk_sts::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use aws_sdk_sts::operation::assume_role_with_web_identity::AssumeRoleWithWebIdentityError;

use crate::ports::{Fault, FaultKind};

/// The fault that an error is.
pub(super) fn fault<E>(operation: &'static str, error: &SdkError<E, HttpResponse>) -> Fault
where
    E: ProvideErrorMetadata + Error + 'static,
{
    if let Some(fault) = identity(operation, error) {
        return fault;
    }
    let of = |kind| Fault::new(kind, operation);
    match error {
        SdkError::ServiceError(context) => service(operation, context.err().code(), context.raw().status().as_u16()),
        SdkError::TimeoutError(_) => of(FaultKind::Unreachable).with_code("timeout"),
        SdkError::DispatchFailure(_) => of(FaultKind::Unreachable),
        SdkError::ResponseError(_) => of(FaultKind::Unreadable),
        SdkError::ConstructionFailure(_) => of(FaultKind::Other).with_code("request"),
        // The enum may grow.
        _ => of(FaultKind::Other),
    }
}

/// What AWS says does not exist is no fault.
pub(super) fn missing_is_none<T>(answer: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(fault) if fault.kind == FaultKind::Missing => Ok(None),
        Err(fault) => Err(fault),
    }
}

/// The fault that a service's answer is.
fn service(operation: &'static str, code: Option<&str>, status: u16) -> Fault {
    let kind = code.and_then(kind).unwrap_or(match status {
        429 => FaultKind::Throttled,
        401 | 403 => FaultKind::Denied,
        500.. => FaultKind::Unreachable,
        _ => FaultKind::Other,
    });
    let fault = Fault::new(kind, operation);
    match code {
        Some(code) if is_code(code) => fault.with_code(code),
        _ => fault.with_code(format!("HTTP {status}")),
    }
}

/// The fault that a failed search for credentials is.
pub(super) fn credentials(operation: &'static str, error: &CredentialsError) -> Fault {
    identity(operation, error).unwrap_or_else(|| Fault::new(FaultKind::Denied, operation))
}

#[allow(clippy::wildcard_enum_match_arm, reason = "the SDK's enum may grow")]
/// Whether the operator did not even get credentials of its own, or those that it has were refused by the service that
/// should have exchanged them. Wherever in the error that is said.
fn identity(operation: &'static str, error: &(dyn Error + 'static)) -> Option<Fault> {
    let mut denied = None;
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<CredentialsError>() {
            denied = Some(match error {
                CredentialsError::CredentialsNotLoaded(_) | CredentialsError::InvalidConfiguration(_) => {
                    Fault::new(FaultKind::Denied, operation).with_code("no-credentials")
                }
                _ => Fault::new(FaultKind::Unreachable, operation).with_code("no-credentials"),
            });
        }
        if let (Some(_), Some(error)) = (&denied, error.downcast_ref::<AssumeRoleError>()) {
            let fault = service(operation, error.code(), 403);
            let is_denied = fault.kind == FaultKind::Denied;
            return Some(if is_denied { Fault { kind: FaultKind::IdentityDenied, ..fault } } else { fault });
        }
        if let (Some(_), Some(error)) = (&denied, error.downcast_ref::<AssumeRoleWithWebIdentityError>()) {
            return Some(service(operation, error.code(), 403));
        }
        next = error.source();
    }
    denied
}

/// Codes are words. What is none does not get into a fault.
fn is_code(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.')
}

fn kind(code: &str) -> Option<FaultKind> {
    // RDS says `DBInstanceNotFound`, its model `DBInstanceNotFoundFault`; other services like `Exception`.
    let stem = code.strip_suffix("Exception").or_else(|| code.strip_suffix("Fault")).unwrap_or(code);
    Some(match stem {
        "Throttling"
        | "Throttled"
        | "ThrottledRequest"
        | "RequestLimitExceeded"
        | "TooManyRequests"
        | "RequestThrottled"
        | "BandwidthLimitExceeded"
        | "PriorRequestNotComplete"
        | "SlowDown" => FaultKind::Throttled,
        "AccessDenied"
        | "UnauthorizedOperation"
        | "AuthFailure"
        | "ExpiredToken"
        | "InvalidClientTokenId"
        | "UnrecognizedClient"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "MissingAuthenticationToken"
        | "RequestExpired"
        | "OptInRequired"
        | "RegionDisabled"
        | "InvalidIdentityToken"
        | "IDPRejectedClaim"
        | "NotAuthorized" => FaultKind::Denied,
        "NoSuchEntity"
        | "DBInstanceNotFound"
        | "DBClusterNotFound"
        | "DBProxyNotFound"
        | "BlueGreenDeploymentNotFound"
        | "ResourceNotFound" => FaultKind::Missing,
        "EntityAlreadyExists"
        | "DeleteConflict"
        | "ConcurrentModification"
        | "EntityTemporarilyUnmodifiable"
        | "InvalidDBInstanceState"
        | "InvalidDBClusterState" => FaultKind::Conflict,
        "UnmodifiableEntity" => FaultKind::Unmodifiable,
        "LimitExceeded" => FaultKind::Quota,
        "InternalFailure"
        | "InternalError"
        | "InternalService"
        | "InternalServiceError"
        | "ServiceFailure"
        | "ServiceUnavailable"
        | "IDPCommunicationError"
        | "RequestTimeout" => FaultKind::Unreachable,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_classed_with_and_without_their_suffix() {
        for (code, expected) in [
            ("Throttling", FaultKind::Throttled),
            ("ThrottlingException", FaultKind::Throttled),
            ("RequestLimitExceeded", FaultKind::Throttled),
            ("TooManyRequestsException", FaultKind::Throttled),
            ("AccessDenied", FaultKind::Denied),
            ("AccessDeniedException", FaultKind::Denied),
            ("ExpiredTokenException", FaultKind::Denied),
            ("InvalidClientTokenId", FaultKind::Denied),
            ("InvalidIdentityToken", FaultKind::Denied),
            ("NoSuchEntity", FaultKind::Missing),
            ("DBInstanceNotFound", FaultKind::Missing),
            ("DBInstanceNotFoundFault", FaultKind::Missing),
            ("ResourceNotFoundException", FaultKind::Missing),
            ("DBProxyNotFoundFault", FaultKind::Missing),
            ("InvalidDBClusterStateFault", FaultKind::Conflict),
            ("EntityAlreadyExists", FaultKind::Conflict),
            ("DeleteConflict", FaultKind::Conflict),
            ("ConcurrentModification", FaultKind::Conflict),
            ("UnmodifiableEntity", FaultKind::Unmodifiable),
            ("ServiceUnavailable", FaultKind::Unreachable),
            ("LimitExceeded", FaultKind::Quota),
            ("LimitExceededException", FaultKind::Quota),
        ] {
            let fault = service("try", Some(code), 400);
            assert_eq!((fault.kind, fault.code.as_deref()), (expected, Some(code)));
        }
    }

    #[test]
    fn without_a_code_the_status_tells() {
        for (status, expected) in [
            (429, FaultKind::Throttled),
            (403, FaultKind::Denied),
            (503, FaultKind::Unreachable),
            (400, FaultKind::Other),
        ] {
            let fault = service("try", None, status);
            assert_eq!((fault.kind, fault.code), (expected, Some(format!("HTTP {status}"))));
        }
    }

    #[test]
    fn a_code_that_is_no_word_does_not_get_through() {
        let fault = service("try", Some("arn:aws:iam::1:role/canary was denied"), 403);
        assert_eq!((fault.kind, fault.code.as_deref()), (FaultKind::Denied, Some("HTTP 403")));
    }

    #[test]
    fn missing_credentials_are_no_network_fault() {
        type NoError = SdkError<AssumeRoleWithWebIdentityError, HttpResponse>;
        let error = NoError::construction_failure(CredentialsError::not_loaded("canary"));
        let fault = fault("try", &error);
        assert_eq!((fault.kind, fault.code.as_deref()), (FaultKind::Denied, Some("no-credentials")));
        let error = NoError::timeout_error("canary");
        assert_eq!(super::fault("try", &error).kind, FaultKind::Unreachable);
    }

    #[test]
    fn a_role_that_may_not_be_assumed_is_told_apart_from_a_missing_right() {
        type NoError = SdkError<AssumeRoleError, HttpResponse>;
        let denied = aws_sdk_sts::error::ErrorMetadata::builder().code("AccessDenied").message("canary").build();
        let denied = CredentialsError::provider_error(AssumeRoleError::generic(denied));
        let fault = fault("try", &NoError::construction_failure(denied));
        assert_eq!((fault.kind, fault.code.as_deref()), (FaultKind::IdentityDenied, Some("AccessDenied")));
        let throttled = aws_sdk_sts::error::ErrorMetadata::builder().code("Throttling").build();
        let throttled = CredentialsError::provider_error(AssumeRoleError::generic(throttled));
        assert_eq!(credentials("try", &throttled).kind, FaultKind::Throttled);
        assert_eq!(credentials("try", &CredentialsError::not_loaded("canary")).kind, FaultKind::Denied);
    }
}
