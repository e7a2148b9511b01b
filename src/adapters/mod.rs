//! The outside world behind the [`ports`](crate::ports): AWS, the databases and RDS's trust stores. Each adapter has one `classify`, which
//! turns the errors of its libraries into [`Fault`](crate::ports::Fault)s without any text of the other side.

pub mod aws;
pub mod mysql;
pub mod trust_store;
