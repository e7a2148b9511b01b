//! Kubernetes plumbing that knows none of our kinds: watches, status, back-off, leader election, who we are.

pub mod backoff;
pub mod dates;
pub mod feed;
pub mod fence;
pub mod fresh;
pub mod lease;
pub mod status;
pub mod whoami;
