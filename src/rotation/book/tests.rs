use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::*;
use crate::domain::engine::Engine;
use crate::domain::secret::Secret;
use crate::ports::{Fault, FaultKind};
use crate::rotation::sample::{MARKS, inputs, order, role};

mod waits;

const NOW: i64 = 1_000_000;

fn at(offset: i64) -> Timestamp {
    Timestamp::from_second(NOW + offset).unwrap()
}

fn token(signed: i64) -> Token {
    Token { text: Secret::new("t"), signed_at: at(signed), usable_until: schedule::usable_until(at(signed), None) }
}

fn known(version: u64) -> Known {
    let (resource_version, uid) = (Some(version.to_string()), Some("s".into()));
    Known::of(&MARKS, ObjectMeta { resource_version, uid, ..ObjectMeta::default() })
}

fn published(expires: i64) -> Published {
    Published { expires_at: at(expires), inputs: inputs(1) }
}

fn write_all(book: &mut Book, turn: Turn, signed: i64, version: u64) -> Vec<String> {
    let token = turn.token.clone().unwrap_or_else(|| token(signed));
    let outcomes = turn.members.into_iter().map(|member| (member, Outcome::Written(known(version)))).collect();
    names(book.finish(&turn.key, Some(&token), outcomes, at(signed)))
}

/// No token was to be had for a turn.
fn get_no_token(book: &mut Book, turn: Turn, problem: &Problem, now: i64) {
    let failed = |member| (member, Outcome::Failed(problem.clone(), None));
    book.finish(&turn.key, None, turn.members.into_iter().map(failed).collect(), at(now));
}

/// The order of "a", whose token was signed at 0.
fn issued() -> Book {
    let mut book = Book::default();
    book.place(order("app", "a"), None);
    let turn = book.begin(at(0)).unwrap();
    write_all(&mut book, turn, 0, 1);
    book
}

fn names(news: Vec<ObjectName>) -> Vec<String> {
    assert!(news.iter().all(|object| object.namespace == "shop"), "{news:?}");
    news.into_iter().map(|object| object.name).collect()
}

fn uids(turn: &Turn) -> Vec<&str> {
    turn.members.iter().map(|member| &*member.uid).collect()
}

#[test]
fn what_was_never_issued_is_due_at_once_and_then_by_schedule() {
    let mut book = Book::default();
    book.place(order("app", "a"), None);
    let turn = book.begin(at(0)).unwrap();
    assert!(turn.token.is_none());
    assert_eq!(write_all(&mut book, turn, 0, 1), ["a"], "the first token is news");
    let due = book.next_due().unwrap();
    assert!(due > at(330) - jiff::SignedDuration::from_secs(1) && due <= at(420), "{due}");
    assert!(book.begin(at(0)).is_none());
    let turn = book.begin(due).unwrap();
    assert_eq!(write_all(&mut book, turn, 400, 2), Vec::<String>::new(), "a rotation is no news");
}

#[test]
fn nothing_is_told_while_secrets_wait_for_their_first_token_unless_they_wait_long() {
    let mut book = Book::default();
    for uid in ["a", "b", "c", "d"] {
        book.place(order(uid, uid), None);
    }
    let [first, second, third] = [(); 3].map(|()| book.begin(at(0)).unwrap());
    assert_eq!(write_all(&mut book, first, 0, 1), Vec::<String>::new(), "d waits for its Secret");
    assert_eq!(write_all(&mut book, second, 30, 1), ["a", "b"], "they have waited long");
    let last = book.begin(at(31)).unwrap();
    assert_eq!(write_all(&mut book, third, 31, 1), ["c"], "what is under way does not wait");
    assert_eq!(write_all(&mut book, last, 31, 1), ["d"]);
}

#[test]
fn nothing_is_told_while_secrets_hold_another_order() {
    let mut book = Book::default();
    book.place(order("a", "a"), None);
    book.place(Order { inputs: inputs(2), ..order("b", "b") }, Some((known(1), published(800))));
    let (first, second) = (book.begin(at(0)).unwrap(), book.begin(at(0)).unwrap());
    book.place(Order { inputs: inputs(2), ..order("c", "c") }, Some((known(1), published(800))));
    assert_eq!(write_all(&mut book, first, 0, 1), Vec::<String>::new(), "c holds another order");
    let last = book.begin(at(1)).unwrap();
    assert_eq!(write_all(&mut book, second, 1, 1), ["a", "b"]);
    assert_eq!(write_all(&mut book, last, 1, 1), ["c"]);
}

