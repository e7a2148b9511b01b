//! Whose an account is, who would win its login, and how it is left.

use super::*;

#[test]
fn an_anonymous_account_that_would_win_the_login_shadows() {
    let seen = |host: &str| Catalogue { anonymous: [host.to_owned()].into(), ..Catalogue::default() };
    for host in ["10.%", "10.1.2.3", "%.internal"] {
        let refusal = super::super::plan(&desired(&[]), &seen(host), &facts(Engine::MySql), ALIVE);
        let wins = host != "%.internal"; // its wildcard comes as early as that of the account
        assert_eq!(matches!(refusal, Err(Refusal::ShadowedByAnonymous { .. })), wins, "{host}: {refusal:?}");
    }
    for host in ["%", "", "localhost"] {
        assert!(super::super::plan(&desired(&[]), &seen(host), &facts(Engine::MySql), ALIVE).is_ok(), "{host}");
    }
}

#[test]
fn an_account_of_somebody_else_is_adopted_where_that_is_asked_for_and_only_then() {
    let adopting = DesiredUser { adopts: true, ..desired(&[]) };
    let mut theirs = account(None, &[]);
    theirs.plugin = "mysql_native_password".into();
    let adopted = Owner { adopted: true, ..owner() };
    let (host_of, owner_of) = (|| host("%"), || adopted.clone());
    assert_eq!(
        plan(&adopting, &with("%", theirs.clone()), &facts(Engine::MySql), ALIVE).unwrap(),
        [AccountStep::Adopt { host: host_of(), owner: owner_of() }]
    );
    assert_eq!(
        plan(&adopting, &with("%", theirs.clone()), &facts(Engine::MariaDb), ALIVE).unwrap(),
        [
            AccountStep::RecordAdoption { host: host_of(), owner: owner_of() },
            AccountStep::Adopt { host: host_of(), owner: owner_of() },
            AccountStep::RecordOwned { host: host_of(), owner: owner_of() },
            marking(),
        ]
    );
    let mut too_much = vec![theirs.clone(); 4];
    too_much[0].grants = on(GrantedOn::Server, "CREATE USER");
    too_much[1].grants = on(GrantedOn::Schema("orders".into()), "GRANT OPTION");
    too_much[2].roles = [(role("reader"), false)].into();
    too_much[3].grants = on(GrantedOn::Schema("mysql".into()), "SELECT");
    for account in too_much {
        let refusal = plan(&adopting, &with("%", account.clone()), &facts(Engine::MySql), ALIVE).unwrap_err();
        assert!(matches!(refusal, Refusal::TooMuch { .. }), "{refusal}");
    }
    theirs.is_privileged = true;
    let refusal = plan(&adopting, &with("%", theirs), &facts(Engine::MySql), ALIVE).unwrap_err();
    assert!(matches!(refusal, Refusal::Privileged { .. }), "{refusal}");
    let others = account(Some(Owner { uid: "u2".into(), name: "x".into(), ..owner() }), &[]);
    let refusal = plan(&adopting, &with("%", others), &facts(Engine::MySql), ALIVE).unwrap_err();
    assert!(matches!(refusal, Refusal::Owned { .. }), "another object's account is no account of nobody: {refusal}");
}

#[test]
fn an_adopted_account_keeps_that_in_its_mark_and_is_dropped_only_on_the_objects_own_word() {
    let adopted = Owner { adopted: true, ..owner() };
    let seen = with("%", account(Some(adopted.clone()), &[]));
    assert_eq!(plan(&desired(&[]), &seen, &facts(Engine::MySql), ALIVE), Ok(vec![]));
    let former = with("%", account(Some(Owner { uid: "u0".into(), ..adopted.clone() }), &[]));
    assert_eq!(
        plan(&desired(&[]), &former, &facts(Engine::MySql), GONE).unwrap(),
        [AccountStep::Mark { host: host("%"), owner: adopted }]
    );
    assert_eq!(remove(&seen, &facts(Engine::MySql), Removal::Drop), [AccountStep::Lock { host: host("%") }]);
    let by_its_word = Undoing { drops_adopted: true, ..undoing(Removal::Drop) };
    let steps = plan_removal(&by_its_word, &catalogue(&seen), &facts(Engine::MySql)).steps;
    assert_eq!(steps, [AccountStep::Drop { host: host("%") }]);
}

#[test]
fn of_two_objects_without_a_mark_the_older_one_gets_the_account() {
    let younger = DesiredUser { elder: Some("shop/first".into()), ..desired(&[]) };
    for adopts in [false, true] {
        let younger = DesiredUser { adopts, ..younger.clone() };
        let nobodys = if adopts { with("%", account(None, &[])) } else { ObservedUser::default() };
        let refusal = plan(&younger, &nobodys, &facts(Engine::MySql), ALIVE).unwrap_err();
        assert!(
            matches!(&refusal, Refusal::Owned { owner, .. } if owner.to_string() == "IamDbUser shop/first"),
            "{refusal}"
        );
    }
    let mine = with("%", account(Some(owner()), &[]));
    assert_eq!(plan(&younger, &mine, &facts(Engine::MySql), ALIVE), Ok(vec![]), "the mark beats the age");
}

