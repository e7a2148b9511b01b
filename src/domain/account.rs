//! Accounts: from what shall be and what is, the smallest list of steps that closes the difference.
//!
//! Absence comes only from a successful read. What carries no mark of ours is never altered and never dropped. GRANT comes before REVOKE, so that a
//! change of grants takes nothing away for a moment.

use std::collections::{BTreeMap, BTreeSet};

use super::engine::{Engine, ServerFacts};
use super::names::{DatabaseName, HostPattern, Username};
use super::ownership::{Claim, OtherOwner, Owner};
use super::privilege::Privilege;

/// The plugin that checks IAM tokens, as RDS names it.
pub const PLUGIN: &str = "AWSAuthenticationPlugin";

/// The plugin's authentication string.
pub const PLUGIN_STRING: &str = "RDS";

/// Privileges by the pattern of the schema that they are on, as the server stores it.
pub type SchemaGrants = BTreeMap<String, BTreeSet<Privilege>>;

/// The accounts of one IamDbUser as they shall be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DesiredUser {
    /// Name of the accounts.
    pub username: Username,
    /// One account for each.
    pub hosts: BTreeSet<HostPattern>,
    /// The same for each.
    pub grants: BTreeMap<DatabaseName, BTreeSet<Privilege>>,
    /// The mark that they carry.
    pub owner: Owner,
    /// Whether an account whose host has left the spec is dropped.
    pub drop_surplus: bool,
    /// Whether grants beyond these are taken away.
    pub revoke_surplus: bool,
    /// Sessions that may be open at once; 0 for the server's own limit.
    pub max_user_connections: u32,
    /// Whether nobody may log in.
    pub is_locked: bool,
}

/// What becomes of an account whose object goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// It is dropped.
    Drop,
    /// It is locked, and keeps its mark.
    Lock,
}

/// All accounts of one user name as the catalogue tells them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObservedUser {
    /// By host pattern.
    pub accounts: BTreeMap<String, ObservedAccount>,
    /// Rows of the operator's own table by host pattern; always empty where accounts carry the mark themselves.
    pub ledger: BTreeMap<String, LedgerRow>,
}

/// One account as the catalogue tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent properties of an account, each a yes or no")]
pub struct ObservedAccount {
    /// Authentication plugin.
    pub plugin: String,
    /// The plugin's string. For foreign accounts it may be a password hash, so it is only ever compared, at the edge.
    pub plugin_string_is_rds: bool,
    /// Whether the account may log in only over TLS.
    pub requires_tls: bool,
    /// When its credentials were last set, in seconds since the epoch.
    pub credentials_set_at: Option<i64>,
    /// The mark in the account itself.
    pub mark: Option<Owner>,
    /// Privileges on schemas.
    pub grants: SchemaGrants,
    /// Sessions that may be open at once; 0 for the server's own limit.
    pub max_user_connections: u32,
    /// Whether nobody may log in.
    pub is_locked: bool,
    /// Whether it is a role, or holds SUPER or SYSTEM_USER.
    pub is_privileged: bool,
}

/// One row of the operator's own table, which marks accounts where they cannot carry the mark themselves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerRow {
    /// The mark.
    pub owner: Owner,
    /// How far the creation of the account has come.
    pub state: LedgerState,
    /// For [`LedgerState::Intent`] when the row was written, for [`LedgerState::Owned`] the account's `credentials_set_at`.
    pub stamp: i64,
}

/// How far the creation of an account has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerState {
    /// The account was absent and is about to be created.
    Intent,
    /// The account is ours while its `credentials_set_at` is the row's stamp.
    Owned,
}

