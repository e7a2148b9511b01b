//! What time the apiserver thinks it is: each of its answers tells. A clock that disagrees must sign nothing.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::future::BoxFuture;
use http::header::DATE;
use http::{Request, Response};
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tower::{Layer, Service};

/// The last date that the apiserver told, and when that was by the clock that never jumps.
#[derive(Debug, Default)]
pub struct ServerDate(Mutex<Option<(Timestamp, Instant)>>);

impl ServerDate {
    /// How far `now` is ahead of the apiserver's clock; nothing before it has answered once. A machine that has slept counts as ahead until the next
    /// answer: the clock that never jumps does not count sleep.
    #[must_use]
    pub fn offset(&self, now: Timestamp) -> Option<SignedDuration> {
        let (date, told) = (*self.0.lock())?;
        let elapsed = SignedDuration::try_from(told.elapsed()).ok()?;
        Some(now.duration_since(date) - elapsed)
    }

    fn enter(&self, date: &str) {
        static PARSER: DateTimeParser = DateTimeParser::new();
        if let Ok(date) = PARSER.parse_timestamp(date) {
            *self.0.lock() = Some((date, Instant::now()));
        }
    }
}

/// Reads the date of every answer that passes.
#[derive(Clone, Debug)]
pub struct DateLayer(Arc<ServerDate>);

impl DateLayer {
    /// A layer that enters what it reads there.
    #[must_use]
    pub const fn new(date: Arc<ServerDate>) -> Self {
        Self(date)
    }
}

impl<S> Layer<S> for DateLayer {
    type Service = Dated<S>;

    fn layer(&self, inner: S) -> Dated<S> {
        Dated { inner, date: self.0.clone() }
    }
}

/// A service whose answers' dates are read.
#[derive(Clone, Debug)]
pub struct Dated<S> {
    inner: S,
    date: Arc<ServerDate>,
}

impl<S, A, B> Service<Request<A>> for Dated<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (answer, date) = (self.inner.call(request), self.date.clone());
        Box::pin(async move {
            let answer = answer.await?;
            if let Some(told) = answer.headers().get(DATE).and_then(|told| told.to_str().ok()) {
                date.enter(told);
            }
            Ok(answer)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_clock_is_compared_with_the_date_of_the_last_answer() {
        let date = Arc::new(ServerDate::default());
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        assert_eq!(date.offset(now), None, "nobody has told yet");
        let answer = |told: &'static str| async move {
            Ok::<_, std::convert::Infallible>(Response::builder().header(DATE, told).body(()).unwrap())
        };
        let layer = DateLayer::new(date.clone());
        let mut service = layer.layer(tower::service_fn(move |_: Request<()>| answer("Fri, 02 Jan 2026 03:02:05 GMT")));
        service.call(Request::new(())).await.unwrap();
        let offset = date.offset(now).unwrap();
        assert!((119..=120).contains(&offset.as_secs()), "{offset}");
        let mut service = layer.layer(tower::service_fn(move |_: Request<()>| answer("no date")));
        service.call(Request::new(())).await.unwrap();
        assert!(date.offset(now).unwrap().as_secs() >= 119, "what cannot be read changes nothing");
    }
}
