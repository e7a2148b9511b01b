//! The few shapes of DER that trust stores are made of.

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const SET: u8 = 0x31;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const NULL: &[u8] = &[0x05, 0x00];

/// A value with its tag and length.
pub(super) fn value(tag: u8, contents: &[u8]) -> Vec<u8> {
    let length = contents.len();
    let mut out = vec![tag];
    if let Ok(short @ 0..0x80) = u8::try_from(length) {
        out.push(short);
    } else {
        let bytes = length.to_be_bytes();
        let significant: Vec<u8> = bytes.into_iter().skip_while(|&byte| byte == 0).collect();
        // A length has at most eight bytes, so their number fits.
        out.push(0x80 | significant.len().to_le_bytes()[0]);
        out.extend(significant);
    }
    out.extend_from_slice(contents);
    out
}

/// A sequence of values.
pub(super) fn sequence(parts: &[&[u8]]) -> Vec<u8> {
    value(SEQUENCE, &parts.concat())
}

/// A set of one value.
pub(super) fn set(part: &[u8]) -> Vec<u8> {
    value(SET, part)
}

/// A small number.
pub(super) fn integer(number: u16) -> Vec<u8> {
    let [high, low] = number.to_be_bytes();
    let bytes: &[u8] = match (high, low) {
        (0, 0..0x80) => &[low],
        (0, _) => &[0, low],
        (0..0x80, _) => &[high, low],
        _ => &[0, high, low],
    };
    value(0x02, bytes)
}

/// A constructed, explicit context tag.
pub(super) fn explicit(number: u8, contents: &[u8]) -> Vec<u8> {
    value(0xa0 | number, contents)
}

/// An object identifier, from its encoded arcs.
pub(super) fn oid(arcs: &[u8]) -> Vec<u8> {
    value(0x06, arcs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_take_the_shortest_form() {
        assert_eq!(value(OCTETS, &[1])[..2], [4, 1]);
        assert_eq!(value(OCTETS, &[0; 127])[..2], [4, 127]);
        assert_eq!(value(OCTETS, &[0; 128])[..3], [4, 0x81, 128]);
        assert_eq!(value(OCTETS, &[0; 300])[..4], [4, 0x82, 1, 44]);
    }

    #[test]
    fn numbers_are_never_negative() {
        assert_eq!(integer(3), [2, 1, 3]);
        assert_eq!(integer(200), [2, 2, 0, 200]);
        assert_eq!(integer(10_000), [2, 2, 0x27, 0x10]);
        assert_eq!(integer(40_000), [2, 3, 0, 0x9c, 0x40]);
    }
}
