//! What failed waits, and neither for ever nor at the cost of the others.

use super::*;

#[test]
fn a_failure_waits_and_the_others_do_not() {
    let mut book = Book::default();
    book.place(order("app", "a"), None);
    book.place(order("app", "b"), None);
    let turn = book.begin(at(0)).unwrap();
    let key = turn.key.clone();
    let outcomes = turn
        .members
        .into_iter()
        .map(|member| {
            let failed = &*member.uid == "a";
            let outcome =
                if failed { Outcome::Failed(Problem::ForeignSecret, None) } else { Outcome::Written(known(1)) };
            (member, outcome)
        })
        .collect();
    let mut news = names(book.finish(&key, Some(&token(0)), outcomes, at(0)));
    news.sort();
    assert_eq!(news, ["a", "b"]);
    assert_eq!(book.progress("a").unwrap().problem, Some(Problem::ForeignSecret));
    assert!(book.begin(at(3)).is_none());
    let turn = book.begin(at(5)).unwrap();
    assert_eq!(uids(&turn), ["a"], "only the one that failed is tried again");
}

#[test]
fn waits_grow_to_thirty_seconds() {
    let mut book = Book::default();
    book.place(order("app", "a"), None);
    let mut now = 0;
    let mut waits = Vec::new();
    for _ in 0..8 {
        let turn = book.begin(at(now)).unwrap();
        let fault = Fault::new(FaultKind::Unreachable, "assume role");
        get_no_token(&mut book, turn, &Problem::Identity(fault), now);
        let wait = schedule::until(book.next_due().unwrap(), at(now)).as_secs();
        waits.push(wait);
        now += i64::try_from(wait).unwrap() + 1;
    }
    assert!(waits[0] >= 3 && waits[0] <= 5, "{waits:?}");
    assert!(waits[7] >= 22 && waits[7] <= 30, "{waits:?}");
}

#[test]
fn an_abandoned_turn_is_taken_again_after_a_while() {
    let mut book = Book::default();
    book.place(order("app", "a"), None);
    let turn = book.begin(at(0)).unwrap();
    book.abandon(&turn.key, at(0));
    assert!(book.begin(at(1)).is_none());
    assert_eq!(uids(&book.begin(at(6)).unwrap()), ["a"]);
}

#[test]
fn a_secret_that_cannot_be_written_does_not_rotate_the_others_again_and_again() {
    let mut book = Book::default();
    for uid in ["a", "b"] {
        book.place(order("app", uid), Some((known(1), published(0))));
    }
    let turn = book.begin(at(0)).unwrap();
    assert_eq!(uids(&turn), ["a", "b"]);
    let key = turn.key.clone();
    let outcomes = turn.members.into_iter().map(|member| {
        let failed = &*member.uid == "a";
        let outcome =
            if failed { Outcome::Failed(Problem::Write(Some(422)), None) } else { Outcome::Written(known(2)) };
        (member, outcome)
    });
    book.finish(&key, Some(&token(0)), outcomes.collect(), at(0));
    for later in [6, 100, 200] {
        let turn = book.begin(at(later)).unwrap();
        assert_eq!((uids(&turn), turn.token.is_some()), (vec!["a"], true), "{later} s later");
        let outcomes =
            turn.members.into_iter().map(|member| (member, Outcome::Failed(Problem::Write(Some(422)), None)));
        book.finish(&key, turn.token.as_ref(), outcomes.collect(), at(later));
    }
}

#[test]
fn a_secret_that_keeps_failing_does_not_renew_its_key_before_its_time() {
    let mut book = Book::default();
    book.place(order("app", "good"), None);
    book.place(order("app", "bad"), None);
    let (mut now, mut signings) = (0, Vec::new());
    while now < 1_200 {
        while let Some(turn) = book.begin(at(now)) {
            let fresh = turn.token.is_none();
            signings.extend(fresh.then_some(now));
            let token = turn.token.clone().unwrap_or_else(|| token(now));
            let outcomes = turn.members.into_iter().map(|member| {
                let outcome = match &*member.uid {
                    "bad" => Outcome::Failed(Problem::Write(Some(422)), None),
                    _ => Outcome::Written(known(u64::try_from(now).unwrap() + 1)),
                };
                (member, outcome)
            });
            let outcomes = outcomes.collect();
            book.finish(&turn.key, Some(&token), outcomes, at(now));
        }
        now += 1;
    }
    let key = order("app", "good").key();
    let pace = i64::try_from(420 - jitter(&key).as_secs()).unwrap();
    for pair in signings.windows(2) {
        assert!(pair[1] - pair[0] >= pace - 1, "{signings:?}, while due every {pace} seconds");
    }
}

#[test]
fn credentials_that_die_soon_make_no_loop() {
    let mut book = Book::default();
    book.place(order("app", "a"), None);
    let turn = book.begin(at(0)).unwrap();
    let dying = Token { usable_until: at(100), ..token(0) };
    let outcomes = turn.members.into_iter().map(|member| (member, Outcome::Written(known(1)))).collect();
    book.finish(&turn.key, Some(&dying), outcomes, at(0));
    assert_eq!(book.next_due(), Some(at(30)));
}