#[test]
fn a_restart_writes_nothing_that_is_alive() {
    let mut book = Book::default();
    book.place(order("app", "a"), Some((known(1), published(800))));
    assert!(book.begin(at(0)).is_none());
    assert!(book.next_due().unwrap() > at(0));
    book.place(Order { inputs: inputs(2), ..order("other", "b") }, Some((known(1), published(800))));
    assert_eq!(uids(&book.begin(at(0)).unwrap()), ["b"], "changed inputs are written at once");
}

#[test]
fn all_secrets_of_a_key_are_written_in_one_turn() {
    let mut book = Book::default();
    for uid in ["a", "b", "c"] {
        book.place(order("app", uid), Some((known(1), published(800))));
    }
    book.place(order("other", "other"), Some((known(1), published(870))));
    let turn = book.begin(at(800)).unwrap();
    assert_eq!(uids(&turn), ["a", "b", "c"]);
}

#[test]
fn of_a_turn_a_secret_that_is_not_there_is_written_first() {
    let mut book = Book::default();
    for name in ["a", "b"] {
        book.place(order("app", name), Some((known(1), published(0))));
    }
    book.place(order("app", "new"), None);
    assert_eq!(uids(&book.begin(at(0)).unwrap()), ["new", "a", "b"]);
}

#[test]
fn orders_that_are_due_when_they_are_placed_one_by_one_share_one_signing() {
    let mut book = Book::default();
    book.place(order("app", "a"), Some((known(1), published(300))));
    let turn = book.begin(at(0)).unwrap();
    book.place(order("app", "b"), Some((known(1), published(300))));
    write_all(&mut book, turn, 0, 2);
    let turn = book.begin(at(1)).unwrap();
    assert_eq!((uids(&turn), turn.token.is_some()), (vec!["b"], true), "what was just written is not written again");
    write_all(&mut book, turn, 1, 3);
    assert_eq!(book.progress("a"), book.progress("b"));
    assert!(book.begin(at(2)).is_none());
}

#[test]
fn secrets_of_a_key_that_were_signed_for_apart_are_renewed_as_one() {
    let mut book = issued();
    book.place(Order { inputs: inputs(2), ..order("app", "b") }, Some((known(1), published(800))));
    let turn = book.begin(at(5)).unwrap();
    assert_eq!((uids(&turn), turn.token.is_some()), (vec!["b"], false), "changed inputs want a new signing");
    write_all(&mut book, turn, 5, 2);
    let turn = book.begin(book.next_due().unwrap()).unwrap();
    assert_eq!((uids(&turn), turn.token.is_some()), (vec!["a", "b"], false));
}

#[test]
fn a_newcomer_takes_the_current_token_while_it_lives_long_enough() {
    let mut book = issued();
    book.place(order("app", "b"), None);
    let turn = book.begin(at(100)).unwrap();
    assert_eq!((uids(&turn), turn.token.is_some()), (vec!["b"], true));
    write_all(&mut book, turn, 100, 2);
    assert_eq!(book.progress("a"), book.progress("b"), "both hold the same token");
    book.place(order("app", "c"), None);
    let turn = book.begin(at(331)).unwrap();
    assert!(turn.token.is_none(), "it has less than renewBefore and the spread left");
}

#[test]
fn the_echo_of_our_own_write_is_no_work_and_a_foreign_write_is_looked_at() {
    let mut book = Book::default();
    book.place(order("app", "a"), None);
    let turn = book.begin(at(0)).unwrap();
    write_all(&mut book, turn, 0, 7);
    for echo in [7, 6, 1] {
        book.notice("a", Some(&known(echo)));
        assert!(book.begin(at(1)).is_none(), "version {echo}");
    }
    book.notice("a", Some(&known(9)));
    let turn = book.begin(at(1)).unwrap();
    assert!(turn.members[0].is_suspect && turn.token.is_some());
}

#[test]
fn a_deleted_secret_is_made_again_at_once() {
    let mut book = Book::default();
    book.place(order("app", "a"), Some((known(1), published(800))));
    book.notice("a", None);
    let turn = book.begin(at(0)).unwrap();
    assert!(turn.members[0].known.is_none());
}

