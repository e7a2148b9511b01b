//! Host patterns as the server reads them: whom they match, and which of two wins a login.

use super::glob;

/// Whether a client at `address` (an IP address or a name, as the server tells it) matches a host pattern.
#[must_use]
pub fn matches(pattern: &str, address: &str) -> bool {
    match pattern.split_once('/') {
        Some((network, mask)) => in_network(network, mask, address),
        None => glob::like(pattern, &address.to_ascii_lowercase()),
    }
}

/// Whether a client at `address` logged in as the account at `host`, of a name that has accounts at `others`, too; none where nobody can tell. A
/// server that resolves names looks for the address and for the name of a client, and shows the name alone.
#[must_use]
pub fn logged_in_as<'a>(host: &str, others: impl IntoIterator<Item = &'a str>, address: &str) -> Option<bool> {
    let is_name = address.parse::<std::net::IpAddr>().is_err();
    let matches = |pattern: &str| {
        if matches(pattern, address) {
            Some(true)
        } else if is_name && is_of_addresses(pattern) {
            None
        } else {
            Some(false)
        }
    };
    let before = |other: &str| rank(other) >= rank(host);
    let rivals: Vec<&str> = others.into_iter().filter(|other| before(other) && matches(other) != Some(false)).collect();
    let is_lost = |rival: &&str| rank(rival) > rank(host) && matches(rival) == Some(true);
    match matches(host) {
        Some(false) => Some(false),
        _ if rivals.iter().any(is_lost) => Some(false),
        Some(true) if rivals.is_empty() => Some(true),
        Some(true) | None => None,
    }
}

/// Whether a pattern may be meant for addresses.
fn is_of_addresses(pattern: &str) -> bool {
    pattern.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'.' | b':' | b'%' | b'_' | b'/'))
}

/// By which the server asks hosts: the higher first. Of those without a wildcard a network comes last, and two of them in no order that is known.
fn rank(pattern: &str) -> (usize, bool) {
    (specificity(pattern), !pattern.contains('/'))
}

/// Whether an account at host `other` would be asked before one at `host` for some client that both match. Nobody reaches a server of RDS from
/// the server itself.
#[must_use]
pub fn wins_over(other: &str, host: &str) -> bool {
    !is_local(other) && specificity(other) > specificity(host) && may_meet(other, host)
}

/// Whether every client that matches `other` surely matches `host`, too: where both are networks or odd patterns, nobody is sure.
#[must_use]
pub fn covers(host: &str, other: &str) -> bool {
    let before_wildcard = host.strip_suffix('%').filter(|prefix| !prefix.contains(['%', '_', '/']));
    let is_within = |prefix: &str| prefix.is_empty() || (other.starts_with(prefix) && !other.contains('/'));
    host == other || before_wildcard.is_some_and(is_within)
}

fn is_local(host: &str) -> bool {
    matches!(host, "localhost" | "127.0.0.1" | "::1")
}

/// The server's order: first whatever has no wildcard, then by how far the first wildcard is off. An empty host stands for any.
fn specificity(pattern: &str) -> usize {
    if pattern.is_empty() { 0 } else { pattern.find(['%', '_']).unwrap_or(usize::MAX) }
}

/// Whether one client may match both, as far as the letters before the first wildcard tell.
fn may_meet(left: &str, right: &str) -> bool {
    if left.contains('/') || right.contains('/') {
        return true;
    }
    let literal = |pattern: &str| pattern.find(['%', '_']).unwrap_or(pattern.len());
    let common = literal(left).min(literal(right));
    left.as_bytes()[..common] == right.as_bytes()[..common]
}