/// One change in the database.
#[allow(missing_docs, reason = "the fields are what the step is about: whose host, which schema, which privileges")]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountStep {
    /// Write down that the account is about to be created, into the operator's own table.
    RecordIntent { host: HostPattern, owner: Owner },
    /// Create the account with plugin, TLS and (where accounts can carry it) mark in one statement.
    Create { host: HostPattern, owner: Owner },
    /// Write down that the account is ours, with the stamp that it has now.
    RecordOwned { host: HostPattern, owner: Owner },
    /// Rewrite the mark in the account.
    Mark { host: HostPattern, owner: Owner },
    /// Set the plugin again, and TLS with it.
    UsePlugin { host: HostPattern },
    /// Let the account log in only over TLS.
    RequireTls { host: HostPattern },
    /// Limit the sessions that may be open at once.
    Limit { host: HostPattern, max_user_connections: u32 },
    /// Let nobody log in.
    Lock { host: HostPattern },
    /// Let people log in again.
    Unlock { host: HostPattern },
    /// Grant privileges on a schema.
    Grant { host: HostPattern, schema: String, privileges: BTreeSet<Privilege> },
    /// Take privileges on a schema away. `schema` is the stored spelling: any other is an error.
    Revoke { host: HostPattern, schema: String, privileges: BTreeSet<Privilege> },
    /// Drop the account.
    Drop { host: HostPattern },
    /// Remove the row from the operator's own table.
    Forget { host: HostPattern },
}

impl AccountStep {
    /// The account that the step is for.
    #[must_use]
    pub const fn host(&self) -> &HostPattern {
        match self {
            Self::RecordIntent { host, .. }
            | Self::Create { host, .. }
            | Self::RecordOwned { host, .. }
            | Self::Mark { host, .. }
            | Self::UsePlugin { host }
            | Self::RequireTls { host }
            | Self::Limit { host, .. }
            | Self::Lock { host }
            | Self::Unlock { host }
            | Self::Grant { host, .. }
            | Self::Revoke { host, .. }
            | Self::Drop { host }
            | Self::Forget { host } => host,
        }
    }

    /// Whether the step changes what the account may do, rather than whether and how it can log in.
    #[must_use]
    pub const fn is_grant(&self) -> bool {
        matches!(self, Self::Grant { .. } | Self::Revoke { .. })
    }
}

/// Why nothing is done to an account.
#[allow(missing_docs, reason = "the fields say which account, and whose it is")]
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It exists and is not ours.
    #[error("the account '{username}'@'{host}' exists and was not made by this operator")]
    Foreign { username: Username, host: String },
    /// It is a role or holds administrative privileges.
    #[error("'{username}'@'{host}' is a role or an administrator")]
    Privileged { username: Username, host: String },
    /// Somebody else's mark is on it.
    #[error("'{username}'@'{host}' belongs to {owner}")]
    Owned { username: Username, host: String, owner: OtherOwner },
    /// A foreign account of this name with another host may win the login.
    #[error("the foreign account '{username}'@'{host}' may win the login for this user name")]
    Shadowed { username: Username, host: String },
}

/// What an account that is there means to its object.
enum Standing {
    /// Ours, and recorded as such.
    Ours,
    /// Ours, but the record must be written again.
    OursToRecord,
    /// Not ours.
    Refused(Refusal),
}

