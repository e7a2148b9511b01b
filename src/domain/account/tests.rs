mod abilities;
mod claims;
mod grants;
mod roles;

use super::*;
use crate::domain::engine::{Engine, ServerFacts};
use crate::domain::names::{DatabaseName, ObjectName};
use crate::domain::ownership::Owner;
use crate::domain::privilege::Right;

const ALIVE: fn(&Owner) -> bool = |_| true;
const GONE: fn(&Owner) -> bool = |_| false;

fn facts(engine: Engine) -> ServerFacts {
    ServerFacts { engine, partial_revokes: false, folds_names: false, read_only: false, plugin_active: true }
}

fn owner() -> Owner {
    Owner {
        cluster: "c1".into(),
        server: "db-1".into(),
        namespace: "shop".into(),
        name: "orders".into(),
        uid: "u1".into(),
        adopted: false,
    }
}

fn claimant() -> Claimant {
    Claimant { owner: owner(), further_servers: Vec::new(), accepts_restored: false }
}

fn catalogue(observed: &ObservedUser) -> Catalogue {
    Catalogue { users: [("app".to_owned(), observed.clone())].into(), ..Catalogue::default() }
}

fn plan(
    desired: &DesiredUser,
    observed: &ObservedUser,
    facts: &ServerFacts,
    is_alive: fn(&Owner) -> bool,
) -> Result<Vec<AccountStep>, Refusal> {
    super::plan(desired, &catalogue(observed), facts, is_alive)
}

fn undoing(removal: Removal) -> Undoing {
    let username = Username::parse("app").unwrap();
    Undoing { username, claimant: claimant(), removal, drops_adopted: false, ends_sessions: false }
}

fn remove(observed: &ObservedUser, facts: &ServerFacts, removal: Removal) -> Vec<AccountStep> {
    plan_removal(&undoing(removal), &catalogue(observed), facts).steps
}

fn host(text: &str) -> HostPattern {
    HostPattern::parse(text).unwrap()
}

fn desired(grants: &[(&str, &[Privilege])]) -> DesiredUser {
    DesiredUser {
        username: Username::parse("app").unwrap(),
        hosts: [host("%")].into(),
        grants: grants
            .iter()
            .map(|(database, privileges)| {
                (Target::Schema(DatabaseName::parse(database).unwrap()), privileges.iter().copied().collect())
            })
            .collect(),
        roles: BTreeSet::new(),
        claimant: claimant(),
        elder: None,
        adopts: false,
        drop_surplus: true,
        drops_adopted: false,
        revoke_surplus: true,
        max_user_connections: 0,
        is_locked: false,
        ends_sessions: false,
    }
}

fn account(mark: Option<Owner>, grants: &[(&str, &[Privilege])]) -> ObservedAccount {
    ObservedAccount {
        plugin: PLUGIN.into(),
        plugin_string_is_rds: true,
        requires_tls: true,
        credentials_set_at: Some(1_000),
        mark,
        grants: grants
            .iter()
            .map(|(schema, privileges)| {
                (GrantedOn::Schema((*schema).into()), privileges.iter().copied().map(Right::from).collect())
            })
            .collect(),
        roles: BTreeMap::new(),
        default_roles: BTreeSet::new(),
        max_user_connections: 0,
        is_locked: false,
        is_privileged: false,
    }
}

fn with(host: &str, account: ObservedAccount) -> ObservedUser {
    ObservedUser { accounts: [(host.to_owned(), account)].into(), ledger: BTreeMap::new() }
}

/// The grant that marks an account on MariaDB.
fn marking() -> AccountStep {
    let (host, on) = (host("%"), GrantedOn::Schema("iamdb\\_operator\\_mark".into()));
    AccountStep::Grant { host, on, privileges: [Privilege::LockTables].into() }
}

fn marked(mut account: ObservedAccount) -> ObservedAccount {
    account.grants.extend(on(GrantedOn::Schema("iamdb\\_operator\\_mark".into()), "LOCK TABLES"));
    account
}

fn row(state: LedgerState, stamp: i64) -> BTreeMap<String, LedgerRow> {
    [("%".to_owned(), LedgerRow { owner: owner(), state, stamp })].into()
}

fn role(name: &str) -> Role {
    Role { name: name.into(), host: "%".into() }
}

