//! What the administrator's login may do.

use super::*;

const LOGIN: &str = "admin";

/// Judges a login that holds this itself, and a role that holds that.
fn judged(engine: Engine, own: Grants, of_role: Grants, is_active: bool) -> (bool, bool) {
    let holder = |grants| ObservedAccount { grants, ..account(None, &[]) };
    let login = OwnLogin {
        account: role(LOGIN),
        active_roles: is_active.then(|| role("outer")).into_iter().collect(),
        has_kill_procedure: true,
    };
    let outer = ObservedAccount { roles: [(role("inner"), false)].into(), ..holder(Grants::new()) };
    let seen = Catalogue {
        roles: [(role(LOGIN), holder(own)), (role("outer"), outer), (role("inner"), holder(of_role))].into(),
        login: Some(login),
        ..Catalogue::default()
    };
    let abilities = Abilities::of(&seen, engine).unwrap();
    (abilities.grants_roles, abilities.ends_sessions)
}

#[test]
fn a_login_may_do_what_it_holds_and_what_its_active_roles_hold() {
    let global = |words| on(GrantedOn::Server, words);
    let none = Grants::new;
    let seeing = |mut grants: Grants| {
        grants.entry(GrantedOn::Server).or_default().insert(Right::of_sql("PROCESS").unwrap());
        grants
    };
    for engine in [Engine::MySql, Engine::MariaDb] {
        let is_mysql = engine == Engine::MySql;
        assert_eq!(judged(engine, none(), none(), true), (false, false));
        assert_eq!(judged(engine, global("ROLE_ADMIN"), none(), true), (is_mysql, false));
        assert_eq!(judged(engine, none(), global("ROLE_ADMIN"), true), (is_mysql, false));
        assert_eq!(judged(engine, none(), global("ROLE_ADMIN"), false), (false, false), "no role is active");
        assert_eq!(judged(engine, seeing(global("SUPER")), none(), false), (is_mysql, true));
        assert_eq!(judged(engine, seeing(none()), global("CONNECTION_ADMIN"), true), (false, true));
        assert_eq!(judged(engine, seeing(global("EXECUTE")), none(), true), (false, true), "by RDS's procedure");
        let kill = GrantedOn::procedure("mysql".into(), "rds_kill");
        assert_eq!(judged(engine, seeing(on(kill.clone(), "EXECUTE")), none(), true), (false, true));
        assert_eq!(judged(engine, on(kill, "EXECUTE"), none(), true), (false, false), "it sees no session but its own");
        let other = GrantedOn::procedure("shop".into(), "rds_kill");
        assert_eq!(judged(engine, seeing(on(other, "EXECUTE")), none(), true), (false, false));
    }
}

#[test]
fn a_role_that_it_may_pass_on_can_be_granted_and_an_account_that_was_not_read_is_unknown() {
    let holder = ObservedAccount { roles: [(role("reader"), true)].into(), ..account(None, &[]) };
    let login = OwnLogin { account: role(LOGIN), active_roles: BTreeSet::new(), has_kill_procedure: false };
    let mut seen = Catalogue { roles: [(role(LOGIN), holder)].into(), login: Some(login), ..Catalogue::default() };
    let of = |seen: &Catalogue, engine| Abilities::of(seen, engine).map(|it| it.grants_roles);
    assert_eq!(of(&seen, Engine::MySql), Some(true));
    assert_eq!(of(&seen, Engine::MariaDb), Some(false), "it could not make it a default role");
    let mut with_table = seen.clone();
    for login in with_table.roles.values_mut() {
        login.grants = on(GrantedOn::Schema("mysql".into()), "UPDATE");
    }
    assert_eq!(of(&with_table, Engine::MariaDb), Some(true));
    seen.roles.clear();
    assert_eq!(Abilities::of(&seen, Engine::MariaDb), None);
}
