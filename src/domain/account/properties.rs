//! What holds for every plan: it leads from whatever was observed to what is desired, there is nothing to do after it, and it touches nothing foreign.
//!
//! A small server takes the steps as MySQL and MariaDB do, as far as the steps go.

use proptest::collection::{btree_map, btree_set};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::*;
use crate::domain::engine::{Engine, ServerFacts};
use crate::domain::hosts;
use crate::domain::names::DatabaseName;
use crate::domain::ownership::Owner;
use crate::domain::privilege::Right;

const HOSTS: [&str; 3] = ["%", "10.%", "10.1.2.3"];
const NOW: i64 = 2_000;

fn owner(uid: &str) -> Owner {
    let name = if uid == "other" { "x" } else { "orders" };
    Owner {
        cluster: "c1".into(),
        server: "db-1".into(),
        namespace: "shop".into(),
        name: name.into(),
        uid: uid.into(),
        adopted: false,
    }
}

fn is_alive(mark: &Owner) -> bool {
    mark.uid != "former"
}

fn role(name: &str, engine: Engine) -> Role {
    Role::named(&RoleName::parse(name).unwrap(), engine)
}

/// Takes a step.
#[allow(clippy::wildcard_enum_match_arm, reason = "all further steps are changes of an account that is there")]
fn take(catalogue: &mut Catalogue, step: &AccountStep, engine: Engine) {
    let user = catalogue.users.entry("app".into()).or_default();
    let host = step.host().as_str().to_owned();
    let ledger_row = |owner: &Owner, state, stamp| LedgerRow { owner: owner.clone(), state, stamp };
    match step {
        AccountStep::RecordIntent { owner, .. } => {
            assert!(!user.accounts.contains_key(&host), "an intent is for an account that is absent");
            user.ledger.insert(host, ledger_row(owner, LedgerState::Intent, NOW));
        }
        AccountStep::RecordAdoption { owner, .. } => {
            assert!(user.accounts.contains_key(&host));
            user.ledger.insert(host, ledger_row(owner, LedgerState::Intent, NOW));
        }
        AccountStep::RecordOwned { owner, .. } => {
            let stamp = user.accounts[&host].credentials_set_at.unwrap();
            user.ledger.insert(host, ledger_row(owner, LedgerState::Owned, stamp));
        }
        AccountStep::Create { owner, .. } => {
            let made = ObservedAccount {
                mark: (engine == Engine::MySql).then(|| owner.clone()),
                credentials_set_at: Some(NOW),
                ..plain()
            };
            assert!(user.accounts.insert(host, made).is_none(), "an account is made where there is none");
        }
        AccountStep::Drop { .. } => assert!(user.accounts.remove(&host).is_some()),
        AccountStep::Forget { .. } => drop(user.ledger.remove(&host)),
        AccountStep::EndSessions { .. } => {}
        _ => change(user.accounts.get_mut(&host).expect("the account is there"), step, engine),
    }
}

#[allow(clippy::wildcard_enum_match_arm, reason = "those of `take` do not come here")]
fn change(account: &mut ObservedAccount, step: &AccountStep, engine: Engine) {
    match step {
        AccountStep::Adopt { owner, .. } => {
            (account.plugin, account.plugin_string_is_rds, account.requires_tls) = (PLUGIN.into(), true, true);
            account.credentials_set_at = Some(NOW);
            account.mark = (engine == Engine::MySql).then(|| owner.clone());
        }
        AccountStep::UsePlugin { .. } => {
            (account.plugin, account.plugin_string_is_rds, account.requires_tls) = (PLUGIN.into(), true, true);
            account.credentials_set_at = Some(NOW);
        }
        AccountStep::Mark { owner, .. } => account.mark = Some(owner.clone()),
        AccountStep::RequireTls { .. } => account.requires_tls = true,
        AccountStep::Limit { max_user_connections, .. } => account.max_user_connections = *max_user_connections,
        AccountStep::Lock { .. } => account.is_locked = true,
        AccountStep::Unlock { .. } => account.is_locked = false,
        AccountStep::Grant { on, privileges, .. } => {
            account.grants.entry(on.clone()).or_default().extend(privileges.iter().copied().map(Right::from));
        }
        AccountStep::Revoke { on, rights, .. } => {
            let held = account.grants.get_mut(on).expect("only what is stored so can be revoked");
            assert!(rights.is_subset(held));
            held.retain(|right| !rights.contains(right));
        }
        AccountStep::GrantRoles { roles, .. } => account.roles.extend(roles.iter().cloned().map(|role| (role, false))),
        AccountStep::SetDefaultRoles { roles, .. } => {
            assert!(roles.iter().all(|role| account.roles.contains_key(role)), "a default role is one that is held");
            account.default_roles.clone_from(roles);
        }
        AccountStep::RevokeRoles { roles, .. } => {
            account.roles.retain(|role, _| !roles.contains(role));
            account.default_roles.retain(|role| !roles.contains(role));
        }
        _ => unreachable!("{step:?} is none of an account that is there"),
    }
}