fn on(place: GrantedOn, words: &str) -> Grants {
    [(place, [Right::of_sql(words).unwrap()].into())].into()
}

#[test]
fn an_absent_account_is_created_with_its_mark_and_then_granted() {
    let steps = plan(
        &desired(&[("orders_prod", &[Privilege::Select])]),
        &ObservedUser::default(),
        &facts(Engine::MySql),
        ALIVE,
    );
    assert_eq!(
        steps.unwrap(),
        [
            AccountStep::Create { host: host("%"), owner: owner() },
            AccountStep::Grant {
                host: host("%"),
                on: GrantedOn::Schema("orders\\_prod".into()),
                privileges: [Privilege::Select].into()
            },
        ]
    );
}

#[test]
fn on_mariadb_the_intent_is_recorded_before_the_account_is_created() {
    let steps = plan(&desired(&[]), &ObservedUser::default(), &facts(Engine::MariaDb), ALIVE).unwrap();
    assert_eq!(
        steps,
        [
            AccountStep::RecordIntent { host: host("%"), owner: owner() },
            AccountStep::Create { host: host("%"), owner: owner() },
            AccountStep::RecordOwned { host: host("%"), owner: owner() },
            marking(),
        ]
    );
}

#[test]
fn a_converged_account_needs_no_step() {
    let grants: &[(&str, &[Privilege])] = &[("orders", &[Privilege::Select, Privilege::Insert])];
    let mysql = with("%", account(Some(owner()), grants));
    assert_eq!(plan(&desired(grants), &mysql, &facts(Engine::MySql), ALIVE), Ok(vec![]));
    let mariadb = ObservedUser { ledger: row(LedgerState::Owned, 1_000), ..with("%", marked(account(None, grants))) };
    assert_eq!(plan(&desired(grants), &mariadb, &facts(Engine::MariaDb), ALIVE), Ok(vec![]));
}

#[test]
fn an_account_without_our_mark_is_foreign_on_both_engines() {
    for engine in [Engine::MySql, Engine::MariaDb] {
        let refusal = plan(&desired(&[]), &with("%", account(None, &[])), &facts(engine), ALIVE).unwrap_err();
        assert!(matches!(refusal, Refusal::Foreign { .. }), "{refusal}");
    }
}

#[test]
fn on_mariadb_an_account_made_again_by_somebody_else_is_foreign() {
    let observed = ObservedUser { ledger: row(LedgerState::Owned, 999), ..with("%", account(None, &[])) };
    let refusal = plan(&desired(&[]), &observed, &facts(Engine::MariaDb), ALIVE).unwrap_err();
    assert!(matches!(refusal, Refusal::Foreign { .. }), "{refusal}");
    assert_eq!(remove(&observed, &facts(Engine::MariaDb), Removal::Drop), []);
}

#[test]
fn on_mariadb_an_account_whose_credentials_were_set_anew_is_ours_while_it_carries_its_mark() {
    let altered = |account| ObservedUser { ledger: row(LedgerState::Owned, 999), ..with("%", marked(account)) };
    let record = AccountStep::RecordOwned { host: host("%"), owner: owner() };
    let steps = plan(&desired(&[]), &altered(account(None, &[])), &facts(Engine::MariaDb), ALIVE).unwrap();
    assert_eq!(steps, std::slice::from_ref(&record), "the same plugin was set again");
    let mut with_password = account(None, &[]);
    with_password.plugin = "mysql_native_password".into();
    let observed = altered(with_password);
    let steps = plan(&desired(&[]), &observed, &facts(Engine::MariaDb), ALIVE).unwrap();
    assert_eq!(steps, [AccountStep::UsePlugin { host: host("%") }, record]);
    let unknown = ObservedUser { ledger: BTreeMap::new(), ..observed.clone() };
    assert!(plan(&desired(&[]), &unknown, &facts(Engine::MariaDb), ALIVE).is_err(), "nobody wrote down whose it is");
    assert!(plan(&desired(&[]), &observed, &facts(Engine::MySql), ALIVE).is_err(), "there the mark is another");
}