#[test]
fn who_is_a_definer_is_locked_instead_of_dropped_and_not_made_anew() {
    let definer = Definer { user: "app".into(), host: "%".into() };
    let seen = |user: &ObservedUser| Catalogue { definers: Some([definer.clone()].into()), ..catalogue(user) };
    let ours = with("%", account(Some(owner()), &[]));
    let plan_for = |removal| plan_removal(&undoing(removal), &seen(&ours), &facts(Engine::MySql));
    assert_eq!(plan_for(Removal::Drop).steps, [AccountStep::Lock { host: host("%") }]);
    assert_eq!(plan_for(Removal::Drop).definers, [host("%")]);
    assert_eq!(plan_for(Removal::Lock).definers, []);
    let elsewhere = DesiredUser { hosts: [host("10.%")].into(), ..desired(&[]) };
    let steps = super::super::plan(&elsewhere, &seen(&ours), &facts(Engine::MySql), ALIVE).unwrap();
    assert!(steps.contains(&AccountStep::Lock { host: host("%") }), "a host that left the spec: {steps:?}");
    let refusal = super::super::plan(&desired(&[]), &seen(&ObservedUser::default()), &facts(Engine::MySql), ALIVE);
    assert!(matches!(refusal, Err(Refusal::Definer { .. })), "{refusal:?}");
}

#[test]
fn an_account_that_stays_is_locked_when_its_host_has_left_the_spec_and_opened_when_it_is_back() {
    let stays = |hosts: &[&str]| DesiredUser {
        hosts: hosts.iter().map(|text| host(text)).collect(),
        drop_surplus: false,
        ends_sessions: true,
        ..desired(&[])
    };
    let steps = |hosts: &[&str], seen: &ObservedUser| plan(&stays(hosts), seen, &facts(Engine::MySql), ALIVE).unwrap();
    let mut seen = with("%", account(Some(owner()), &[("old", &[Privilege::Select])]));
    seen.accounts.insert("10.%".into(), account(Some(owner()), &[]));
    let ended = AccountStep::EndSessions { host: host("%"), beside: ["10.%".to_owned()].into() };
    assert_eq!(steps(&["10.%"], &seen), [AccountStep::Lock { host: host("%") }, ended]);
    seen.accounts.get_mut("%").unwrap().is_locked = true;
    assert_eq!(steps(&["10.%"], &seen), []);
    let back = steps(&["%", "10.%"], &seen);
    assert_eq!(back[0], AccountStep::Unlock { host: host("%") });
    assert!(matches!(&back[1..], [AccountStep::Revoke { .. }]), "with the grants of the spec: {back:?}");
}

#[test]
fn an_account_that_stays_is_as_the_spec_says_where_the_spec_lets_its_clients_in_by_a_wider_host() {
    let adopted = Owner { adopted: true, ..owner() };
    let wanted = |drop_surplus| DesiredUser { drop_surplus, ..desired(&[("new", &[Privilege::Select])]) };
    for (mark, drop_surplus) in [(owner(), false), (adopted, true)] {
        let held: &[(&str, &[Privilege])] = &[("new", &[Privilege::Select])];
        let mut seen = with("%", account(Some(mark.clone()), held));
        let mut narrow = account(Some(mark), &[("old", &[Privilege::Select])]);
        narrow.is_locked = true;
        seen.accounts.insert("10.%".into(), narrow);
        let steps = plan(&wanted(drop_surplus), &seen, &facts(Engine::MySql), ALIVE).unwrap();
        assert_eq!(steps[0], AccountStep::Unlock { host: host("10.%") }, "locked it would shut them out");
        assert!(matches!(&steps[1..], [AccountStep::Grant { .. }, AccountStep::Revoke { .. }]), "{steps:?}");
        assert!(steps.iter().all(|step| *step.host() == host("10.%")), "{steps:?}");
    }
}

#[test]
fn sessions_end_after_the_door_is_shut() {
    let mut observed = with("%", account(Some(owner()), &[]));
    observed.accounts.insert("10.%".into(), account(Some(owner()), &[]));
    let end = |at: &str, beside: &[&str]| AccountStep::EndSessions {
        host: host(at),
        beside: beside.iter().map(|&host| host.to_owned()).collect(),
    };
    let ending = DesiredUser { is_locked: true, ends_sessions: true, ..desired(&[]) };
    assert_eq!(
        plan(&ending, &observed, &facts(Engine::MySql), ALIVE).unwrap(),
        [
            AccountStep::Lock { host: host("%") },
            end("%", &[]),
            AccountStep::Lock { host: host("10.%") },
            end("10.%", &[]),
            AccountStep::Drop { host: host("10.%") },
        ],
        "nobody of this name is to stay"
    );
    let narrower = DesiredUser { is_locked: false, ..ending };
    assert_eq!(
        plan(&narrower, &observed, &facts(Engine::MySql), ALIVE).unwrap(),
        [AccountStep::Lock { host: host("10.%") }, end("10.%", &["%"]), AccountStep::Drop { host: host("10.%") }]
    );
    let undoing = Undoing { ends_sessions: true, ..undoing(Removal::Drop) };
    let steps = plan_removal(&undoing, &catalogue(&observed), &facts(Engine::MariaDb)).steps;
    assert!(steps.is_empty(), "on MariaDB the mark is in the ledger: {steps:?}");

    // Somebody died between the lock and the drop. A foreign account of the name keeps its sessions.
    observed.accounts.get_mut("10.%").unwrap().is_locked = true;
    observed.accounts.insert("11.%".into(), account(None, &[]));
    let steps = plan_removal(&undoing, &catalogue(&observed), &facts(Engine::MySql)).steps;
    assert_eq!(
        steps,
        [
            AccountStep::Lock { host: host("%") },
            end("%", &["11.%"]),
            AccountStep::Drop { host: host("%") },
            end("10.%", &["11.%"]),
            AccountStep::Drop { host: host("10.%") },
        ]
    );
}
