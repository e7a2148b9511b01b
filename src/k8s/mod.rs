//! Kubernetes plumbing that knows none of our kinds: watches, conditions, status, back-off.

pub mod backoff;
pub mod conditions;
pub mod dates;
pub mod feed;
pub mod status;