#[test]
fn on_mariadb_a_crash_after_create_user_is_healed_by_recording_it() {
    let observed = ObservedUser { ledger: row(LedgerState::Intent, 999), ..with("%", account(None, &[])) };
    let steps = plan(&desired(&[]), &observed, &facts(Engine::MariaDb), ALIVE).unwrap();
    assert_eq!(steps, [AccountStep::RecordOwned { host: host("%"), owner: owner() }, marking()]);
    let older = ObservedUser { ledger: row(LedgerState::Intent, 1_001), ..observed };
    assert!(
        plan(&desired(&[]), &older, &facts(Engine::MariaDb), ALIVE).is_err(),
        "the account is older than the intent"
    );
}

#[test]
fn a_wrong_plugin_and_missing_tls_are_repaired() {
    let mut wrong = account(Some(owner()), &[]);
    wrong.plugin = "caching_sha2_password".into();
    let steps = plan(&desired(&[]), &with("%", wrong), &facts(Engine::MySql), ALIVE).unwrap();
    assert_eq!(steps, [AccountStep::UsePlugin { host: host("%") }]);
    let mut plain = account(Some(owner()), &[]);
    plain.requires_tls = false;
    let steps = plan(&desired(&[]), &with("%", plain), &facts(Engine::MySql), ALIVE).unwrap();
    assert_eq!(steps, [AccountStep::RequireTls { host: host("%") }]);
}

#[test]
fn an_account_whose_host_left_the_spec_is_dropped_if_it_is_ours_and_else_shadows() {
    let mut observed = with("%", account(Some(owner()), &[]));
    observed.accounts.insert("10.%".into(), account(Some(owner()), &[]));
    let steps = plan(&desired(&[]), &observed, &facts(Engine::MySql), ALIVE).unwrap();
    assert_eq!(steps, [AccountStep::Drop { host: host("10.%") }]);
    let mut privileged = account(Some(owner()), &[]);
    privileged.is_privileged = true;
    for foreign in [account(None, &[]), privileged] {
        observed.accounts.insert("10.%".into(), foreign);
        let refusal = plan(&desired(&[]), &observed, &facts(Engine::MySql), ALIVE).unwrap_err();
        assert!(matches!(refusal, Refusal::Shadowed { .. }), "{refusal}");
    }
    let another = Owner { uid: "u2".into(), name: "x".into(), ..owner() };
    observed.accounts.insert("10.%".into(), account(Some(another), &[]));
    let refusal = plan(&desired(&[]), &observed, &facts(Engine::MySql), ALIVE).unwrap_err();
    let owned = |owner: &OtherOwner| *owner == OtherOwner::Object("shop/x".into());
    assert!(matches!(&refusal, Refusal::Owned { owner, .. } if owned(owner)), "whose it is, is known: {refusal}");
}

#[test]
fn a_row_whose_account_and_host_are_gone_is_forgotten() {
    let mut ledger = row(LedgerState::Owned, 1_000);
    ledger.extend(row(LedgerState::Owned, 1_000).into_values().map(|row| ("10.%".to_owned(), row)));
    let observed = ObservedUser { ledger, ..with("%", marked(account(None, &[]))) };
    let steps = plan(&desired(&[]), &observed, &facts(Engine::MariaDb), ALIVE).unwrap();
    assert_eq!(steps, [AccountStep::Forget { host: host("10.%") }]);
}

#[test]
fn administrators_and_roles_are_refused_even_with_our_mark() {
    let mut admin = account(Some(owner()), &[]);
    admin.is_privileged = true;
    let refusal = plan(&desired(&[]), &with("%", admin.clone()), &facts(Engine::MySql), ALIVE).unwrap_err();
    assert!(matches!(refusal, Refusal::Privileged { .. }), "{refusal}");
    assert_eq!(remove(&with("%", admin), &facts(Engine::MySql), Removal::Drop), []);
}

#[test]
fn a_recreated_object_takes_its_account_over_and_marks_it() {
    let mark = Owner { uid: "u0".into(), ..owner() };
    let observed = with("%", account(Some(mark), &[]));
    let steps = plan(&desired(&[]), &observed, &facts(Engine::MySql), GONE).unwrap();
    assert_eq!(steps, [AccountStep::Mark { host: host("%"), owner: owner() }]);
    let refusal = plan(&desired(&[]), &observed, &facts(Engine::MySql), ALIVE).unwrap_err();
    assert!(matches!(refusal, Refusal::Owned { .. }), "{refusal}");
}

