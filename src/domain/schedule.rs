//! When a token dies, and when it is due to be replaced.

use std::time::Duration;

use aws_lc_rs::digest;
use jiff::{SignedDuration, Timestamp};

/// Life of a token from its signature. AWS accepts no longer one.
pub const TOKEN_LIFE: Duration = Duration::from_secs(900);

/// Taken off the life of a token: clocks differ, and a login takes time.
pub const MARGIN: Duration = Duration::from_secs(30);

/// Temporary credentials that die sooner than this are renewed before anything is signed with them: a whole token's life and some.
pub const CREDENTIALS_RESERVE: Duration = Duration::from_secs(16 * 60);

/// A session that is shorter than this is not worth signing with: its tokens would have to be renewed as soon as they are out.
pub const LEAST_SESSION: Duration = Duration::from_secs(870);

/// Least time between two signings for a Secret by schedule: credentials that die soon, and that nothing can renew, must not make it a loop.
pub const LEAST_PAUSE: Duration = Duration::from_secs(30);

/// How far the clock may be off before nothing is signed by it: the database would refuse what is.
pub const LARGEST_SKEW: Duration = Duration::from_secs(60);

/// Spread of due times: tokens that were issued together are not renewed together.
pub const JITTER: Duration = Duration::from_secs(90);

/// How long before its end a token is replaced, where the object says nothing.
pub const RENEW_BEFORE: Duration = Duration::from_secs(450);

/// Failure is told in conditions once a published token has less life than this.
pub const ALARM: Duration = Duration::from_secs(240);

/// How long a refusal must stand before anything is taken away: rules and labels are edited in steps, and put right again.
pub const HYSTERESIS: Duration = Duration::from_secs(60);

/// What a refusal that came after an admission takes away, by the time that it has stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// Nothing yet; to be looked at again after this.
    Nothing(Duration),
    /// No further token is signed; those that are out still work. To be looked at again after this.
    Signing(Duration),
    /// The last token has run out: the right to connect goes too.
    Connecting,
}

/// What a refusal that has stood since `since` takes away.
#[must_use]
pub fn withdrawal(since: Timestamp, now: Timestamp) -> Withdrawal {
    let (signing, connecting) = (plus(since, HYSTERESIS), plus(since, HYSTERESIS + TOKEN_LIFE));
    if now < signing {
        Withdrawal::Nothing(until(signing, now))
    } else if now < connecting {
        Withdrawal::Signing(until(connecting, now))
    } else {
        Withdrawal::Connecting
    }
}

/// The instant without its fraction: signatures, labels and annotations all speak of whole seconds.
#[must_use]
pub fn whole_second(instant: Timestamp) -> Timestamp {
    Timestamp::from_second(instant.as_second()).unwrap_or(instant)
}

/// Until when a token signed at `signed_at` can be relied on: it dies with the credentials that signed it.
#[must_use]
pub fn usable_until(signed_at: Timestamp, credentials_expire_at: Option<Timestamp>) -> Timestamp {
    let own_end = plus(signed_at, TOKEN_LIFE);
    minus(credentials_expire_at.map_or(own_end, |end| end.min(own_end)), MARGIN)
}

