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

/// Starts logging to standard error: the operator's own lines, down to `level`.
pub fn start(level: LevelFilter, format: LogFormat) {
    let registry = tracing_subscriber::registry().with(lines(level));
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    match format {
        LogFormat::Text => registry.with(layer.with_ansi(false)).init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).init(),
    }
}

/// Libraries say nothing: even their warnings quote requests, answers and statements whole, and with them tokens and session keys.
fn lines(level: LevelFilter) -> Targets {
    Targets::new().with_target("iamdb", level)
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn libraries_say_nothing() {
        let lines = lines(LevelFilter::TRACE);
        for target in ["kube_runtime::watcher", "kube_client::client", "aws_config::web_identity_token", "sqlx::query"]
        {
            assert!(!lines.would_enable(target, &Level::ERROR), "{target}");
        }
        assert!(lines.would_enable("iamdb::rotation::engine", &Level::TRACE));
    }
}