fn plain() -> ObservedAccount {
    ObservedAccount {
        plugin: PLUGIN.into(),
        plugin_string_is_rds: true,
        requires_tls: true,
        credentials_set_at: Some(1_000),
        mark: None,
        grants: Grants::new(),
        roles: BTreeMap::new(),
        default_roles: BTreeSet::new(),
        max_user_connections: 0,
        is_locked: false,
        is_privileged: false,
    }
}

fn arb_engine() -> impl Strategy<Value = Engine> {
    select(&[Engine::MySql, Engine::MariaDb][..])
}

fn arb_rights() -> impl Strategy<Value = BTreeSet<Right>> {
    let words = vec!["SELECT", "INSERT", "GRANT OPTION", "PROCESS"];
    btree_set(select(words).prop_map(|words| Right::of_sql(words).unwrap()), 0..4)
}

fn arb_on() -> impl Strategy<Value = GrantedOn> {
    select(vec![
        GrantedOn::Server,
        GrantedOn::Schema("orders".into()),
        GrantedOn::Schema("orders\\_eu".into()),
        GrantedOn::Schema("orders_eu".into()),
        GrantedOn::Schema("ord%".into()),
        GrantedOn::Table("orders".into(), "t".into()),
        GrantedOn::Column("orders".into(), "t".into(), "c".into()),
        GrantedOn::procedure("orders".into(), "p"),
    ])
}

/// An account, whose mark it has, and (for the ledger) whether the stamps agree.
fn arb_account(engine: Engine) -> impl Strategy<Value = (ObservedAccount, Option<LedgerRow>)> {
    let owner_of = select(vec![None, Some("me"), Some("me"), Some("former"), Some("other")]);
    let grants = btree_map(arb_on(), arb_rights(), 0..4);
    let held = btree_map(select(&["reader", "old"][..]), any::<bool>(), 0..3);
    let login = (select(&[PLUGIN, "caching_sha2_password"][..]), any::<bool>(), any::<bool>());
    let settings = (0..3_u32, any::<bool>(), prop::bool::weighted(0.05));
    (owner_of, grants, held, login, settings, any::<(bool, bool)>()).prop_map(
        move |(uid, grants, held, (plugin, string, tls), (limit, is_locked, is_privileged), (agrees, is_marked))| {
            let mark = uid.map(owner);
            let roles: BTreeMap<Role, bool> =
                held.into_iter().map(|(name, admin)| (role(name, engine), admin)).collect();
            let default_roles = roles.keys().take(1).cloned().collect();
            let account = ObservedAccount {
                plugin: plugin.into(),
                plugin_string_is_rds: string,
                requires_tls: tls,
                mark: mark.clone().filter(|_| engine == Engine::MySql),
                grants,
                roles,
                default_roles,
                max_user_connections: limit,
                is_locked,
                is_privileged,
                ..plain()
            };
            let row = mark.filter(|_| engine == Engine::MariaDb);
            let stamp = if agrees { 1_000 } else { 999 };
            let mut account = account;
            if engine == Engine::MariaDb && is_marked {
                let mark = GrantedOn::Schema("iamdb\\_operator\\_mark".into());
                account.grants.insert(mark, [Right::Listed(Privilege::LockTables)].into());
            }
            (account, row.map(|owner| LedgerRow { owner, state: LedgerState::Owned, stamp }))
        },
    )
}

fn arb_catalogue(engine: Engine) -> impl Strategy<Value = Catalogue> {
    let accounts = btree_map(select(&HOSTS[..]), arb_account(engine), 0..3);
    let definers = btree_set(select(&HOSTS[..]), 0..2);
    (accounts, definers, prop::bool::weighted(0.1)).prop_map(move |(accounts, definers, is_strong)| {
        let mut user = ObservedUser::default();
        for (host, (account, row)) in accounts {
            user.accounts.insert(host.to_owned(), account);
            user.ledger.extend(row.map(|row| (host.to_owned(), row)));
        }
        let strong: Grants = [(GrantedOn::Server, [Right::of_sql("PROCESS").unwrap()].into())].into();
        let reader = ObservedAccount { grants: if is_strong { strong } else { Grants::new() }, ..plain() };
        Catalogue {
            users: [("app".to_owned(), user)].into(),
            roles: [(role("reader", engine), reader)].into(),
            definers: Some(definers.iter().map(|host| Definer { user: "app".into(), host: (*host).into() }).collect()),
            ..Catalogue::default()
        }
    })
}

fn arb_desired() -> impl Strategy<Value = DesiredUser> {
    let hosts = subsequence(&HOSTS[..], 1..=3);
    let privileges = btree_set(select(&[Privilege::Select, Privilege::Insert, Privilege::Drop][..]), 1..3);
    let grants = btree_map(select(&["orders", "orders_eu"][..]), privileges, 0..3);
    let switches = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (hosts, grants, any::<bool>(), switches, 0..3_u32).prop_map(|(hosts, grants, reads, switches, limit)| {
        let (adopts, drop_surplus, drops_adopted, revoke_surplus, is_locked, ends_sessions) = switches;
        DesiredUser {
            username: Username::parse("app").unwrap(),
            hosts: hosts.iter().map(|host| HostPattern::parse(host).unwrap()).collect(),
            grants: grants
                .into_iter()
                .map(|(database, privileges)| (Target::Schema(DatabaseName::parse(database).unwrap()), privileges))
                .collect(),
            roles: reads.then(|| RoleName::parse("reader").unwrap()).into_iter().collect(),
            claimant: Claimant { owner: owner("me"), further_servers: Vec::new(), accepts_restored: false },
            elder: None,
            adopts,
            drop_surplus,
            drops_adopted,
            revoke_surplus,
            max_user_connections: limit,
            is_locked,
            ends_sessions,
        }
    })
}

