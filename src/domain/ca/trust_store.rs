//! Where RDS publishes the certificates of its CAs.

use std::fmt;

/// A bundle that RDS publishes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TrustStore {
    region: String,
    is_global: bool,
}

impl TrustStore {
    /// The bundle of a Region: what its databases need, and no more.
    #[must_use]
    pub fn of_region(region: &str) -> Self {
        Self { region: region.to_owned(), is_global: false }
    }

    /// The bundle of all Regions of the partition that a Region is in.
    #[must_use]
    pub fn of_partition(region: &str) -> Self {
        let first = match partition(region) {
            Partition::Aws => "aws",
            Partition::China => "cn-north-1",
            Partition::GovCloud => "us-gov-west-1",
        };
        Self { region: first.to_owned(), is_global: true }
    }

    /// Where the partition publishes.
    #[must_use]
    pub fn base(&self) -> &'static str {
        match partition(&self.region) {
            Partition::Aws => "https://truststore.pki.rds.amazonaws.com",
            Partition::China => "https://rds-truststore.s3.cn-north-1.amazonaws.com.cn",
            Partition::GovCloud => "https://truststore.pki.us-gov-west-1.rds.amazonaws.com",
        }
    }

    /// The path below it.
    #[must_use]
    pub fn path(&self) -> String {
        if self.is_global {
            return "/global/global-bundle.pem".to_owned();
        }
        let region = &self.region;
        format!("/{region}/{region}-bundle.pem")
    }

    /// What it is called: the Region, or what all Regions of a partition share.
    #[must_use]
    pub fn name(&self) -> &str {
        match (self.is_global, partition(&self.region)) {
            (false, _) => &self.region,
            (true, Partition::Aws) => "global",
            (true, Partition::China) => "cn-global",
            (true, Partition::GovCloud) => "us-gov-global",
        }
    }

    /// Name of the object that keeps the last good copy.
    #[must_use]
    pub fn keeper(&self) -> String {
        format!("iamdb-ca-{self}")
    }
}

impl fmt::Display for TrustStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

enum Partition {
    Aws,
    China,
    GovCloud,
}

fn partition(region: &str) -> Partition {
    match region {
        _ if region.starts_with("cn-") => Partition::China,
        _ if region.starts_with("us-gov-") => Partition::GovCloud,
        _ => Partition::Aws,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_partition_publishes_at_its_own_place() {
        let url = |store: TrustStore| format!("{}{}", store.base(), store.path());
        assert_eq!(
            url(TrustStore::of_region("eu-west-1")),
            "https://truststore.pki.rds.amazonaws.com/eu-west-1/eu-west-1-bundle.pem"
        );
        assert_eq!(
            url(TrustStore::of_partition("eu-west-1")),
            "https://truststore.pki.rds.amazonaws.com/global/global-bundle.pem"
        );
        assert_eq!(
            url(TrustStore::of_region("us-gov-east-1")),
            "https://truststore.pki.us-gov-west-1.rds.amazonaws.com/us-gov-east-1/us-gov-east-1-bundle.pem"
        );
        assert_eq!(
            url(TrustStore::of_partition("cn-northwest-1")),
            "https://rds-truststore.s3.cn-north-1.amazonaws.com.cn/global/global-bundle.pem"
        );
    }

    #[test]
    fn every_bundle_has_a_keeper_of_its_own() {
        let keepers = [
            TrustStore::of_region("us-east-1"),
            TrustStore::of_partition("us-east-1"),
            TrustStore::of_partition("us-gov-east-1"),
            TrustStore::of_partition("cn-north-1"),
        ];
        let keepers = keepers.map(|store| store.keeper());
        assert_eq!(keepers, ["iamdb-ca-us-east-1", "iamdb-ca-global", "iamdb-ca-us-gov-global", "iamdb-ca-cn-global"]);
        assert_eq!(
            TrustStore::of_partition("us-east-1"),
            TrustStore::of_partition("eu-west-1"),
            "one for the partition"
        );
    }
}