#[test]
fn the_apiserver_is_given_the_time_that_it_asks_for_but_not_the_life_of_a_token() {
    for (asked, expected) in [(1, 4), (45, 45), (3_600, 60)] {
        let mut book = Book::default();
        book.place(order("app", "a"), None);
        let turn = book.begin(at(0)).unwrap();
        let patience = Some(Duration::from_secs(asked));
        let failed = |member| (member, Outcome::Failed(Problem::Write(Some(429)), patience));
        book.finish(&turn.key, Some(&token(0)), turn.members.into_iter().map(failed).collect(), at(0));
        let wait = book.next_due().unwrap().duration_since(at(0)).as_secs();
        assert!((expected - 1..=expected + 1).contains(&wait), "{asked}: {wait}");
    }
}

#[test]
fn a_clock_that_was_ahead_and_is_put_right_leaves_nobody_waiting() {
    let mut book = Book::default();
    book.place(order("app", "a"), None);
    let turn = book.begin(at(3_600)).unwrap();
    get_no_token(&mut book, turn, &Problem::ClockSkew, 3_600);
    assert!(book.begin(at(3_601)).is_none());
    assert!(book.begin(at(3_590)).is_none(), "a few seconds are nothing");
    assert_eq!(uids(&book.begin(at(10)).unwrap()), ["a"]);
}

#[test]
fn what_was_entered_by_a_clock_that_was_ahead_waits_no_longer_than_by_the_right_one() {
    let mut book = Book::default();
    book.place(order("app", "a"), None);
    let turn = book.begin(at(0)).unwrap();
    get_no_token(&mut book, turn, &Problem::ClockSkew, 3_600);
    assert_eq!(uids(&book.begin(at(10)).unwrap()), ["a"]);
}

#[test]
fn a_repair_that_somebody_undoes_each_time_waits_after_a_while() {
    for is_edited in [true, false] {
        let undo = |book: &mut Book, version| book.notice("a", is_edited.then(|| known(version)).as_ref());
        let mut book = issued();
        let mut repairs = 0;
        for version in (10..50).step_by(2) {
            undo(&mut book, version);
            let Some(turn) = book.begin(at(0)) else { break };
            write_all(&mut book, turn, 0, version + 1);
            repairs += 1;
        }
        assert_eq!(repairs, 8, "at one instant");
        let due = book.next_due().unwrap();
        assert!(due > at(0) && due <= at(30), "{due}");

        let turn = book.begin(at(30)).unwrap();
        write_all(&mut book, turn, 30, 100);
        undo(&mut book, 101);
        assert!(book.begin(at(31)).is_none(), "it goes on");
        let turn = book.begin(at(60)).unwrap();
        write_all(&mut book, turn, 60, 102);
        for version in [103, 105] {
            undo(&mut book, version);
            let turn = book.begin(at(130)).expect("nobody undid it for a minute");
            write_all(&mut book, turn, 130, version + 1);
        }
    }
}

#[test]
fn keys_whose_tokens_cannot_be_had_leave_half_of_the_turns_to_the_others() {
    let mut book = Book::default();
    for number in 0..100 {
        let name = format!("u{number}");
        book.place(order(&name, &name), None);
    }
    let first: Vec<_> = std::iter::from_fn(|| book.begin(at(0))).collect();
    assert_eq!(first.len(), 100, "nobody has failed yet");
    for turn in first {
        get_no_token(&mut book, turn, &Problem::SessionTooShort, 0);
    }
    let mut hanging: Vec<_> = std::iter::from_fn(|| book.begin(at(60))).collect();
    assert_eq!(hanging.len(), MOST_FAILING);
    assert_eq!(book.next_due(), None, "nothing is to be woken for");
    book.place(order("good", "good"), Some((known(1), published(500))));
    assert_eq!(uids(&book.begin(at(60)).unwrap()), ["good"]);
    get_no_token(&mut book, hanging.pop().unwrap(), &Problem::SessionTooShort, 70);
    assert!(book.begin(at(70)).is_some() && book.begin(at(70)).is_none(), "one has ended, another begins");
}

#[test]
fn who_signs_for_a_crowd_has_every_other_turn() {
    // Whether no Secret is there, or one with another order.
    for there in [None, Some((known(1), published(800)))] {
        let mut book = Book::default();
        let mut place = |identity: &str, name: &str| {
            let order = Order { identity: role(identity).into(), inputs: inputs(2), ..order(name, name) };
            book.place(order, there.clone());
        };
        (0..50).for_each(|number| place("a-crowd", &format!("c{number}")));
        place("b-few", "x");
        place("b-few", "y");
        let next: Vec<_> = std::iter::from_fn(|| book.begin(at(0))).take(4).collect();
        let next: Vec<_> = next.iter().map(|turn| uids(turn)[0]).collect();
        assert_eq!((next[1], next[3]), ("x", "y"), "{next:?}");
    }
}

#[test]
fn a_secret_that_is_not_there_comes_before_all_that_hold_another_order() {
    let mut book = Book::default();
    for number in 0..50 {
        let (name, changed) = (format!("u{number}"), Some((known(1), published(800))));
        let order = Order { inputs: inputs(2), identity: role("a-crowd").into(), ..order(&name, &name) };
        book.place(order, changed);
    }
    book.place(Order { identity: role("b-few").into(), ..order("new", "new") }, None);
    book.place(Order { identity: role("b-few").into(), ..order("due", "due") }, Some((known(1), published(400))));
    let order: Vec<_> = std::iter::from_fn(|| book.begin(at(0))).map(|turn| uids(&turn)[0].to_owned()).collect();
    assert_eq!((order.len(), order[0].as_str(), order[51].as_str()), (52, "new", "due"));
}
