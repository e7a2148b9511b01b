//! The Secret that is written.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The Secret that is written.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("!has(self.labels) || self.labels.all(k, !k.contains('iamdb.dev/') && !k.contains('kubernetes.io/') && !k.contains('k8s.io/'))")
        .message("labels must not use the prefixes iamdb.dev/, kubernetes.io/ or k8s.io/"),
    validation = Rule::new("!has(self.annotations) || self.annotations.all(k, !k.contains('iamdb.dev/') && !k.contains('kubernetes.io/') && !k.contains('k8s.io/'))")
        .message("annotations must not use the prefixes iamdb.dev/, kubernetes.io/ or k8s.io/")
)]
pub struct SecretTemplate {
    /// Name of the Secret, in this namespace. Immutable.
    #[schemars(length(min = 1, max = 253), regex(pattern = r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$"))]
    pub name: String,
    /// Files beside the binding's own keys.
    #[serde(default = "default_formats")]
    #[schemars(length(min = 1, max = 8))]
    // Not a set: server-side apply would add to the default instead of replacing it.
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub formats: Vec<Format>,
    /// Where pods mount the Secret: written where a file must name the CA file.
    /// Default: `/var/run/secrets/iamdb.dev/<secret name>`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 2, max = 512), regex(pattern = r"^(/[A-Za-z0-9._-]+)+$"))]
    pub mount_path: Option<String>,
    /// Labels for the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), inner(length(max = 63)))]
    pub labels: BTreeMap<String, String>,
    /// Annotations for the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32), inner(length(max = 1024)))]
    pub annotations: BTreeMap<String, String>,
}

fn default_formats() -> Vec<Format> {
    vec![Format::Binding]
}

/// Files that the Secret can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
pub enum Format {
    /// The keys of the service binding specification; always there.
    Binding,
    /// `my.cnf`, for the clients of MySQL and MariaDB.
    MyCnf,
    /// `database.url`: the URI of the binding, and how TLS is verified.
    Uri,
    /// `jdbc.properties`, for MySQL's Connector/J and MariaDB's driver, with the trust store that the former needs.
    Jdbc,
    /// `go.dsn`, for go-sql-driver/mysql.
    GoDsn,
    /// `truststore.p12`, the CA bundle as PKCS#12, and its password in `truststore.password`.
    Pkcs12,
    /// `ca.p7b`, the CA bundle as PKCS#7.
    P7b,
    /// A format that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}
