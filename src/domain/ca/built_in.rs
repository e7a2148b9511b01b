//! RDS's roots as they were when this program was made, for clusters that reach no trust store. What a trust store has is newer and goes before.

use super::TrustStore;

/// By Region: a line `# <Region>`, then its certificates.
const ROOTS: &str = include_str!("rds.pem");

/// The text of a bundle; none for Regions that are younger than the copy, and for the partitions of China and GovCloud.
pub(super) fn text(place: &TrustStore) -> Option<&'static str> {
    match place.name() {
        "global" => Some(ROOTS),
        region => ROOTS.split("\n# ").find_map(|part| part.strip_prefix(region)?.strip_prefix('\n')),
    }
}

#[cfg(test)]
mod tests {
    use x509_cert::Certificate;
    use x509_cert::der::Decode;

    use super::super::Bundle;
    use super::*;

    fn bundle(place: &TrustStore) -> Bundle {
        Bundle::built_in(place, "2026-11-01T00:00:00Z".parse().unwrap()).unwrap()
    }

    #[test]
    fn a_region_has_its_own_roots_and_the_partition_those_of_all() {
        let regions: Vec<&str> = ROOTS.lines().filter_map(|line| line.strip_prefix("# ")).collect();
        for region in &regions {
            let bundle = bundle(&TrustStore::of_region(region));
            assert_eq!(bundle.certificates().len(), 3, "{region}: RSA 2048, RSA 4096 and ECC 384");
            for der in bundle.certificates() {
                let subject = Certificate::from_der(der).unwrap().tbs_certificate().subject().to_string();
                assert!(subject.contains(&format!("CN=Amazon RDS {region} Root CA ")), "{subject}");
            }
        }
        assert_eq!(bundle(&TrustStore::of_partition("eu-west-1")).certificates().len(), regions.len() * 3);
    }

    #[test]
    fn of_other_partitions_and_unknown_regions_there_is_none() {
        for place in [
            TrustStore::of_region("cn-north-1"),
            TrustStore::of_partition("cn-north-1"),
            TrustStore::of_partition("us-gov-west-1"),
            TrustStore::of_region("us-gov-west-1"),
            TrustStore::of_region("eu-west-9"),
            TrustStore::of_region("eu-west"),
            TrustStore::of_region(""),
        ] {
            assert_eq!(text(&place), None, "{place}");
        }
    }
}
