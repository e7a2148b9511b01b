//! RDS's trust stores, over HTTPS.

use std::time::Duration;

use async_trait::async_trait;
use http::header::{ETAG, IF_NONE_MATCH};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::crypto::aws_lc_rs;
use tokio::time;

use crate::domain::ca::TrustStore;
use crate::ports::{Fault, FaultKind, Fetched, TrustStores};

const FETCH: &str = "fetch a CA bundle";

/// From the look-up of the name to the last byte.
const DEADLINE: Duration = Duration::from_secs(20);

/// The global bundle has 165 KB. More than this is none, and would not fit into a Secret either.
const LONGEST: usize = 512 * 1024;

/// RDS's trust stores. No redirect is followed, and the system's own roots say whom to believe.
pub struct HttpsTrustStores {
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    /// Where bundles are instead of at AWS, for tests.
    base: Option<String>,
}

/// The system has no roots to verify anybody by.
#[derive(Debug, thiserror::Error)]
#[error("the system's root certificates cannot be read")]
pub struct NoRoots(#[source] std::io::Error);

impl HttpsTrustStores {
    /// Trust stores at AWS; with `base`, for tests, at another place and without HTTPS too.
    ///
    /// # Errors
    /// [`NoRoots`] without root certificates.
    pub fn new(base: Option<String>) -> Result<Self, NoRoots> {
        let builder = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(aws_lc_rs::default_provider())
            .map_err(NoRoots)?;
        let builder = if base.is_some() { builder.https_or_http() } else { builder.https_only() };
        let client = Client::builder(TokioExecutor::new()).build(builder.enable_http1().build());
        Ok(Self { client, base })
    }

    fn uri(&self, place: &TrustStore) -> Result<Uri, Fault> {
        let base = self.base.as_deref().unwrap_or_else(|| place.base());
        format!("{base}{}", place.path()).parse().map_err(|_| Fault::new(FaultKind::Other, FETCH).with_code("url"))
    }

    async fn get(&self, place: &TrustStore, etag: Option<&str>) -> Result<Fetched, Fault> {
        let of = |kind| Fault::new(kind, FETCH);
        let mut request = Request::get(self.uri(place)?);
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let request = request.body(Empty::new()).map_err(|_| of(FaultKind::Other).with_code("request"))?;
        let answer = self.client.request(request).await.map_err(|_| of(FaultKind::Unreachable))?;
        match answer.status() {
            StatusCode::NOT_MODIFIED => return Ok(Fetched::Unchanged),
            StatusCode::OK => {}
            other => return Err(of(kind(other)).with_code(format!("HTTP {}", other.as_u16()))),
        }
        let etag = answer.headers().get(ETAG).and_then(|etag| etag.to_str().ok()).map(str::to_owned);
        let body = Limited::new(answer.into_body(), LONGEST).collect().await;
        let body = body.map_err(|_| of(FaultKind::Unreadable).with_code("body"))?.to_bytes();
        let text = String::from_utf8(body.to_vec()).map_err(|_| of(FaultKind::Unreadable).with_code("text"))?;
        Ok(Fetched::New { text, etag })
    }
}

fn kind(status: StatusCode) -> FaultKind {
    match status.as_u16() {
        429 | 503 => FaultKind::Throttled,
        401 | 403 => FaultKind::Denied,
        404 => FaultKind::Missing,
        500.. => FaultKind::Unreachable,
        _ => FaultKind::Other,
    }
}

#[async_trait]
impl TrustStores for HttpsTrustStores {
    async fn fetch(&self, place: &TrustStore, etag: Option<&str>) -> Result<Fetched, Fault> {
        let fetched = time::timeout(DEADLINE, self.get(place, etag)).await;
        fetched.unwrap_or_else(|_| Err(Fault::new(FaultKind::Unreachable, FETCH).with_code("timeout")))
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::http::{HeaderMap, header};
    use axum::response::IntoResponse;
    use axum::routing::get;

    use super::*;

    async fn serve() -> HttpsTrustStores {
        let bundle = |headers: HeaderMap| async move {
            if headers.get(header::IF_NONE_MATCH).is_some_and(|etag| etag == "\"1\"") {
                return StatusCode::NOT_MODIFIED.into_response();
            }
            ([(header::ETAG, "\"1\"")], "PEM").into_response()
        };
        let long = || async { "x".repeat(LONGEST + 1) };
        let moved =
            || async { ([(header::LOCATION, "/us-east-1/us-east-1-bundle.pem")], StatusCode::FOUND).into_response() };
        let app = Router::new()
            .route("/us-east-1/us-east-1-bundle.pem", get(bundle))
            .route("/us-east-2/us-east-2-bundle.pem", get(long))
            .route("/us-west-1/us-west-1-bundle.pem", get(moved));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move { axum::serve(listener, app).await });
        HttpsTrustStores::new(Some(base)).unwrap()
    }

    #[tokio::test]
    async fn a_bundle_is_fetched_once_for_each_of_its_states() {
        let stores = serve().await;
        let place = TrustStore::of_region("us-east-1");
        let fetched = stores.fetch(&place, None).await.unwrap();
        assert_eq!(fetched, Fetched::New { text: "PEM".into(), etag: Some("\"1\"".into()) });
        assert_eq!(stores.fetch(&place, Some("\"1\"")).await.unwrap(), Fetched::Unchanged);
    }

    #[tokio::test]
    async fn what_is_missing_too_long_or_elsewhere_is_no_bundle() {
        let stores = serve().await;
        let fault = |region: &'static str| {
            let (stores, place) = (&stores, TrustStore::of_region(region));
            async move { stores.fetch(&place, None).await.unwrap_err() }
        };
        assert_eq!(fault("eu-west-1").await.kind, FaultKind::Missing);
        assert_eq!(fault("us-east-2").await.code.as_deref(), Some("body"));
        assert_eq!(fault("us-west-1").await.code.as_deref(), Some("HTTP 302"));
    }

    #[tokio::test]
    async fn without_a_place_of_its_own_only_https_is_spoken() {
        let (here, place) = (serve().await, TrustStore::of_region("us-east-1"));
        let stores = HttpsTrustStores::new(None).unwrap();
        assert_eq!(stores.uri(&place).unwrap().scheme_str(), Some("https"));
        let plain = || Request::get(here.uri(&place).unwrap()).body(Empty::new()).unwrap();
        assert!(here.client.request(plain()).await.is_ok(), "there is somebody to speak to");
        assert!(stores.client.request(plain()).await.is_err());
    }
}
