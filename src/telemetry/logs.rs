//! Logs: one line a change, none for a no-op.

use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// Starts logging to standard error. `level` is for the operator's own lines. Libraries are held at `warn` whatever it is: below that some print requests,
/// answers and statements, and with them tokens and session keys.
pub fn start(level: LevelFilter, format: LogFormat) {
    // kube prints an answer that it cannot read as a warning, whole.
    let filter = Targets::new()
        .with_default(LevelFilter::WARN)
        .with_target("iamdb", level)
        .with_target("kube_client::client", LevelFilter::OFF);
    let registry = tracing_subscriber::registry().with(filter);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => registry.with(layer.with_ansi(false)).init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).init(),
    }
}