fn arb_case() -> impl Strategy<Value = (DesiredUser, Catalogue, ServerFacts)> {
    (arb_engine(), any::<bool>()).prop_flat_map(|(engine, partial_revokes)| {
        let facts = ServerFacts {
            engine,
            partial_revokes: partial_revokes && engine == Engine::MySql,
            folds_names: false,
            read_only: false,
            plugin_active: true,
        };
        (arb_desired(), arb_catalogue(engine), Just(facts))
    })
}

/// Whether an account carries a mark that is neither this object's nor that of a dead namesake, or none that holds, or is an administrator's.
fn is_untouchable(catalogue: &Catalogue, host: &str, engine: Engine, adopts: bool) -> bool {
    let user = catalogue.user(&Username::parse("app").unwrap());
    let Some(account) = user.accounts.get(host) else {
        return false;
    };
    let is_marked = account.grants.keys().any(|on| *on == GrantedOn::Schema("iamdb\\_operator\\_mark".into()));
    let row = user.ledger.get(host).filter(|row| is_marked || account.credentials_set_at == Some(row.stamp));
    let mark = if engine == Engine::MySql { account.mark.as_ref() } else { row.map(|row| &row.owner) };
    account.is_privileged || mark.map_or(!adopts, |mark| mark.uid == "other")
}

proptest! {
    #[test]
    fn a_plan_leads_to_what_is_desired_and_a_second_one_is_empty((desired, before, facts) in arb_case()) {
        let Ok(steps) = plan(&desired, &before, &facts, is_alive) else { return Ok(()) };
        let mut after = before.clone();
        for step in &steps {
            take(&mut after, step, facts.engine);
        }
        prop_assert_eq!(plan(&desired, &after, &facts, is_alive), Ok(vec![]), "after {:?}", steps);
        let wanted = grants::stored(&desired.grants, &facts);
        let accounts = &after.user(&desired.username).accounts;
        prop_assert!(desired.hosts.iter().all(|host| accounts.contains_key(host.as_str())));
        for (host, account) in accounts {
            if !desired.hosts.iter().any(|wanted| hosts::covers(wanted.as_str(), host)) {
                prop_assert!(account.is_locked, "{host} is open and not in the spec");
                continue;
            }
            prop_assert!(account.plugin == PLUGIN && account.plugin_string_is_rds && account.requires_tls);
            prop_assert_eq!(account.is_locked, desired.is_locked);
            let held: Grants = account.grants.clone().into_iter().filter(|(_, rights)| !rights.is_empty()).collect();
            for (on, rights) in &wanted {
                prop_assert!(rights.is_subset(&held[on]));
            }
            prop_assert!(!desired.revoke_surplus || held == wanted);
        }
    }

    #[test]
    fn no_step_is_ever_on_a_foreign_or_protected_account((desired, seen, facts) in arb_case()) {
        let may_adopt = |host: &str| desired.adopts && desired.hosts.iter().any(|wanted| wanted.as_str() == host);
        for step in plan(&desired, &seen, &facts, is_alive).unwrap_or_default() {
            let host = step.host().as_str();
            prop_assert!(!is_untouchable(&seen, host, facts.engine, may_adopt(host)), "{step:?}");
        }
        let undoing = Undoing {
            username: desired.username.clone(),
            claimant: desired.claimant.clone(),
            removal: Removal::Drop,
            drops_adopted: true,
            ends_sessions: true,
        };
        for step in plan_removal(&undoing, &seen, &facts).steps {
            prop_assert!(!is_untouchable(&seen, step.host().as_str(), facts.engine, false), "{step:?}");
            let drops_definer = matches!(step, AccountStep::Drop { .. }) && seen.is_definer(&desired.username, step.host().as_str());
            prop_assert!(!drops_definer, "{step:?}");
        }
    }

    #[test]
    fn grants_come_before_revokes_unless_a_role_loses_its_admin_option((desired, seen, facts) in arb_case()) {
        let steps = plan(&desired, &seen, &facts, is_alive).unwrap_or_default();
        for host in &desired.hosts {
            let of = |is: fn(&AccountStep) -> bool| steps.iter().enumerate().filter(move |(_, it)| it.host() == host && is(it)).map(|(n, _)| n);
            let last_grant = of(|it| matches!(it, AccountStep::Grant { .. })).max();
            let first_revoke = of(|it| matches!(it, AccountStep::Revoke { .. })).min();
            prop_assert!(last_grant.is_none() || first_revoke.is_none() || last_grant < first_revoke, "{steps:?}");
        }
    }
}
