//! Kubernetes plumbing that knows none of our kinds: watches, calls and status, what time the apiserver has, back-off, leader election and its fence, who
//! we are.

pub mod backoff;
pub mod call;
pub mod dates;
pub mod feed;
pub mod fence;
pub mod fresh;
pub mod lease;
pub mod status;
pub mod whoami;
