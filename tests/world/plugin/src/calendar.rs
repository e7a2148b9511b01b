//! Seconds since the epoch to dates and back: all that the plugin needs of a calendar.
//!
//! The arithmetic is Howard Hinnant's `days_from_civil` and `civil_from_days`, for the proleptic Gregorian calendar.

const DAY: i64 = 86_400;

/// Reads `20260101T000000Z`, the form of `X-Amz-Date`. `None` when it is no such date, or a date that never was.
pub(crate) fn parse_amz(text: &str) -> Option<i64> {
    let bytes: &[u8; 16] = text.as_bytes().try_into().ok()?;
    if bytes[8] != b'T' || bytes[15] != b'Z' {
        return None;
    }
    let year = number(&bytes[0..4])?;
    let month = number(&bytes[4..6])?;
    let day = number(&bytes[6..8])?;
    let (hour, minute, second) = (number(&bytes[9..11])?, number(&bytes[11..13])?, number(&bytes[13..15])?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days_from_civil(year, month, day);
    // A day that is not in the calendar comes back as another one.
    if civil_from_days(days) != (year, month, day) {
        return None;
    }
    Some(days * DAY + hour * 3600 + minute * 60 + second)
}

/// Writes RFC 3339 in UTC, to the second.
pub(crate) fn rfc3339(epoch: i64) -> String {
    let (year, month, day) = civil_from_days(epoch.div_euclid(DAY));
    let second = epoch.rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |value, digit| digit.is_ascii_digit().then(|| value * 10 + i64::from(digit - b'0')))
}

/// Years begin in March here, so that the leap day is the last of its year; an era is 400 such years.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_of_the_published_examples() {
        assert_eq!(parse_amz("20240826T220000Z"), Some(1_724_709_600));
        assert_eq!(parse_amz("19700101T000000Z"), Some(0));
        assert_eq!(parse_amz("20000229T235959Z"), Some(951_868_799));
        assert_eq!(rfc3339(1_724_709_600), "2024-08-26T22:00:00Z");
        assert_eq!(rfc3339(-1), "1969-12-31T23:59:59Z");
    }

    #[test]
    fn every_day_of_eight_centuries_comes_back() {
        let first = days_from_civil(1600, 1, 1);
        for days in first..first + 2 * 146_097 {
            let (year, month, day) = civil_from_days(days);
            assert_eq!(days_from_civil(year, month, day), days);
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        let broken = [
            "",
            "20240826",
            "20240826T220000",
            "2024-08-26T22:00Z",
            "20240826t220000Z",
            "20240826T220000z",
            "20240230T000000Z",
            "20230229T000000Z",
            "20240001T000000Z",
            "20241301T000000Z",
            "20240100T000000Z",
            "20240826T240000Z",
            "20240826T226000Z",
            "20240826T220060Z",
            "+2240826T220000Z",
            "2024082éT22000Z",
        ];
        for text in broken {
            assert_eq!(parse_amz(text), None, "{text}");
        }
    }
}