#[test]
fn a_secret_that_goes_during_its_turn_is_looked_at_afterwards() {
    let mut book = Book::default();
    book.place(order("app", "a"), None);
    let turn = book.begin(at(0)).unwrap();
    book.notice("a", None);
    write_all(&mut book, turn, 0, 1);
    let turn = book.begin(at(0)).unwrap();
    assert!(turn.members[0].is_suspect);
    write_all(&mut book, turn, 0, 1);
    assert!(book.begin(at(0)).is_none());
}

#[test]
fn a_withdrawn_order_is_forgotten_even_in_flight() {
    let mut book = Book::default();
    book.place(order("app", "a"), None);
    let turn = book.begin(at(0)).unwrap();
    assert_eq!(book.withdraw("a"), Some(turn.key.identity.clone()));
    assert_eq!(write_all(&mut book, turn, 0, 1), Vec::<String>::new());
    assert_eq!((book.len(), book.next_due()), (0, None));
}

#[test]
fn an_identity_is_forgotten_with_its_last_order_whatever_that_is_for() {
    for (first, second) in [("app", "batch"), ("batch", "app")] {
        let mut book = Book::default();
        book.place(order(first, "a"), None);
        book.place(order(second, "b"), None);
        assert_eq!(book.withdraw("a"), None, "another user's tokens are signed by it, too");
        assert_eq!(book.withdraw("b"), Some(order("app", "b").identity));
    }
}

#[test]
fn an_order_changed_in_flight_is_written_again() {
    let mut book = Book::default();
    book.place(order("app", "a"), None);
    let turn = book.begin(at(0)).unwrap();
    book.place(Order { inputs: inputs(2), ..order("app", "a") }, None);
    assert!(book.begin(at(0)).is_none(), "one turn of a key at a time");
    write_all(&mut book, turn, 0, 1);
    let turn = book.begin(at(1)).unwrap();
    assert!(turn.token.is_none(), "changed inputs want a new signing");
}

/// An order that moved to another key while the turn of the first was under way, and both turns.
fn moved_in_flight() -> (Book, Turn, Turn) {
    let mut book = Book::default();
    book.place(order("app", "a"), None);
    let turn = book.begin(at(0)).unwrap();
    book.place(Order { inputs: inputs(2), ..order("other", "a") }, None);
    let other = book.begin(at(0)).unwrap();
    (book, turn, other)
}

#[test]
fn an_order_that_moved_to_another_key_in_flight_is_written_by_that_key() {
    let (mut book, turn, other) = moved_in_flight();
    assert_ne!(other.key, turn.key);
    write_all(&mut book, other, 0, 2);
    assert!(book.progress("a").unwrap().is_current);
    write_all(&mut book, turn, 0, 3);
    let again = book.begin(at(0)).unwrap();
    assert_eq!(again.key.connect.username, "other");
    assert!(again.members[0].is_suspect, "the late write of the old key is looked at");
}

#[test]
fn what_two_keys_wrote_at_the_same_time_is_looked_at_whoever_ends_last() {
    let (mut book, turn, other) = moved_in_flight();
    write_all(&mut book, turn, 0, 3);
    write_all(&mut book, other, 0, 2);
    let again = book.begin(at(0)).unwrap();
    assert_eq!(again.key.connect.username, "other");
    assert!(again.members[0].is_suspect, "the late write of the old key may have been the last");
    write_all(&mut book, again, 0, 4);
    assert!(book.begin(at(0)).is_none(), "once");
}

#[test]
fn an_identity_that_an_order_moved_away_from_is_forgotten_unless_another_needs_it() {
    let by = |name: &str, uid: &str| Order { identity: role(name).into(), ..order("app", uid) };
    let mut book = Book::default();
    assert_eq!(book.place(by("one", "a"), None), None);
    assert_eq!(book.place(by("one", "b"), None), None);
    assert_eq!(book.place(by("two", "a"), None), None, "b needs it");
    assert_eq!(book.place(by("two", "b"), None), Some(role("one").into()));
}