/// The steps that make the accounts what they shall be; none when they are.
///
/// # Errors
/// The first [`Refusal`] met. Then nothing at all is to be done: half an IamDbUser is worse than none.
pub fn plan(
    desired: &DesiredUser,
    observed: &ObservedUser,
    facts: &ServerFacts,
    is_alive: impl Fn(&str) -> bool,
) -> Result<Vec<AccountStep>, Refusal> {
    let wanted = schema_grants(desired, facts);
    let mut steps = Vec::new();
    let mut surplus = Vec::new();
    for (host, account) in &observed.accounts {
        if desired.hosts.iter().any(|wanted| wanted.as_str() == host) {
            continue;
        }
        match (
            standing(&desired.username, &desired.owner, host, account, observed, facts, &is_alive),
            HostPattern::parse(host),
        ) {
            (Standing::Ours | Standing::OursToRecord, Ok(host)) => surplus.push(host),
            _ => {
                return Err(Refusal::Shadowed { username: desired.username.clone(), host: host.clone() });
            }
        }
    }
    for host in &desired.hosts {
        match observed.accounts.get(host.as_str()) {
            None => steps.extend(create(desired, host, observed, facts, &is_alive)?),
            Some(account) => steps.extend(repair(desired, host, account, observed, facts, &is_alive)?),
        }
    }
    for host in &desired.hosts {
        let empty = SchemaGrants::new();
        let held = observed.accounts.get(host.as_str()).map_or(&empty, |account| &account.grants);
        steps.extend(difference(host, &wanted, held, Direction::Grant));
    }
    for host in desired.hosts.iter().filter(|_| desired.revoke_surplus) {
        let empty = SchemaGrants::new();
        let held = observed.accounts.get(host.as_str()).map_or(&empty, |account| &account.grants);
        steps.extend(difference(host, held, &wanted, Direction::Revoke));
    }
    if desired.drop_surplus {
        steps.extend(surplus.into_iter().flat_map(|host| drop_one(host, facts)));
    }
    Ok(steps)
}

/// The steps that drop or lock every account of `username` that is `owner`'s; none when there is none. Whatever is not ours stays,
/// without an error: on deletion there is nobody left to tell, and nothing to do.
#[must_use]
pub fn plan_removal(
    username: &Username,
    owner: &Owner,
    observed: &ObservedUser,
    facts: &ServerFacts,
    removal: Removal,
) -> Vec<AccountStep> {
    let is_alive = |_: &str| true; // a namesake's account is the namesake's to drop
    let mut steps = Vec::new();
    for (host, account) in &observed.accounts {
        let ours = match standing(username, owner, host, account, observed, facts, is_alive) {
            Standing::Ours | Standing::OursToRecord => true,
            Standing::Refused(_) => false,
        };
        match (ours, HostPattern::parse(host), removal) {
            (true, Ok(host), Removal::Drop) => steps.extend(drop_one(host, facts)),
            (true, Ok(host), Removal::Lock) if !account.is_locked => steps.push(AccountStep::Lock { host }),
            _ => {}
        }
    }
    for (host, row) in &observed.ledger {
        let gone = !observed.accounts.contains_key(host) && row.owner.uid == owner.uid;
        if let (true, Ok(host)) = (gone, HostPattern::parse(host)) {
            steps.push(AccountStep::Forget { host });
        }
    }
    steps
}

fn schema_grants(desired: &DesiredUser, facts: &ServerFacts) -> SchemaGrants {
    let mut wanted = SchemaGrants::new();
    for (database, privileges) in &desired.grants {
        wanted.entry(facts.schema_pattern(database.as_str())).or_default().extend(privileges);
    }
    wanted
}

fn create(
    desired: &DesiredUser,
    host: &HostPattern,
    observed: &ObservedUser,
    facts: &ServerFacts,
    is_alive: impl Fn(&str) -> bool,
) -> Result<Vec<AccountStep>, Refusal> {
    let owner = desired.owner.clone();
    let create = AccountStep::Create { host: host.clone(), owner: owner.clone() };
    let mut settings = settings(desired, host, 0, false);
    if facts.engine == Engine::MySql {
        settings.insert(0, create);
        return Ok(settings);
    }
    if let Some(row) = observed.ledger.get(host.as_str())
        && let Claim::Other(other) = owner.claim(&row.owner, is_alive)
    {
        return Err(Refusal::Owned { username: desired.username.clone(), host: host.to_string(), owner: other });
    }
    let mut steps = vec![
        AccountStep::RecordIntent { host: host.clone(), owner: owner.clone() },
        create,
        AccountStep::RecordOwned { host: host.clone(), owner },
    ];
    steps.append(&mut settings);
    Ok(steps)
}

