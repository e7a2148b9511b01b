//! Endpoints: which host names the operator signs for and dials.

use std::fmt;
use std::net::IpAddr;

use super::names::is_dns_label;

/// A database endpoint that RDS named.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Endpoint {
    host: String,
    port: u16,
}

/// The host name is not one of RDS's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an RDS endpoint name")]
pub struct NotAnEndpoint;

impl Endpoint {
    /// Accepts lower-case names under `rds.amazonaws.com`, in China under `rds.amazonaws.com.cn` and `rds.<Region>.amazonaws.com.cn`, and nothing
    /// else: whatever an administrator or a describe call says, no credential is sent to another host.
    ///
    /// # Errors
    /// When the name is not of that form or the port is 0.
    pub fn new(host: &str, port: u16) -> Result<Self, NotAnEndpoint> {
        let is_under_rds = below_rds(host).is_some_and(|rest| rest.split('.').all(is_dns_label));
        if is_under_rds && host.len() <= 253 && port != 0 {
            Ok(Self { host: host.to_owned(), port })
        } else {
            Err(NotAnEndpoint)
        }
    }

    /// The host name, as tokens are signed for it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, as tokens are signed for it.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// What stands before the domain of RDS. In China the domain has the Region in it; older names there have it before the domain, as elsewhere.
fn below_rds(host: &str) -> Option<&str> {
    let Some(rest) = host.strip_suffix(".amazonaws.com.cn") else {
        return host.strip_suffix(".rds.amazonaws.com");
    };
    let of_region = || rest.rsplit_once(".rds.").filter(|(_, region)| is_region_of_china(region)).map(|(rest, _)| rest);
    rest.strip_suffix(".rds").or_else(of_region)
}

fn is_region_of_china(text: &str) -> bool {
    let area_and_number = text.strip_prefix("cn-").and_then(|rest| rest.split_once('-'));
    area_and_number.is_some_and(|(area, number)| {
        let is_of = |text: &str, allowed: fn(&u8) -> bool| !text.is_empty() && text.bytes().all(|b| allowed(&b));
        is_of(area, u8::is_ascii_lowercase) && is_of(number, u8::is_ascii_digit)
    })
}

/// Whether the operator may dial this address for a database: never loopback, link-local (instance metadata lives
/// there), unspecified or multicast.
#[must_use]
pub fn may_dial(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            !(v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast())
        }
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or_else(
            || {
                // fd00:ec2::254 is the metadata service's IPv6 address.
                let metadata = v6.segments()[..2] == [0xfd00, 0x0ec2];
                !(v6.is_loopback()
                    || v6.is_unspecified()
                    || v6.is_multicast()
                    || v6.is_unicast_link_local()
                    || metadata)
            },
            |v4| may_dial(IpAddr::V4(v4)),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_rds_names_are_endpoints() {
        for host in [
            "orders.c9akciq32.us-east-1.rds.amazonaws.com",
            "orders.cluster-c9a.eu-west-1.rds.amazonaws.com",
            "orders.c9akciq32.cn-north-1.rds.amazonaws.com.cn",
            "orders.c9akciq32.rds.cn-north-1.amazonaws.com.cn",
            "orders.cluster-c9a.rds.cn-northwest-1.amazonaws.com.cn",
            "shop.proxy-c9a.rds.cn-north-1.amazonaws.com.cn",
        ] {
            assert_eq!(Endpoint::new(host, 3306).unwrap().to_string(), format!("{host}:3306"));
        }
        for host in [
            "",
            "localhost",
            "rds.amazonaws.com",
            ".rds.amazonaws.com",
            "evil.com",
            "x.rds.amazonaws.com.evil.com",
            "x.rds.amazonaws.com.",
            "X.rds.amazonaws.com",
            "a b.rds.amazonaws.com",
            "a/../b.rds.amazonaws.com",
            "-a.rds.amazonaws.com",
            "a..rds.amazonaws.com",
            "169.254.169.254",
            "a?b.rds.amazonaws.com",
            "ü.rds.amazonaws.com",
            "rds.amazonaws.com.cn",
            "rds.cn-north-1.amazonaws.com.cn",
            ".rds.cn-north-1.amazonaws.com.cn",
            "x.rds.cn-north-1.amazonaws.com",
            "x.rds.cn-north-1.amazonaws.com.cn.evil.com",
            "x.rds.cn-north-1.evil.amazonaws.com.cn",
            "x.rds.evil.amazonaws.com.cn",
            "x.rds.cn-.amazonaws.com.cn",
            "x.rds.cn-north-.amazonaws.com.cn",
            "x.rds.cn-north-1b.amazonaws.com.cn",
            "x.rds.us-east-1.amazonaws.com.cn",
            "x.s3.cn-north-1.amazonaws.com.cn",
            "x.s3.rds.amazonaws.cn",
            "X.rds.cn-north-1.amazonaws.com.cn",
        ] {
            assert!(Endpoint::new(host, 3306).is_err(), "{host}");
        }
        assert!(Endpoint::new("x.rds.amazonaws.com", 0).is_err());
    }

    #[test]
    fn loopback_and_metadata_addresses_are_never_dialled() {
        for address in [
            "127.0.0.1",
            "127.10.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "224.0.0.1",
            "255.255.255.255",
            "::1",
            "fe80::1",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::",
        ] {
            assert!(!may_dial(address.parse().unwrap()), "{address}");
        }
        for address in ["10.0.0.5", "172.31.4.4", "192.168.1.9", "52.1.2.3", "2600:1f18::1"] {
            assert!(may_dial(address.parse().unwrap()), "{address}");
        }
    }
}
