//! Percent-encoding as Signature Version 4 wants it.

/// Decodes `%XX`. A `+` stays a `+`: the signature's canonical form knows no other way to write a space than `%20`.
///
/// `None` when an escape is cut short or is no number, or when the result is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => hex_digit(bytes.next()?)? << 4 | hex_digit(bytes.next()?)?,
            plain => plain,
        });
    }
    String::from_utf8(decoded).ok()
}

/// Encodes everything but the unreserved characters of RFC 3986, with upper-case digits.
pub(crate) fn encode(text: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => encoded.push(char::from(byte)),
            other => {
                encoded.push('%');
                encoded.push(char::from(DIGITS[usize::from(other >> 4)]));
                encoded.push(char::from(DIGITS[usize::from(other & 0x0f)]));
            }
        }
    }
    encoded
}

fn hex_digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        b'A'..=b'F' => Some(byte - b'A' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_case_of_digits_decodes_and_upper_case_is_written() {
        assert_eq!(decode("a%2fb%2Fc").as_deref(), Some("a/b/c"));
        assert_eq!(encode("a/b"), "a%2Fb");
    }

    #[test]
    fn a_plus_is_a_plus() {
        assert_eq!(decode("a+b").as_deref(), Some("a+b"));
        assert_eq!(encode("a+b c"), "a%2Bb%20c");
    }

    #[test]
    fn broken_escapes_are_refused() {
        for broken in ["%", "%4", "a%", "%zz", "%4g", "%+1", "%ff", "%é0"] {
            assert_eq!(decode(broken), None, "{broken}");
        }
    }

    #[test]
    fn text_beyond_ascii_survives() {
        let text = "josé ~._-*'()";
        assert_eq!(decode(&encode(text)).as_deref(), Some(text));
        assert_eq!(encode("é*"), "%C3%A9%2A");
    }
}