/// The steps from the limit and lock that an account has to those that it shall have.
fn settings(desired: &DesiredUser, host: &HostPattern, limit: u32, is_locked: bool) -> Vec<AccountStep> {
    let mut steps = Vec::new();
    if desired.max_user_connections != limit {
        steps.push(AccountStep::Limit { host: host.clone(), max_user_connections: desired.max_user_connections });
    }
    match (desired.is_locked, is_locked) {
        (true, false) => steps.push(AccountStep::Lock { host: host.clone() }),
        (false, true) => steps.push(AccountStep::Unlock { host: host.clone() }),
        _ => {}
    }
    steps
}

fn repair(
    desired: &DesiredUser,
    host: &HostPattern,
    account: &ObservedAccount,
    observed: &ObservedUser,
    facts: &ServerFacts,
    is_alive: impl Fn(&str) -> bool,
) -> Result<Vec<AccountStep>, Refusal> {
    let to_record = match standing(&desired.username, &desired.owner, host.as_str(), account, observed, facts, is_alive)
    {
        Standing::Ours => false,
        Standing::OursToRecord => true,
        Standing::Refused(refusal) => return Err(refusal),
    };
    let mut steps = Vec::new();
    let wrong_plugin = account.plugin != PLUGIN || !account.plugin_string_is_rds;
    if wrong_plugin {
        steps.push(AccountStep::UsePlugin { host: host.clone() });
    } else if !account.requires_tls {
        steps.push(AccountStep::RequireTls { host: host.clone() });
    }
    match facts.engine {
        Engine::MySql if to_record => {
            steps.push(AccountStep::Mark { host: host.clone(), owner: desired.owner.clone() });
        }
        // Setting the plugin moves the stamp, so the record is renewed with it.
        Engine::MariaDb if to_record || wrong_plugin => {
            steps.push(AccountStep::RecordOwned { host: host.clone(), owner: desired.owner.clone() });
        }
        Engine::MySql | Engine::MariaDb => {}
    }
    steps.extend(settings(desired, host, account.max_user_connections, account.is_locked));
    Ok(steps)
}

fn drop_one(host: HostPattern, facts: &ServerFacts) -> Vec<AccountStep> {
    match facts.engine {
        Engine::MySql => vec![AccountStep::Drop { host }],
        Engine::MariaDb => vec![AccountStep::Drop { host: host.clone() }, AccountStep::Forget { host }],
    }
}

fn standing(
    username: &Username,
    owner: &Owner,
    host: &str,
    account: &ObservedAccount,
    observed: &ObservedUser,
    facts: &ServerFacts,
    is_alive: impl Fn(&str) -> bool,
) -> Standing {
    let (username, host) = (username.clone(), host.to_owned());
    if account.is_privileged {
        return Standing::Refused(Refusal::Privileged { username, host });
    }
    let (mark, is_recorded) = match facts.engine {
        Engine::MySql => (account.mark.as_ref(), true),
        Engine::MariaDb => match observed.ledger.get(&host).map(|row| (row, row.state)) {
            Some((row, LedgerState::Owned)) if account.credentials_set_at == Some(row.stamp) => {
                (Some(&row.owner), true)
            }
            // A crash between CREATE USER and the record of it: the account was absent when the intent was written.
            Some((row, LedgerState::Intent))
                if account.plugin == PLUGIN
                    && account.plugin_string_is_rds
                    && account.credentials_set_at.is_some_and(|set_at| set_at >= row.stamp) =>
            {
                (Some(&row.owner), false)
            }
            // Dropped and made again by somebody else, or never ours.
            _ => (None, false),
        },
    };
    match mark.map(|mark| owner.claim(mark, is_alive)) {
        None => Standing::Refused(Refusal::Foreign { username, host }),
        Some(Claim::Other(owner)) => Standing::Refused(Refusal::Owned { username, host, owner }),
        Some(Claim::Mine) if is_recorded => Standing::Ours,
        Some(Claim::Mine | Claim::MineAgain) => Standing::OursToRecord,
    }
}

#[derive(Clone, Copy)]
enum Direction {
    Grant,
    Revoke,
}

