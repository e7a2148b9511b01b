//! Calls to the apiserver: how long each may take, and what comes of one that fails.

use std::time::Duration;

/// Field manager of everything that is applied.
pub const FIELD_MANAGER: &str = "iamdb-operator";

/// No call to the apiserver takes longer. kube itself retries for minutes and has no read timeout.
pub const CALL_DEADLINE: Duration = Duration::from_secs(10);

/// The apiserver did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// It did not answer in time.
    #[error("{operation}: the apiserver did not answer in time")]
    Deadline {
        /// What was attempted.
        operation: &'static str,
    },
    /// It refused.
    #[error("{operation}{}", code_of(source).map(|code| format!(" (HTTP {code})")).unwrap_or_default())]
    Refused {
        /// What was attempted.
        operation: &'static str,
        /// Its answer.
        source: Box<kube::Error>,
    },
}

impl CallError {
    /// The HTTP status of the answer, if there was one.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match self {
            Self::Refused { source, .. } => code_of(source),
            Self::Deadline { .. } => None,
        }
    }

    /// For how long the apiserver asks not to be asked again.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let Self::Refused { source, .. } = self else { return None };
        let kube::Error::Api(status) = source.as_ref() else { return None };
        let seconds = status.details.as_ref().map_or(0, |details| details.retry_after_seconds);
        (seconds > 0).then(|| Duration::from_secs(seconds.into()))
    }
}

const fn code_of(error: &kube::Error) -> Option<u16> {
    if let kube::Error::Api(status) = error { Some(status.code) } else { None }
}

/// Runs a call to the apiserver under the deadline.
pub async fn call<T>(
    operation: &'static str,
    future: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, CallError> {
    within(CALL_DEADLINE, operation, future).await
}

/// Runs a call to the apiserver under a deadline of its own.
pub async fn within<T>(
    limit: Duration,
    operation: &'static str,
    future: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, CallError> {
    match tokio::time::timeout(limit, future).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(CallError::Refused { operation, source: Box::new(source) }),
        Err(_) => Err(CallError::Deadline { operation }),
    }
}
