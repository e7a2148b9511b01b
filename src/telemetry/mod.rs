//! What the operator says of itself: logs, metrics and probes.

pub mod http;
pub mod logs;
pub mod metrics;
pub mod pulse;