#[test]
fn an_order_wants_the_token_of_its_own_key_as_long_as_it_stands() {
    let mut book = Book::default();
    book.place(order("app", "a"), None);
    let (key, other) = (order("app", "a").key(), order("other", "a").key());
    assert!(book.wants("a", &key) && !book.wants("a", &other));
    book.withdraw("a");
    assert!(!book.wants("a", &key));
}

#[test]
fn what_is_published_for_an_earlier_order_is_not_current() {
    let mut book = Book::default();
    book.place(order("app", "a"), Some((known(1), published(800))));
    assert!(book.progress("a").unwrap().is_current);
    book.place(Order { inputs: inputs(2), ..order("app", "a") }, None);
    assert!(!book.progress("a").unwrap().is_current);
}

#[test]
fn a_signing_that_is_asked_for_within_the_second_of_the_last_waits_for_the_next() {
    let mut book = issued();
    book.place(Order { inputs: inputs(2), ..order("app", "a") }, None);
    let within = at(0) + jiff::SignedDuration::from_millis(900);
    assert!(book.begin(within).is_none(), "it would be the same token once more");
    assert_eq!(book.next_due(), Some(at(1)));
    let turn = book.begin(at(1)).unwrap();
    assert!(turn.token.is_none());
}

#[test]
fn a_file_that_had_to_be_left_out_is_news() {
    let mut book = Book::default();
    let mut mariadb = order("app", "a");
    mariadb.binding.engine = Engine::MariaDb;
    mariadb.binding.formats = [crate::domain::binding::Format::MyCnf].into();
    book.place(mariadb, None);
    assert_eq!(book.progress("a").unwrap().omits_my_cnf, None, "nobody knows before it is written");
    let turn = book.begin(at(0)).unwrap();
    let long = Token { text: Secret::new("x".repeat(5_000)), ..token(0) };
    let outcomes = turn.members.into_iter().map(|member| (member, Outcome::Written(known(1)))).collect();
    assert_eq!(names(book.finish(&turn.key, Some(&long), outcomes, at(0))), ["a"]);
    assert_eq!(book.progress("a").unwrap().omits_my_cnf, Some(true));
}

#[test]
fn what_happens_to_a_secret_while_another_of_its_key_is_written_is_not_lost() {
    let mut book = Book::default();
    for uid in ["a", "b", "c"] {
        book.place(order("app", uid), Some((known(1), published(800))));
    }
    book.notice("a", None);
    let turn = book.begin(at(0)).unwrap();
    assert_eq!(uids(&turn), ["a"]);
    book.notice("b", None);
    book.notice("c", Some(&known(5)));
    write_all(&mut book, turn, 0, 9);
    let turn = book.begin(at(1)).unwrap();
    assert_eq!(uids(&turn), ["b", "c"]);
    assert!(turn.members[0].known.is_none() && turn.members[1].is_suspect);
}

#[test]
fn a_renewal_after_death_is_news() {
    let mut book = issued();
    let turn = book.begin(at(869)).unwrap();
    assert_eq!(write_all(&mut book, turn, 869, 2), Vec::<String>::new());
    let turn = book.begin(at(869 + 870)).unwrap();
    assert_eq!(write_all(&mut book, turn, 869 + 870, 3), ["a"]);
}

#[test]
fn an_order_that_changes_is_known_by_the_same_copy_of_its_uid() {
    let mut book = issued();
    book.place(Order { inputs: inputs(2), ..order("app", "a") }, None);
    let (uid, slot) = book.slots.iter().next().unwrap();
    assert!(Arc::ptr_eq(uid, &slot.order.owner.uid));
    assert_eq!(slot.order.inputs, inputs(2));
}

#[test]
fn namespaces_that_sign_for_one_name_by_one_role_are_not_renewed_together() {
    let spread: BTreeSet<Duration> = (0..50)
        .map(|number| {
            let identity = Identity::ServiceAccount {
                region: "us-east-1".into(),
                namespace: format!("shop-{number}"),
                name: "app".into(),
                role: "arn:aws:iam::123456789012:role/app".parse().unwrap(),
                then: None,
            };
            jitter(&Order { identity: identity.into(), ..order("app", "a") }.key())
        })
        .collect();
    assert_eq!(spread.len(), 50);
    let (first, last) = (spread.first().unwrap(), spread.last().unwrap());
    assert!(*last > *first + schedule::JITTER / 2, "{first:?} to {last:?}");
}
