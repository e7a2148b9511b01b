//! What an error of sqlx means. Nothing of its text goes on: a server may say anything.

use crate::ports::{Fault, FaultKind};

/// Where an error came from: the same number means another thing at the login than at a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Connecting, TLS and the login.
    Login,
    /// A statement of a session that has logged in.
    Statement,
}

/// The fault that an error is.
#[allow(clippy::wildcard_enum_match_arm, reason = "sqlx's enum may grow, and most of it cannot happen here")]
pub(super) fn fault(phase: Phase, operation: &'static str, error: &sqlx::Error) -> Fault {
    let of = |kind| Fault::new(kind, operation);
    match error {
        sqlx::Error::Database(error) => error.try_downcast_ref::<sqlx::mysql::MySqlDatabaseError>().map_or_else(
            || of(FaultKind::Other),
            |error| of(kind(phase, error.number())).with_code(error.number().to_string()),
        ),
        // rustls's errors come wrapped, because they happen while bytes are read and written.
        sqlx::Error::Io(error) => error
            .get_ref()
            .and_then(|inner| inner.downcast_ref::<rustls::Error>())
            .map_or_else(|| of(FaultKind::Unreachable), |error| tls(operation, error)),
        sqlx::Error::Tls(error) => error
            .downcast_ref::<rustls::Error>()
            .map_or_else(|| of(FaultKind::TlsVerification), |error| tls(operation, error)),
        sqlx::Error::Protocol(_) => of(FaultKind::Unreadable).with_code("protocol"),
        sqlx::Error::ColumnDecode { .. } | sqlx::Error::ColumnNotFound(_) | sqlx::Error::Decode(_) => {
            of(FaultKind::Unreadable).with_code("column")
        }
        _ => of(FaultKind::Other).with_code("client"),
    }
}

/// A call that did not end in time.
pub(super) fn timeout(operation: &'static str) -> Fault {
    Fault::new(FaultKind::Unreachable, operation).with_code("timeout")
}

/// The mistakes that an administrator can make have names of their own; the rest is that TLS did not come about.
#[allow(clippy::wildcard_enum_match_arm, reason = "rustls's enums may grow")]
fn tls(operation: &'static str, error: &rustls::Error) -> Fault {
    use rustls::CertificateError as C;
    let code = match error {
        rustls::Error::InvalidCertificate(C::NotValidForName | C::NotValidForNameContext { .. }) => "wrong-name",
        rustls::Error::InvalidCertificate(C::UnknownIssuer) => "unknown-issuer",
        rustls::Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => "expired",
        rustls::Error::InvalidCertificate(_) => "invalid-certificate",
        _ => "handshake",
    };
    Fault::new(FaultKind::TlsVerification, operation).with_code(code)
}

fn kind(phase: Phase, number: u16) -> FaultKind {
    match (phase, number) {
        // Access denied, without a password, host not allowed, account locked (MySQL, MariaDB), password expired
        // (MariaDB lets it in, and then answers every statement with 1820).
        (Phase::Login, 1044 | 1045 | 1698 | 1130 | 3118 | 4151 | 1862) | (_, 1820) => FaultKind::Denied,
        // GRANT answers 1045 and MariaDB's roles 1698, long after the password was found right.
        (Phase::Statement, 1044 | 1045 | 1095 | 1698 | 1142 | 1143 | 1227 | 1370) => FaultKind::LacksPrivilege,
        (_, 1524) => FaultKind::PluginMissing,
        (_, 1290 | 1792 | 1836 | 1874) => FaultKind::ReadOnly,
        // The table, routine or role of a grant is not there.
        (Phase::Statement, 1146 | 1305 | 1959 | 3523) => FaultKind::Missing,
        (Phase::Statement, 4006) => FaultKind::Definer,
        // The account is there (or gone) against what was read: 1410 and 1133 are how a GRANT says that its account is gone.
        (Phase::Statement, 1396 | 1062 | 1133 | 1410) => FaultKind::Conflict,
        // Too many connections, host blocked, going down, killed, waited too long for a lock, out of time, offline.
        (
            _,
            1040
            | 1053
            | 1079
            | 1129
            | 1158..=1161
            | 1203
            | 1205
            | 1213
            | 1226
            | 1317
            | 1927
            | 1969
            | 2002..=2013
            | 3032
            | 3168
            | 4031,
        ) => FaultKind::Unreachable,
        _ => FaultKind::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn at(phase: Phase, number: u16) -> FaultKind {
        kind(phase, number)
    }

    #[test]
    fn a_number_is_read_by_its_phase() {
        for number in [1045, 1698] {
            assert_eq!(at(Phase::Login, number), FaultKind::Denied);
            assert_eq!(at(Phase::Statement, number), FaultKind::LacksPrivilege);
        }
        assert_eq!(at(Phase::Statement, 1227), FaultKind::LacksPrivilege);
        assert_eq!(at(Phase::Statement, 1524), FaultKind::PluginMissing);
        assert_eq!(at(Phase::Statement, 1290), FaultKind::ReadOnly);
        assert_eq!(at(Phase::Statement, 1396), FaultKind::Conflict);
        assert_eq!(at(Phase::Statement, 1410), FaultKind::Conflict);
        assert_eq!(at(Phase::Login, 1040), FaultKind::Unreachable);
        assert_eq!(at(Phase::Statement, 1820), FaultKind::Denied);
        assert_eq!(at(Phase::Statement, 1969), FaultKind::Unreachable);
        assert_eq!(at(Phase::Statement, 1064), FaultKind::Other);
    }

    #[test]
    fn a_broken_connection_is_unreachable_and_a_wrong_certificate_is_not() {
        let broken = sqlx::Error::Io(io::ErrorKind::ConnectionReset.into());
        assert_eq!(fault(Phase::Login, "log in", &broken).kind, FaultKind::Unreachable);
        let certificate = rustls::Error::InvalidCertificate(rustls::CertificateError::NotValidForName);
        let wrapped = sqlx::Error::Io(io::Error::new(io::ErrorKind::InvalidData, certificate));
        let fault = fault(Phase::Login, "log in", &wrapped);
        assert_eq!((fault.kind, fault.code.as_deref()), (FaultKind::TlsVerification, Some("wrong-name")));
    }

    #[test]
    fn no_text_of_the_other_side_is_in_a_fault() {
        for error in [
            sqlx::Error::Protocol("canary".into()),
            sqlx::Error::Tls("canary".into()),
            sqlx::Error::Io(io::Error::other("canary")),
            sqlx::Error::Configuration("canary".into()),
            sqlx::Error::Decode("canary".into()),
        ] {
            let fault = fault(Phase::Statement, "read accounts", &error);
            assert!(!format!("{fault} {fault:?}").contains("canary"), "{fault:?}");
        }
    }
}