/// What `more` holds and `less` does not, as steps.
fn difference(
    host: &HostPattern,
    more: &SchemaGrants,
    less: &SchemaGrants,
    direction: Direction,
) -> impl Iterator<Item = AccountStep> {
    more.iter().filter_map(move |(schema, privileges)| {
        let empty = BTreeSet::new();
        let privileges: BTreeSet<_> = privileges.difference(less.get(schema).unwrap_or(&empty)).copied().collect();
        let (host, schema) = (host.clone(), schema.clone());
        (!privileges.is_empty()).then_some(match direction {
            Direction::Grant => AccountStep::Grant { host, schema, privileges },
            Direction::Revoke => AccountStep::Revoke { host, schema, privileges },
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALIVE: fn(&str) -> bool = |_| true;
    const GONE: fn(&str) -> bool = |_| false;

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
        }
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
                    (DatabaseName::parse(database).unwrap(), privileges.iter().copied().collect())
                })
                .collect(),
            owner: owner(),
            drop_surplus: true,
            revoke_surplus: true,
            max_user_connections: 0,
            is_locked: false,
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
                .map(|(schema, privileges)| ((*schema).into(), privileges.iter().copied().collect()))
                .collect(),
            max_user_connections: 0,
            is_locked: false,
            is_privileged: false,
        }
    }

    fn with(host: &str, account: ObservedAccount) -> ObservedUser {
        ObservedUser { accounts: [(host.to_owned(), account)].into(), ledger: BTreeMap::new() }
    }

    fn row(state: LedgerState, stamp: i64) -> BTreeMap<String, LedgerRow> {
        [("%".to_owned(), LedgerRow { owner: owner(), state, stamp })].into()
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
                    schema: "orders\\_prod".into(),
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
            ]
        );
    }

    #[test]
    fn a_converged_account_needs_no_step() {
        let grants: &[(&str, &[Privilege])] = &[("orders", &[Privilege::Select, Privilege::Insert])];
        let mysql = with("%", account(Some(owner()), grants));
        assert_eq!(plan(&desired(grants), &mysql, &facts(Engine::MySql), ALIVE), Ok(vec![]));
        let mariadb = ObservedUser { ledger: row(LedgerState::Owned, 1_000), ..with("%", account(None, grants)) };
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
        assert_eq!(
            plan_removal(&desired(&[]).username, &owner(), &observed, &facts(Engine::MariaDb), Removal::Drop),
            []
        );
    }

    #[test]
    fn on_mariadb_a_crash_after_create_user_is_healed_by_recording_it() {
        let observed = ObservedUser { ledger: row(LedgerState::Intent, 999), ..with("%", account(None, &[])) };
        let steps = plan(&desired(&[]), &observed, &facts(Engine::MariaDb), ALIVE).unwrap();
        assert_eq!(steps, [AccountStep::RecordOwned { host: host("%"), owner: owner() }]);
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
    fn grants_come_before_revokes_and_only_the_difference_moves() {
        let held: &[(&str, &[Privilege])] =
            &[("orders", &[Privilege::Select, Privilege::Drop]), ("old", &[Privilege::Select])];
        let wanted: &[(&str, &[Privilege])] =
            &[("orders", &[Privilege::Select, Privilege::Insert]), ("new", &[Privilege::Select])];
        let steps =
            plan(&desired(wanted), &with("%", account(Some(owner()), held)), &facts(Engine::MySql), ALIVE).unwrap();
        assert_eq!(
            steps,
            [
                AccountStep::Grant { host: host("%"), schema: "new".into(), privileges: [Privilege::Select].into() },
                AccountStep::Grant { host: host("%"), schema: "orders".into(), privileges: [Privilege::Insert].into() },
                AccountStep::Revoke { host: host("%"), schema: "old".into(), privileges: [Privilege::Select].into() },
                AccountStep::Revoke { host: host("%"), schema: "orders".into(), privileges: [Privilege::Drop].into() },
            ]
        );
    }

    #[test]
    fn a_grant_that_is_a_pattern_is_revoked_by_its_stored_spelling() {
        let held: &[(&str, &[Privilege])] = &[("orders_prod", &[Privilege::Select])];
        let wanted: &[(&str, &[Privilege])] = &[("orders_prod", &[Privilege::Select])];
        let steps =
            plan(&desired(wanted), &with("%", account(Some(owner()), held)), &facts(Engine::MySql), ALIVE).unwrap();
        assert_eq!(
            steps,
            [
                AccountStep::Grant {
                    host: host("%"),
                    schema: "orders\\_prod".into(),
                    privileges: [Privilege::Select].into()
                },
                AccountStep::Revoke {
                    host: host("%"),
                    schema: "orders_prod".into(),
                    privileges: [Privilege::Select].into()
                },
            ]
        );
    }

    #[test]
    fn an_account_whose_host_left_the_spec_is_dropped_if_it_is_ours_and_else_shadows() {
        let mut observed = with("%", account(Some(owner()), &[]));
        observed.accounts.insert("10.%".into(), account(Some(owner()), &[]));
        let steps = plan(&desired(&[]), &observed, &facts(Engine::MySql), ALIVE).unwrap();
        assert_eq!(steps, [AccountStep::Drop { host: host("10.%") }]);
        observed.accounts.insert("10.%".into(), account(None, &[]));
        let refusal = plan(&desired(&[]), &observed, &facts(Engine::MySql), ALIVE).unwrap_err();
        assert!(matches!(refusal, Refusal::Shadowed { .. }), "{refusal}");
    }

    #[test]
    fn administrators_and_roles_are_refused_even_with_our_mark() {
        let mut admin = account(Some(owner()), &[]);
        admin.is_privileged = true;
        let refusal = plan(&desired(&[]), &with("%", admin.clone()), &facts(Engine::MySql), ALIVE).unwrap_err();
        assert!(matches!(refusal, Refusal::Privileged { .. }), "{refusal}");
        assert_eq!(
            plan_removal(&desired(&[]).username, &owner(), &with("%", admin), &facts(Engine::MySql), Removal::Drop),
            []
        );
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
        let steps = plan_removal(&desired(&[]).username, &owner(), &observed, &facts(Engine::MySql), Removal::Drop);
        assert_eq!(steps, [AccountStep::Drop { host: host("%") }]);
    }

    #[test]
    fn removal_on_mariadb_forgets_the_row_even_when_the_account_is_gone() {
        let observed = ObservedUser { accounts: BTreeMap::new(), ledger: row(LedgerState::Owned, 1_000) };
        let steps = plan_removal(&desired(&[]).username, &owner(), &observed, &facts(Engine::MariaDb), Removal::Drop);
        assert_eq!(steps, [AccountStep::Forget { host: host("%") }]);
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
    fn additive_grants_take_nothing_away() {
        let held: &[(&str, &[Privilege])] = &[("old", &[Privilege::Select])];
        let additive = DesiredUser { revoke_surplus: false, ..desired(&[("new", &[Privilege::Select])]) };
        let steps = plan(&additive, &with("%", account(Some(owner()), held)), &facts(Engine::MySql), ALIVE).unwrap();
        assert_eq!(
            steps,
            [AccountStep::Grant { host: host("%"), schema: "new".into(), privileges: [Privilege::Select].into() }]
        );
    }

    #[test]
    fn removal_by_locking_keeps_the_account() {
        let observed = with("%", account(Some(owner()), &[]));
        let username = desired(&[]).username;
        let steps = plan_removal(&username, &owner(), &observed, &facts(Engine::MySql), Removal::Lock);
        assert_eq!(steps, [AccountStep::Lock { host: host("%") }]);
        let mut locked = account(Some(owner()), &[]);
        locked.is_locked = true;
        let steps = plan_removal(&username, &owner(), &with("%", locked), &facts(Engine::MySql), Removal::Lock);
        assert_eq!(steps, []);
    }
}
