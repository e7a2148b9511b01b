//! Durations as Kubernetes APIs write them (GEP-2257): `7m30s`, `1h`, `250ms`.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The pattern of a GEP-2257 duration.
const PATTERN: &str = r"^([0-9]{1,5}(h|m|s|ms)){1,4}$";

/// A span of time. Keeps the text that the user wrote, so that a read and a write change nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Duration {
    text: String,
    value: std::time::Duration,
}

impl Duration {
    /// The length of the span.
    #[must_use]
    pub const fn value(&self) -> std::time::Duration {
        self.value
    }
}

/// The text is not a duration of the form `1h30m`, `7m30s` or `250ms`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a duration like 1h30m, 7m30s or 250ms")]
pub struct NotADuration;

impl std::str::FromStr for Duration {
    type Err = NotADuration;

    fn from_str(text: &str) -> Result<Self, NotADuration> {
        let mut value = std::time::Duration::ZERO;
        let mut rest = text;
        for _ in 0..4 {
            if rest.is_empty() {
                break;
            }
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            let (number, tail) = rest.split_at(digits);
            if !(1..=5).contains(&digits) {
                return Err(NotADuration);
            }
            let number: u64 = number.parse().map_err(|_| NotADuration)?;
            // `ms` before `m`: the longer unit wins.
            let (millis, tail) = if let Some(tail) = tail.strip_prefix("ms") {
                (1, tail)
            } else if let Some(tail) = tail.strip_prefix('s') {
                (1_000, tail)
            } else if let Some(tail) = tail.strip_prefix('m') {
                (60_000, tail)
            } else if let Some(tail) = tail.strip_prefix('h') {
                (3_600_000, tail)
            } else {
                return Err(NotADuration);
            };
            value += std::time::Duration::from_millis(number * millis);
            rest = tail;
        }
        if text.is_empty() || !rest.is_empty() {
            return Err(NotADuration);
        }
        Ok(Self { text: text.to_owned(), value })
    }
}

impl TryFrom<String> for Duration {
    type Error = NotADuration;

    fn try_from(text: String) -> Result<Self, NotADuration> {
        text.parse()
    }
}

impl From<Duration> for String {
    fn from(duration: Duration) -> Self {
        duration.text
    }
}

impl schemars::JsonSchema for Duration {
    fn schema_name() -> Cow<'static, str> {
        "Duration".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({"type": "string", "maxLength": 28, "pattern": PATTERN})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_kept_as_written() {
        for (text, millis) in
            [("7m30s", 450_000), ("1h30m", 5_400_000), ("90s", 90_000), ("250ms", 250), ("1h1m1s1ms", 3_661_001)]
        {
            let duration: Duration = text.parse().unwrap();
            assert_eq!(duration.value().as_millis(), millis, "{text}");
            assert_eq!(serde_json::to_value(&duration).unwrap(), serde_json::json!(text));
        }
    }

    #[test]
    fn what_the_schema_refuses_is_refused_here_too() {
        for text in ["", "m", "5", "5d", "1.5h", "123456s", "1s2s3s4s5s", "-1s", "1 s", "PT5M", "1µs"] {
            assert_eq!(text.parse::<Duration>(), Err(NotADuration), "{text}");
        }
    }
}
