//! `iamdb-operator`: RDS IAM database authentication by `kubectl apply`.
//!
//! The layers, from the middle outwards; each may use only what stands above it:
//!
//! | module | what it is | I/O |
//! |---|---|---|
//! | [`api`] | what users write | none |
//! | [`domain`] | the decisions: accounts, policies, tenancy, tokens, schedule | none |
//! | [`ports`] | what the decisions need from outside, as narrow traits | none |
//! | [`k8s`] | watches, status, events: ignorant of our kinds | Kubernetes |
//! | [`telemetry`] | logs, metrics, probes | HTTP |
//! | [`adapters`] | AWS and MySQL behind the ports | AWS, MySQL |
//! | [`rotation`] | the engine that keeps Secrets alive: *when* | Kubernetes, ports |
//! | [`controllers`] | one folder a kind: *what* | Kubernetes, ports |
//! | [`app`] | the composition root: the only place that names adapters | all |
//! | [`cli`] | the commands of `iamdb` | all |
//!
//! `tests/frame/layers.rs` reads the sources and holds them to this.

pub mod adapters;
pub mod api;
pub mod app;
pub mod cli;
pub mod controllers;
pub mod domain;
pub mod k8s;
pub mod ports;
pub mod rotation;
pub mod telemetry;