#[test]
fn removal_drops_what_is_ours_and_nothing_else() {
    let mut observed = with("%", account(Some(owner()), &[]));
    observed.accounts.insert("10.%".into(), account(None, &[]));
    observed
        .accounts
        .insert("11.%".into(), account(Some(Owner { uid: "u2".into(), name: "x".into(), ..owner() }), &[]));
    let steps = remove(&observed, &facts(Engine::MySql), Removal::Drop);
    assert_eq!(steps, [AccountStep::Drop { host: host("%") }]);
}

#[test]
fn removal_on_mariadb_forgets_the_row_even_when_the_account_is_gone() {
    let observed = ObservedUser { accounts: BTreeMap::new(), ledger: row(LedgerState::Owned, 1_000) };
    let steps = remove(&observed, &facts(Engine::MariaDb), Removal::Drop);
    assert_eq!(steps, [AccountStep::Forget { host: host("%") }]);
}

#[test]
fn a_row_that_outlived_its_account_and_its_object_keeps_the_name_from_nobody() {
    let left = |mark: Owner| {
        let mut ledger = row(LedgerState::Owned, 1_000);
        for row in ledger.values_mut() {
            row.owner = mark.clone();
        }
        ObservedUser { accounts: BTreeMap::new(), ledger }
    };
    let plan = |mark: Owner, is_alive| plan(&desired(&[]), &left(mark), &facts(Engine::MariaDb), is_alive);
    let gone = Owner { uid: "u2".into(), name: "x".into(), ..owner() };
    let steps = plan(gone.clone(), GONE).unwrap();
    assert!(steps.iter().any(|step| matches!(step, AccountStep::Create { .. })), "{steps:?}");
    assert!(matches!(plan(gone.clone(), ALIVE), Err(Refusal::Owned { .. })), "it is about to make the account");
    let elsewhere = Owner { cluster: "c2".into(), ..gone };
    assert!(matches!(plan(elsewhere, GONE), Err(Refusal::Owned { .. })), "of another cluster nobody knows who lives");
}

#[test]
fn lock_and_limit_follow_the_spec() {
    let locked = DesiredUser { is_locked: true, max_user_connections: 5, ..desired(&[]) };
    let steps = plan(&locked, &ObservedUser::default(), &facts(Engine::MySql), ALIVE).unwrap();
    assert_eq!(
        steps,
        [
            AccountStep::Create { host: host("%"), owner: owner() },
            AccountStep::Limit { host: host("%"), max_user_connections: 5 },
            AccountStep::Lock { host: host("%") },
        ]
    );
    let mut seen = account(Some(owner()), &[]);
    (seen.is_locked, seen.max_user_connections) = (true, 5);
    assert_eq!(plan(&locked, &with("%", seen.clone()), &facts(Engine::MySql), ALIVE), Ok(vec![]));
    assert_eq!(
        plan(&desired(&[]), &with("%", seen), &facts(Engine::MySql), ALIVE).unwrap(),
        [AccountStep::Limit { host: host("%"), max_user_connections: 0 }, AccountStep::Unlock { host: host("%") }]
    );
}

#[test]
fn removal_by_locking_keeps_the_account() {
    let observed = with("%", account(Some(owner()), &[]));
    let steps = remove(&observed, &facts(Engine::MySql), Removal::Lock);
    assert_eq!(steps, [AccountStep::Lock { host: host("%") }]);
    let mut locked = account(Some(owner()), &[]);
    locked.is_locked = true;
    let steps = remove(&with("%", locked), &facts(Engine::MySql), Removal::Lock);
    assert_eq!(steps, []);
}

#[test]
fn steps_are_told_in_closed_words() {
    let of =
        |on, words: &str| AccountStep::Revoke { host: host("%"), on, rights: [Right::of_sql(words).unwrap()].into() };
    assert_eq!(of(GrantedOn::Schema("orders\\_x".into()), "SELECT").to_string(), "at %: revoke SELECT on orders\\_x.*");
    let hostile = of(GrantedOn::Table("<script>".into(), "a b".into()), "SELECT").to_string();
    assert_eq!(hostile, "at %: revoke SELECT on another name.another name");
}
