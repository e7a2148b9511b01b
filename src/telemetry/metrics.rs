//! Metrics: few, with bounded labels; never the name of an object.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// Labels of what a controller did.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Controller {
    /// The kind.
    pub kind: &'static str,
}

/// Labels of a failure, or of what is not ready.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Failure {
    /// The kind.
    pub kind: &'static str,
    /// The reason, as in conditions.
    pub reason: &'static str,
}

/// Where CA bundles come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct Source {
    /// `Region`, `Global` or `ConfigMap`.
    pub source: &'static str,
}

/// All metrics of the operator.
pub struct Metrics {
    registry: Registry,
    reconciliations: Family<Controller, Counter>,
    failures: Family<Failure, Counter>,
    duration: Family<Controller, Histogram>,
    rotations: Counter,
    rotation_failures: Family<Failure, Counter>,
    tokens: Gauge,
    ca_expiry: Family<Source, Gauge>,
    not_ready: Family<Failure, Gauge>,
    leading: Gauge,
}

impl Metrics {
    /// Registers them.
    #[must_use]
    pub fn new() -> Arc<Self> {
        let mut registry = Registry::with_prefix("iamdb");
        let reconciliations = Family::<Controller, Counter>::default();
        let failures = Family::<Failure, Counter>::default();
        let duration = Family::<Controller, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.001, 4.0, 9))
        });
        let rotations = Counter::default();
        let rotation_failures = Family::<Failure, Counter>::default();
        let tokens = Gauge::default();
        let ca_expiry = Family::<Source, Gauge>::default();
        let not_ready = Family::<Failure, Gauge>::default();
        let leading = Gauge::default();
        registry.register("reconciliations", "Reconciliations by kind", reconciliations.clone());
        registry.register("reconcile_failures", "Failed reconciliations by kind and reason", failures.clone());
        registry.register("reconcile_duration_seconds", "Duration of reconciliations", duration.clone());
        registry.register("rotations", "Token Secrets written", rotations.clone());
        registry.register("rotation_failures", "Failed rotations by reason", rotation_failures.clone());
        registry.register("tokens", "Token Secrets under rotation", tokens.clone());
        registry.register(
            "ca_expiry_timestamp_seconds",
            "When the first of the CA bundles in use expires, by where they come from",
            ca_expiry.clone(),
        );
        registry.register("not_ready", "Objects whose condition Ready is False, by kind and reason", not_ready.clone());
        registry.register("leading", "Whether this replica acts: 1 or 0", leading.clone());
        Arc::new(Self {
            registry,
            reconciliations,
            failures,
            duration,
            rotations,
            rotation_failures,
            tokens,
            ca_expiry,
            not_ready,
            leading,
        })
    }

    /// Counts a reconciliation that took `duration`.
    pub fn reconciled(&self, kind: &'static str, duration: Duration) {
        let controller = Controller { kind };
        self.reconciliations.get_or_create(&controller).inc();
        self.duration.get_or_create(&controller).observe(duration.as_secs_f64());
    }

    /// Counts a failed reconciliation.
    pub fn failed(&self, kind: &'static str, reason: &'static str) {
        self.failures.get_or_create(&Failure { kind, reason }).inc();
    }

    /// Counts a written Secret.
    pub fn rotated(&self) {
        self.rotations.inc();
    }

    /// Counts a failed rotation.
    pub fn rotation_failed(&self, reason: &'static str) {
        self.rotation_failures.get_or_create(&Failure { kind: "DbAuthToken", reason }).inc();
    }

    /// Tells how many Secrets are under rotation.
    pub fn tokens(&self, count: usize) {
        self.tokens.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Tells when the first CA bundle of each source expires, in seconds since the epoch.
    pub fn ca_expiry(&self, ends: &BTreeMap<&'static str, i64>) {
        self.ca_expiry.clear();
        for (source, end) in ends {
            self.ca_expiry.get_or_create(&Source { source }).set(*end);
        }
    }

    /// Tells how many objects are not ready, by kind and reason.
    pub fn not_ready(&self, counts: &BTreeMap<(&'static str, &'static str), i64>) {
        for ((kind, reason), count) in counts {
            self.not_ready.get_or_create(&Failure { kind, reason }).set(*count);
        }
    }

    /// Tells that this replica acts.
    pub fn leads(&self) {
        self.leading.set(1);
    }

    /// The metrics as OpenMetrics text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        let _ = prometheus_client::encoding::text::encode(&mut text, &self.registry);
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happened_is_in_the_text() {
        let metrics = Metrics::new();
        metrics.reconciled("DbServer", Duration::from_millis(3));
        metrics.failed("DbServer", "Unreachable");
        metrics.rotated();
        metrics.tokens(7);
        metrics.ca_expiry(&BTreeMap::from([("Region", 4_000_000_000)]));
        metrics.not_ready(&BTreeMap::from([(("IamDbUser", "NotAllowed"), 2)]));
        let text = metrics.text();
        assert!(text.contains("iamdb_reconciliations_total{kind=\"DbServer\"} 1"), "{text}");
        assert!(text.contains("iamdb_reconcile_failures_total{kind=\"DbServer\",reason=\"Unreachable\"} 1"), "{text}");
        assert!(text.contains("iamdb_rotations_total 1"), "{text}");
        assert!(text.contains("iamdb_tokens 7"), "{text}");
        assert!(text.contains("iamdb_ca_expiry_timestamp_seconds{source=\"Region\"} 4000000000"), "{text}");
        assert!(text.contains("iamdb_not_ready{kind=\"IamDbUser\",reason=\"NotAllowed\"} 2"), "{text}");
    }
}
