//! Streamed lists that are consistent reads.
//!
//! kube asks for a streamed list from resourceVersion 0, so any cache may answer with what it holds: what that does not know yet would be taken for
//! gone. Without a version the answer is complete only when it holds all that was there when it was asked
//! (<https://kubernetes.io/docs/reference/using-api/api-concepts/#streaming-lists>).

use http::uri::PathAndQuery;
use http::{Request, Uri};

/// The request, and if it is for a streamed list, for a consistent one.
pub fn consistent<B>(mut request: Request<B>) -> Request<B> {
    if let Some(uri) = without_version(request.uri()) {
        *request.uri_mut() = uri;
    }
    request
}

fn without_version(uri: &Uri) -> Option<Uri> {
    let query = uri.query()?;
    if !query.split('&').any(|pair| pair == "sendInitialEvents=true") {
        return None;
    }
    let kept: Vec<&str> = query.split('&').filter(|pair| *pair != "resourceVersion=0").collect();
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(PathAndQuery::try_from(format!("{}?{}", uri.path(), kept.join("&"))).ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(uri: &str) -> String {
        consistent(Request::get(uri).body(()).unwrap()).uri().to_string()
    }

    #[test]
    fn a_streamed_list_is_asked_for_as_it_is_now_and_a_watch_goes_on_from_where_it_was() {
        let streamed =
            "/api/v1/secrets?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&resourceVersion=0";
        let consistent = "/api/v1/secrets?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
        assert_eq!(asked(streamed), consistent);
        let resumed = "https://[::1]:6443/api/v1/secrets?watch=true&resourceVersion=70";
        assert_eq!(asked(resumed), resumed);
        assert_eq!(asked("/readyz"), "/readyz");
    }
}
