//! The configuration file, which the test world's AWS writes and this plugin reads at every login.

use std::collections::HashMap;
use std::net::SocketAddr;

use serde::Deserialize;
use serde_json::Value;

/// What AWS knows: where the databases are, whose keys there are, and what their owners may do.
///
/// It has no `Debug`: it holds secret keys.
#[derive(Deserialize)]
pub struct Config {
    /// The partition of every ARN, such as `aws`.
    pub partition: String,
    /// The Region of every endpoint.
    pub region: String,
    /// The account that owns the endpoints.
    pub account: String,
    /// The endpoints that one of the servers stands behind.
    pub endpoints: Vec<Endpoint>,
    /// Access keys by their id.
    pub keys: HashMap<String, Key>,
    /// A principal's effective statements. They stay unparsed until the principal logs in: a statement that cannot be
    /// read must not lock out everybody else.
    pub policies: HashMap<String, Vec<Value>>,
}

/// A name under which a database can be reached.
#[derive(Deserialize)]
pub struct Endpoint {
    /// `host:port` as AWS tells it, and as a token must be signed for it.
    pub endpoint: String,
    /// The server's own address at which connections for this endpoint arrive.
    pub local: SocketAddr,
    /// `DbiResourceId`, `DbClusterResourceId`, or the last part of a proxy's ARN.
    #[serde(rename = "resourceId")]
    pub resource_id: String,
    /// Whether IAM database authentication is switched on.
    pub iam: bool,
    /// Present when the endpoint is a proxy's: what stands behind it.
    pub proxy: Option<Proxy>,
}

/// A proxy with end-to-end IAM authentication connects to its database as a principal of its own.
#[derive(Deserialize)]
pub struct Proxy {
    /// ARN of the role as which it connects.
    pub role: String,
    /// `DbiResourceId` or `DbClusterResourceId` of the database behind it.
    pub target: String,
}

/// An access key.
#[derive(Deserialize)]
pub struct Key {
    /// The secret access key.
    pub secret: String,
    /// Present with temporary credentials.
    #[serde(rename = "sessionToken")]
    pub session_token: Option<String>,
    /// Whose key it is: the ARN by which `policies` is searched.
    pub principal: String,
    /// When temporary credentials end, in seconds since the epoch.
    pub expires: Option<i64>,
}

impl Config {
    /// Reads a configuration. The error is kept from the caller's log on purpose: it could quote a secret.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The endpoint whose connections arrive at `local`.
    ///
    /// A server that listens on the wildcard address sees IPv4 connections as `::ffff:a.b.c.d`, hence the canonical form.
    pub fn endpoint_at(&self, local: SocketAddr) -> Option<&Endpoint> {
        let canonical = |address: SocketAddr| (address.ip().to_canonical(), address.port());
        self.endpoints.iter().find(|endpoint| canonical(endpoint.local) == canonical(local))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{
        "partition": "aws", "region": "us-east-1", "account": "123456789012",
        "endpoints": [
            {"endpoint": "writer.example:3306", "local": "127.10.2.1:3306", "resourceId": "cluster-1", "iam": true},
            {"endpoint": "reader.example:3306", "local": "127.10.2.2:3306", "resourceId": "cluster-1", "iam": false},
            {"endpoint": "six.example:3306", "local": "[::1]:3306", "resourceId": "db-6", "iam": true},
            {"endpoint": "proxy.example:3306", "local": "127.10.2.51:3306", "resourceId": "prx-1", "iam": true,
             "proxy": {"role": "arn:aws:iam::123456789012:role/r", "target": "db-6"}}
        ],
        "keys": {
            "AKIA": {"secret": "s", "principal": "arn:aws:iam::123456789012:user/u"},
            "ASIA": {"secret": "s", "sessionToken": "t", "principal": "arn:aws:iam::123456789012:role/r",
                     "expires": 1790000000}
        },
        "policies": {"arn:aws:iam::123456789012:user/u": ["not a statement"]}
    }"#;

    #[test]
    fn long_term_keys_have_neither_session_token_nor_end() {
        let config = Config::parse(TEXT).unwrap();
        assert!(config.keys["AKIA"].session_token.is_none() && config.keys["AKIA"].expires.is_none());
        assert_eq!(config.keys["ASIA"].session_token.as_deref(), Some("t"));
        assert_eq!(config.keys["ASIA"].expires, Some(1_790_000_000));
    }

    #[test]
    fn only_a_proxy_has_something_behind_it() {
        let config = Config::parse(TEXT).unwrap();
        let behind: Vec<_> = config.endpoints.iter().map(|endpoint| endpoint.proxy.as_ref()).collect();
        assert!(behind[..3].iter().all(Option::is_none));
        assert_eq!(behind[3].map(|proxy| proxy.target.as_str()), Some("db-6"));
    }

    #[test]
    fn an_endpoint_is_found_by_address_and_port() {
        let config = Config::parse(TEXT).unwrap();
        let at = |local: &str| config.endpoint_at(local.parse().unwrap()).map(|endpoint| endpoint.endpoint.as_str());
        assert_eq!(at("127.10.2.1:3306"), Some("writer.example:3306"));
        assert_eq!(at("127.10.2.2:3306"), Some("reader.example:3306"));
        assert_eq!(at("[::1]:3306"), Some("six.example:3306"));
        assert_eq!(at("[::ffff:127.10.2.2]:3306"), Some("reader.example:3306"), "a listener on the wildcard address");
        assert_eq!(at("127.10.2.1:3307"), None);
        assert_eq!(at("127.10.2.3:3306"), None);
    }

    #[test]
    fn half_a_configuration_is_none() {
        assert!(Config::parse("").is_none());
        assert!(Config::parse(&TEXT[..TEXT.len() - 10]).is_none());
        assert!(Config::parse(&TEXT.replace("\"iam\": false", "\"iam\": \"no\"")).is_none());
        assert!(Config::parse(&TEXT.replace("127.10.2.1:3306", "localhost:3306")).is_none());
    }
}