/// A network of IPv4, with a mask in dots (MySQL and MariaDB) or in bits (MySQL).
fn in_network(network: &str, mask: &str, address: &str) -> bool {
    let number = |text: &str| text.parse::<std::net::Ipv4Addr>().ok().map(u32::from);
    let mask = match mask.parse::<u32>() {
        Ok(bits) if bits <= 32 => Some(u32::MAX.checked_shl(32 - bits).unwrap_or(0)),
        Ok(_) => None,
        Err(_) => number(mask),
    };
    match (number(network), mask, number(address)) {
        (Some(network), Some(mask), Some(address)) => address & mask == network,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_the_server_matches_them() {
        for (pattern, address) in [
            ("%", "10.1.2.3"),
            ("10.%", "10.1.2.3"),
            ("10._.2.3", "10.1.2.3"),
            ("10.1.0.0/255.255.0.0", "10.1.2.3"),
            ("10.1.0.0/16", "10.1.2.3"),
            ("%.internal", "App-1.INTERNAL"),
            ("::1", "::1"),
        ] {
            assert!(matches(pattern, address), "{pattern} {address}");
        }
        for (pattern, address) in [
            ("10.%", "110.1.2.3"),
            ("10.1.0.0/16", "10.2.0.1"),
            ("10.1.0.0/99", "10.1.0.0"),
            ("10.1.0.0/16", "name"),
            ("a", "b"),
        ] {
            assert!(!matches(pattern, address), "{pattern} {address}");
        }
    }

    #[test]
    fn a_client_logs_in_as_the_most_specific_account() {
        let is_at =
            |host: &'static str, others: &[&'static str], address| logged_in_as(host, others.iter().copied(), address);
        assert_eq!(is_at("10.1.2.3", &["%", "10.%"], "10.1.2.3"), Some(true));
        assert_eq!(is_at("10.%", &["%", "10.1.2.3"], "10.1.2.3"), Some(false));
        assert_eq!(is_at("10.%", &["%", "10.1.2.3"], "10.9.9.9"), Some(true));
        assert_eq!(is_at("%", &["10.%"], "192.168.0.1"), Some(true));
        assert_eq!(is_at("10.%", &[], "192.168.0.1"), Some(false));
        assert_eq!(is_at("10.1.2.3", &["10.0.0.0/255.0.0.0"], "10.1.2.3"), Some(true));
        assert_eq!(is_at("10.0.0.0/255.0.0.0", &["10.1.2.3"], "10.1.2.3"), Some(false));
        assert_eq!(is_at("10.0.0.0/255.0.0.0", &["10.1.0.0/255.255.0.0"], "10.1.2.3"), None);
        assert_eq!(is_at("10.0.0.0/255.0.0.0", &["10.1.0.0/255.255.0.0"], "10.2.2.3"), Some(true));
    }

    #[test]
    fn of_a_client_that_is_shown_by_its_name_nobody_knows_which_address_matched() {
        let is_at = |host: &'static str, others: &[&'static str]| {
            logged_in_as(host, others.iter().copied(), "ip-10-1-2-3.ec2.internal")
        };
        assert_eq!(is_at("%", &["10.%"]), None);
        assert_eq!(is_at("10.%", &["%"]), None);
        assert_eq!(is_at("10.%", &["ip-10-1-2-3.ec2.internal"]), Some(false));
        assert_eq!(is_at("%", &["%.other.internal"]), Some(true));
        assert_eq!(is_at("%.ec2.internal", &["%"]), None, "both begin with a wildcard");
    }

    #[test]
    fn a_host_covers_those_that_are_surely_within_it() {
        for (host, other) in
            [("%", "10.%"), ("%", "10.0.0.0/255.0.0.0"), ("10.%", "10.1.2.3"), ("10.%", "10.1.%"), ("a", "a")]
        {
            assert!(covers(host, other), "{host} {other}");
        }
        for (host, other) in
            [("10.%", "%"), ("10.%", "10.0.0.0/255.0.0.0"), ("10.1.%", "10.%"), ("10._", "10.%"), ("a", "ab")]
        {
            assert!(!covers(host, other), "{host} {other}");
        }
    }

    #[test]
    fn a_more_specific_host_wins_where_both_can_match() {
        assert!(wins_over("10.%", "%"));
        assert!(wins_over("10.1.2.3", "10.%"));
        assert!(wins_over("10.0.0.0/255.0.0.0", "10.%"));
        assert!(!wins_over("%", "%") && !wins_over("", "%") && !wins_over("%", "10.%"));
        assert!(!wins_over("192.%", "10.%"), "no client matches both");
        assert!(!wins_over("localhost", "%"), "nobody is local to a server of RDS");
    }
}
