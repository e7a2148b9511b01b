//! The log: one JSON line a login.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::calendar;
use crate::verdict::Verdict;

#[derive(Serialize)]
struct Line<'a> {
    time: String,
    endpoint: Option<&'a str>,
    user: &'a str,
    principal: Option<&'a str>,
    accepted: bool,
    reason: &'static str,
}

/// Writes a verdict on `user` to the file, or to standard error without one or when the file cannot be written.
pub(crate) fn record(path: Option<&Path>, now: i64, user: &str, verdict: &Verdict) {
    let line = line(now, user, verdict);
    if path.is_none_or(|path| append(path, &line).is_err()) {
        // Nobody is left to tell when this fails too.
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

fn line(now: i64, user: &str, verdict: &Verdict) -> String {
    let line = Line {
        time: calendar::rfc3339(now),
        endpoint: verdict.endpoint.as_deref(),
        user,
        principal: verdict.principal.as_deref(),
        accepted: verdict.accepted(),
        reason: verdict.reason.code(),
    };
    // Strings and a flag always serialize.
    let mut text = serde_json::to_string(&line).unwrap_or_default();
    text.push('\n');
    text
}

/// Several servers and their threads share the file: one write at its end keeps the lines whole.
fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(line.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::Reason;

    #[test]
    fn a_line_has_the_fields_of_the_contract() {
        let verdict = Verdict {
            endpoint: Some("orders.example:3306".to_owned()),
            principal: Some("arn:aws:iam::123456789012:role/app".to_owned()),
            reason: Reason::Accepted,
        };
        assert_eq!(
            line(1_767_225_600, "app", &verdict),
            concat!(
                r#"{"time":"2026-01-01T00:00:00Z","endpoint":"orders.example:3306","user":"app","#,
                r#""principal":"arn:aws:iam::123456789012:role/app","accepted":true,"reason":"accepted"}"#,
                "\n"
            )
        );
    }

    #[test]
    fn a_hostile_user_name_stays_on_its_line() {
        let text = line(0, "a\n\"b\u{0}", &Verdict::refused(None, Reason::NotTls));
        assert_eq!(
            text,
            concat!(
                r#"{"time":"1970-01-01T00:00:00Z","endpoint":null,"user":"a\n\"b\u0000","#,
                r#""principal":null,"accepted":false,"reason":"not-tls"}"#,
                "\n"
            )
        );
    }
}
