//! The decisions: names, tenancy, account plans, policies, tokens and their schedule.
//!
//! Pure: no async, no clock, no environment, no Kubernetes, no SQL text, no AWS client. What happens *now* is an argument; a plan is data
//! that can be printed and compared; an empty plan means converged.

pub mod access;
pub mod account;
pub mod arn;
pub mod assume;
pub mod binding;
pub mod ca;
pub mod digest;
pub mod endpoint;
pub mod engine;
pub mod glob;
pub mod hosts;
pub mod names;
pub mod operator_rights;
pub mod ownership;
pub mod policy;
pub mod privilege;
pub mod rds_state;
pub mod reach;
pub mod schedule;
pub mod secret;
pub mod succession;
pub mod tenancy;
pub mod token;