/// Share of [`JITTER`] that belongs to a key. Fixed by the key, so that a restart does not gather the herd.
#[must_use]
pub fn jitter(key: &str) -> Duration {
    let hash = digest::digest(&digest::SHA256, key.as_bytes());
    let head = hash.as_ref().iter().take(8).fold(0_u64, |head, &byte| head << 8 | u64::from(byte));
    let span = u64::try_from(JITTER.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(head % span)
}

/// The same as a share of any span: at least 0, less than 1.
#[must_use]
pub fn share(key: &str) -> f64 {
    jitter(key).as_secs_f64() / JITTER.as_secs_f64()
}

/// When a token is due to be replaced.
#[must_use]
pub fn due(usable_until: Timestamp, renew_before: Duration, jitter: Duration) -> Timestamp {
    minus(minus(usable_until, renew_before), jitter)
}

/// Whether credentials must be renewed before something is signed with them.
#[must_use]
pub fn must_renew(credentials_expire_at: Option<Timestamp>, now: Timestamp) -> bool {
    credentials_expire_at.is_some_and(|end| end < plus(now, CREDENTIALS_RESERVE))
}

/// Whether a fresh session is too short to sign with.
#[must_use]
pub fn is_too_short(session_ends_at: Option<Timestamp>, now: Timestamp) -> bool {
    session_ends_at.is_some_and(|end| end < plus(now, LEAST_SESSION))
}

/// An instant later by `span`; the end of time where there is none.
#[must_use]
pub fn plus(instant: Timestamp, span: Duration) -> Timestamp {
    SignedDuration::try_from(span).ok().and_then(|span| instant.checked_add(span).ok()).unwrap_or(Timestamp::MAX)
}

/// An instant earlier by `span`; the beginning of time where there is none.
#[must_use]
pub fn minus(instant: Timestamp, span: Duration) -> Timestamp {
    SignedDuration::try_from(span).ok().and_then(|span| instant.checked_sub(span).ok()).unwrap_or(Timestamp::MIN)
}

/// How long it is from `now` to `instant`; nothing if it has passed.
#[must_use]
pub fn until(instant: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(instant.duration_since(now)).unwrap_or(Duration::ZERO)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_token_is_relied_on_for_less_than_its_life() {
        assert_eq!(usable_until(at(1_000), None), at(1_870));
        assert_eq!(usable_until(at(1_000), Some(at(9_000))), at(1_870));
        assert_eq!(usable_until(at(1_000), Some(at(1_500))), at(1_470));
    }

    #[test]
    fn credentials_are_renewed_while_a_whole_token_still_fits() {
        assert!(must_renew(Some(at(1_000 + 959)), at(1_000)));
        assert!(!must_renew(Some(at(1_000 + 960)), at(1_000)));
        assert!(!must_renew(None, at(1_000)));
    }

    #[test]
    fn a_session_of_a_quarter_of_an_hour_is_long_enough_and_a_shorter_one_is_not() {
        assert!(!is_too_short(Some(at(1_900)), at(1_000)));
        assert!(is_too_short(Some(at(1_860)), at(1_000)));
        assert!(!is_too_short(None, at(1_000)));
    }

    #[test]
    fn the_due_time_is_before_the_end_by_renew_before_and_jitter() {
        assert_eq!(due(at(1_870), Duration::from_secs(450), Duration::from_secs(60)), at(1_360));
        assert_eq!(due(at(1_870), Duration::from_secs(720), Duration::from_secs(90)), at(1_060));
    }

    #[test]
    fn a_refusal_takes_away_signing_first_and_connecting_when_the_last_token_has_run_out() {
        let after = |second: i64| withdrawal(at(1_000), at(1_000 + second));
        assert_eq!(after(0), Withdrawal::Nothing(Duration::from_secs(60)));
        assert_eq!(after(59), Withdrawal::Nothing(Duration::from_secs(1)));
        assert_eq!(after(60), Withdrawal::Signing(Duration::from_secs(900)));
        assert_eq!(after(959), Withdrawal::Signing(Duration::from_secs(1)));
        assert_eq!(after(960), Withdrawal::Connecting);
    }

    #[test]
    fn time_that_has_passed_is_no_time() {
        assert_eq!(until(at(10), at(4)), Duration::from_secs(6));
        assert_eq!(until(at(4), at(10)), Duration::ZERO);
    }

    #[test]
    fn jitter_spreads_keys_evenly_enough() {
        let shares: Vec<_> = (0..1_000).map(|i| jitter(&format!("key-{i}")).as_secs() / 10).collect();
        for tenth in 0..9 {
            let count = shares.iter().filter(|&&share| share == tenth).count();
            assert!((60..=170).contains(&count), "{count} of 1000 keys in tenth {tenth}");
        }
    }

    proptest! {
        #[test]
        fn jitter_is_fixed_by_the_key_and_bounded(key in ".*") {
            prop_assert_eq!(jitter(&key), jitter(&key));
            prop_assert!(jitter(&key) < JITTER);
        }

        #[test]
        fn a_due_time_is_never_after_the_end(end in 0_i64..4_000_000_000, renew in 0_u64..100_000, spread in 0_u64..90) {
            prop_assert!(due(at(end), Duration::from_secs(renew), Duration::from_secs(spread)) <= at(end));
        }
    }
}
