//! Which read of the catalogue is good enough to judge a user by. Pure, but for the memory of what each was judged by last.
//!
//! Whoever comes because something changed has to see the database as it is now. Whoever comes at its resync is content with a survey that is
//! younger than the one it was judged by last: so all users of a server, however their resyncs are spread, are served by one survey in a while.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How young a survey has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// It began at this instant or later. None for whoever has not been judged in this process: any will do.
    after: Option<Instant>,
    /// Whether something changed, so that nobody else is in want of a survey because of that.
    pub(super) is_alone: bool,
}

impl Need {
    /// Whether a survey that began `at` this instant will do at the instant `now`.
    pub(super) fn is_met(self, at: Instant, now: Instant, longest: Duration) -> bool {
        self.after.is_none_or(|after| at > after) && now.saturating_duration_since(at) <= longest
    }
}

/// What each user was judged by last, by uid.
#[derive(Debug, Default)]
pub(super) struct Judgements(Mutex<HashMap<String, Judgement>>);

#[derive(Clone, Copy, Debug)]
struct Judgement {
    /// Of all that the judgement depended on, but for the database.
    fingerprint: u64,
    at: Instant,
}

impl Judgements {
    /// What a user needs that comes `now`. `was_well` tells what its status says, for users that this process has not met.
    pub(super) fn need(&self, uid: &str, fingerprint: u64, was_well: bool, now: Instant) -> Need {
        let held = self.0.lock();
        match held.get(uid) {
            Some(last) if last.fingerprint == fingerprint => Need { after: Some(last.at), is_alone: false },
            None if was_well => Need { after: None, is_alone: false },
            _ => Need { after: Some(now), is_alone: true },
        }
    }

    /// The user was judged by what was read at this instant.
    pub(super) fn judged(&self, uid: &str, fingerprint: u64, at: Instant) {
        self.0.lock().insert(uid.to_owned(), Judgement { fingerprint, at });
    }

    /// How long after `now` a user is to be looked at again whose pace is this. The pace counts from the read and not from the look: so all who were
    /// judged by one survey come together again, and are served by one again.
    pub(super) fn wait(&self, uid: &str, pace: Duration, now: Instant) -> Duration {
        let held = self.0.lock();
        let since = held.get(uid).map_or(Duration::ZERO, |last| now.saturating_duration_since(last.at));
        // Who was looked at and not judged (suspended, say) has nobody to meet.
        pace.checked_sub(since).filter(|left| *left >= Duration::from_secs(1)).unwrap_or(pace)
    }

    /// The user has to be looked at anew, or is gone.
    pub(super) fn forget(&self, uid: &str) {
        self.0.lock().remove(uid);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(300);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn whoever_changed_needs_to_see_the_database_as_it_is_now() {
        let (judgements, start) = (Judgements::default(), Instant::now());
        let new = judgements.need("u", 1, false, start + seconds(10));
        assert!(new.is_alone && !new.is_met(start + seconds(9), start + seconds(10), LONGEST));
        judgements.judged("u", 1, start + seconds(10));
        let changed = judgements.need("u", 2, true, start + seconds(20));
        assert!(changed.is_alone && !changed.is_met(start + seconds(15), start + seconds(20), LONGEST));
        assert!(changed.is_met(start + seconds(21), start + seconds(22), LONGEST), "somebody else has read since");
    }

    #[test]
    fn at_a_resync_a_survey_will_do_that_is_younger_than_the_last_judgement_and_not_old() {
        let (judgements, start) = (Judgements::default(), Instant::now());
        judgements.judged("u", 1, start);
        let need = judgements.need("u", 1, true, start + seconds(300));
        assert!(!need.is_alone);
        assert!(!need.is_met(start, start + seconds(300), LONGEST), "it was judged by that one");
        assert!(need.is_met(start + seconds(200), start + seconds(300), LONGEST));
        assert!(!need.is_met(start + seconds(200), start + seconds(501), LONGEST), "too old");
    }

    #[test]
    fn after_a_restart_any_young_survey_will_do_for_whoever_was_well() {
        let (judgements, start) = (Judgements::default(), Instant::now());
        let need = judgements.need("u", 1, true, start + seconds(1));
        assert!(!need.is_alone && need.is_met(start, start + seconds(1), LONGEST));
    }

    #[test]
    fn who_is_looked_at_without_a_judgement_keeps_its_pace() {
        let (judgements, start) = (Judgements::default(), Instant::now());
        judgements.judged("u", 1, start);
        assert_eq!(judgements.wait("u", seconds(300), start + seconds(100)), seconds(200));
        for late in [300, 301, 9_000] {
            assert_eq!(judgements.wait("u", seconds(300), start + seconds(late)), seconds(300), "{late}");
        }
    }

    /// However the resyncs of many users are spread, they find together: one survey serves all of them, and is the next when the first comes again.
    #[test]
    fn resyncs_that_are_spread_are_served_by_one_survey_each() {
        let (judgements, start) = (Judgements::default(), Instant::now());
        let pace = |user: u64| seconds(240 + user * 120 / 500);
        // They were made one after the other, and each was judged by a read of its own then.
        (0..500).for_each(|user| judgements.judged(&user.to_string(), 1, start + seconds(user)));
        let mut due: Vec<u64> = (0..500).map(|user| user + pace(user).as_secs()).collect();
        let (mut survey, mut surveys) = (start, Vec::new());
        for second in 1..=6_000 {
            let now = start + seconds(second);
            for user in 0..500_u64 {
                let slot = usize::try_from(user).unwrap();
                if due[slot] != second {
                    continue;
                }
                let uid = user.to_string();
                if !judgements.need(&uid, 1, true, now).is_met(survey, now, LONGEST) {
                    survey = now;
                    surveys.push(second);
                }
                judgements.judged(&uid, 1, survey);
                due[slot] = second + judgements.wait(&uid, pace(user), now).as_secs();
            }
        }
        let late: Vec<u64> = surveys.into_iter().filter(|second| *second > 3_000).collect();
        let are_apart = late.windows(2).all(|pair| pair[1] - pair[0] >= pace(0).as_secs());
        assert!(
            are_apart && late.len() <= 3_000 / 240 + 1,
            "{} surveys in ten resyncs of 500 users: {late:?}",
            late.len()
        );
    }
}
