//! The HTTP endpoint: `/metrics`, `/healthz` (the rotation moves) and `/readyz` (the watches have caught up).

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use super::metrics::Metrics;
use super::pulse::Pulse;

/// Says when the operator is ready. Whoever may say so holds one.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<AtomicBool>);

impl Readiness {
    /// From here on the operator is ready.
    pub fn ready(&self) {
        self.0.store(true, Ordering::Release);
    }

    fn is_ready(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

/// All addresses are those of both families. A machine without the newer one has the older alone.
async fn bind(listen: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(listen).await {
        Err(_) if listen.ip() == Ipv6Addr::UNSPECIFIED => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, listen.port())).await
        }
        bound => bound,
    }
}

/// Serves until the future is dropped.
///
/// # Errors
/// When the address cannot be listened on.
pub async fn serve(listen: SocketAddr, metrics: Arc<Metrics>, readiness: Readiness, pulse: Pulse) -> io::Result<()> {
    let listener = bind(listen).await?;
    let metrics_text = move || async move {
        ([(header::CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], metrics.text())
    };
    let ready = move || async move {
        if readiness.is_ready() {
            (StatusCode::OK, "ready").into_response()
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "watches have not caught up yet").into_response()
        }
    };
    let alive = move || async move {
        if pulse.is_alive(Instant::now()) {
            (StatusCode::OK, "alive").into_response()
        } else {
            (StatusCode::SERVICE_UNAVAILABLE, "the rotation stands still").into_response()
        }
    };
    let routes =
        Router::new().route("/metrics", get(metrics_text)).route("/healthz", get(alive)).route("/readyz", get(ready));
    axum::serve(listener, routes).await
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpStream;

    use super::*;

    #[tokio::test]
    async fn who_has_the_older_family_alone_gets_in() {
        let listener = bind((Ipv6Addr::UNSPECIFIED, 0).into()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.is_ok());
    }
}
