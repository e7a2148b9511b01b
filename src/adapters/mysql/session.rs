//! One administrator's session: statements under a deadline.

use std::collections::BTreeSet;

use async_trait::async_trait;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::sync::OwnedMutexGuard;
use tokio::time;

use super::catalogue::{self, Gathering};
use super::classify::{self, Phase};
use super::databases::{Deadlines, Turn};
use super::sql::{self, Statement, Unquotable, read};
use crate::domain::account::{AccountStep, Catalogue, GrantedOn, OwnLogin, Question};
use crate::domain::engine::{Engine, ServerFacts};
use crate::domain::hosts;
use crate::domain::names::{HostPattern, RoleName, Username};
use crate::domain::ownership::Owner;
use crate::domain::privilege::Right;
use crate::ports::{AdminSession, Fault, FaultKind};

/// A REVOKE of what is not granted, or, of a role, of what everybody has.
const NO_SUCH_GRANT: [&str; 6] = ["1141", "1147", "1403", "1962", "3530", "3628"];

/// A session that is not there.
const NO_SUCH_SESSION: &str = "1094";

/// A session that has logged in and has been told about the server.
pub(super) struct Session {
    link: Link,
    engine: Engine,
    has_ledger: bool,
    /// Whether the server has refused to let this login end sessions by itself.
    kills_by_procedure: bool,
    /// Held as long as the session: the next one for this server waits for it. Fields are dropped in order, the link first.
    _turn: OwnedMutexGuard<Turn>,
}

impl Session {
    /// Asks the server about itself and makes the session independent of its settings.
    pub(super) async fn begin(
        connection: MySqlConnection,
        deadlines: Deadlines,
        turn: OwnedMutexGuard<Turn>,
    ) -> Result<(ServerFacts, Self), Fault> {
        let mut link = Link { connection: Some(connection), deadlines };
        let greeting = catalogue::greeting("read the server's settings", &link.row(sql::facts()).await?)?;
        let facts = greeting.facts;
        link.execute(sql::pin(facts.engine, deadlines.statement / 2)).await?;
        let session = Self {
            link,
            engine: facts.engine,
            has_ledger: greeting.has_ledger,
            kills_by_procedure: false,
            _turn: turn,
        };
        Ok((facts, session))
    }

    async fn need_ledger(&mut self) -> Result<(), Fault> {
        if !self.has_ledger {
            self.link.execute(sql::ledger::create_schema()).await?;
            self.link.execute(sql::ledger::create_table()).await?;
            self.has_ledger = true;
        }
        Ok(())
    }

    async fn record_adoption(&mut self, username: &Username, host: &HostPattern, owner: &Owner) -> Result<(), Fault> {
        self.need_ledger().await?;
        self.link.execute(sql::ledger::clear_for_adoption(username, host, owner)).await?;
        self.link.execute_on_one(sql::ledger::record_adoption(username, host, owner)).await
    }

    /// Ends the sessions that are of this account and of no other of its name. Those of which nobody can tell go on, and the fault says so.
    async fn end_sessions(
        &mut self,
        username: &Username,
        host: &HostPattern,
        beside: &BTreeSet<String>,
    ) -> Result<(), Fault> {
        let mut is_sure = true;
        for row in self.link.rows(read::sessions(username)).await? {
            let (id, client) = catalogue::session("read sessions", &row)?;
            let others = beside.iter().map(String::as_str);
            // Where no other account stays, all are, however the server shows where they come from.
            let is_its =
                if beside.is_empty() { Some(true) } else { hosts::logged_in_as(host.as_str(), others, &client) };
            match is_its {
                Some(true) => self.end_session(id).await?,
                Some(false) => {}
                None => is_sure = false,
            }
        }
        let unsure =
            || Fault::new(FaultKind::Unreadable, "tell them from those of an account of this name at another host");
        if is_sure { Ok(()) } else { Err(unsure()) }
    }

    /// One that has ended by itself is done.
    async fn end_session(&mut self, id: u64) -> Result<(), Fault> {
        let is_gone = |fault: &Fault| fault.code.as_deref() == Some(NO_SUCH_SESSION);
        if !self.kills_by_procedure {
            match self.link.execute(sql::kill(id)).await {
                Err(fault) if is_gone(&fault) => return Ok(()),
                Err(fault) if fault.kind == FaultKind::LacksPrivilege => self.kills_by_procedure = true,
                outcome => return outcome.map(|_| ()),
            }
        }
        match self.link.execute(sql::kill_on_rds(id)).await {
            Err(fault) if is_gone(&fault) => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }

    async fn own_login(&mut self) -> Result<OwnLogin, Fault> {
        let row = self.link.row(sql::own_login()).await?;
        catalogue::own_login("ask who it is", self.engine, &row)
    }

    async fn record_intent(&mut self, username: &Username, host: &HostPattern, owner: &Owner) -> Result<(), Fault> {
        self.need_ledger().await?;
        self.link.execute(sql::ledger::clear_intent(username, host, owner)).await?;
        self.link.execute_on_one(sql::ledger::record_intent(username, host, owner)).await
    }

    /// Takes rights away. A server refuses the whole statement where one of them may not be taken, or as MySQL 9 does is not there any more: then the
    /// others go one by one.
    async fn revoke_rights(
        &mut self,
        username: &Username,
        host: &HostPattern,
        on: &GrantedOn,
        rights: &BTreeSet<Right>,
    ) -> Result<(), Fault> {
        match self.revoke(built(sql::revoke(username, host, on, rights))?).await {
            Err(fault) if rights.len() == 1 || fault.kind == FaultKind::Unreachable => Err(fault),
            Ok(is_done) if is_done || rights.len() == 1 => Ok(()),
            Ok(_) | Err(_) => {
                let each = rights.iter().map(|right| sql::revoke(username, host, on, &[right.clone()].into()));
                self.revoke_each(each.collect()).await
            }
        }
    }

    /// One after the other. What cannot be taken away keeps nothing else in its place; it is told when all were tried.
    async fn revoke_each(&mut self, statements: Vec<Result<Statement, Unquotable>>) -> Result<(), Fault> {
        let mut refused = None;
        for statement in statements {
            match self.revoke(built(statement)?).await {
                Err(fault) if fault.kind == FaultKind::Unreachable => return Err(fault),
                Err(fault) => _ = refused.get_or_insert(fault),
                Ok(_) => {}
            }
        }
        refused.map_or(Ok(()), Err)
    }

    /// Tells whether there was anything to take away: nothing is as good.
    async fn revoke(&mut self, statement: Statement) -> Result<bool, Fault> {
        match self.link.execute(statement).await {
            Err(fault) if fault.code.as_deref().is_some_and(|code| NO_SUCH_GRANT.contains(&code)) => Ok(false),
            outcome => outcome.map(|_| true),
        }
    }
}

#[async_trait]
impl AdminSession for Session {
    /// A statement each for accounts with their grants on schemas, for roles, for all other grants, and on MariaDB for the ledger: it is a table of
    /// ours, which may not exist yet, and a statement that names it could not even be prepared then.
    async fn observe(&mut self, question: &Question) -> Result<Catalogue, Fault> {
        let mut gathering = Gathering::default();
        let users = read::names(&question.usernames);
        let login = if question.own_login { Some(self.own_login().await?) } else { None };
        let own = login.iter().map(|login| login.account.name.as_str());
        let asked: Vec<&str> =
            users.iter().copied().chain(question.roles.iter().map(RoleName::as_str)).chain(own).collect();
        if !asked.is_empty() {
            for row in self.link.rows(read::accounts(self.engine, &asked, question.is_about_roles())).await? {
                gathering.add_account("read accounts", &row)?;
            }
        }
        // No account, no grants: the most frequent answer for a new user needs no further question.
        let found = gathering.names();
        let found: Vec<&str> = found.iter().map(String::as_str).collect();
        if !found.is_empty() {
            for row in self.link.rows(read::roles(self.engine, &found)).await? {
                gathering.add_role("read roles", &row)?;
            }
            for row in self.link.rows(read::object_grants(self.engine, &found)).await? {
                gathering.add_object_grant("read grants", &row)?;
            }
        }
        if self.engine == Engine::MariaDb && self.has_ledger && !users.is_empty() {
            for row in self.link.rows(read::ledger(&users)).await? {
                gathering.add_ledger_row("read the ledger", &row)?;
            }
        }
        if question.definers {
            let rows = self.link.rows(read::definers(self.engine)).await?;
            gathering.set_definers("read definers", &rows)?;
        }
        Ok(Catalogue { login, ..gathering.finish(question) })
    }

    async fn apply(&mut self, username: &Username, step: &AccountStep) -> Result<(), Fault> {
        let statement = match step {
            AccountStep::RecordIntent { host, owner } => return self.record_intent(username, host, owner).await,
            AccountStep::RecordOwned { host, owner } => {
                return self.link.execute_on_one(sql::ledger::record_owned(username, host, owner)).await;
            }
            AccountStep::RecordAdoption { host, owner } => return self.record_adoption(username, host, owner).await,
            AccountStep::Revoke { host, on, rights } => {
                return self.revoke_rights(username, host, on, rights).await;
            }
            AccountStep::RevokeRoles { host, roles } => {
                // MariaDB takes one at a time, and MySQL would not tell which of them is gone already.
                let each = roles.iter().map(|role| sql::revoke_role(username, host, role));
                return self.revoke_each(each.collect()).await;
            }
            AccountStep::EndSessions { host, beside } => return self.end_sessions(username, host, beside).await,
            AccountStep::Forget { .. } if !self.has_ledger => return Ok(()),
            AccountStep::Forget { host } => Ok(sql::ledger::forget(username, host)),
            AccountStep::Create { host, owner } => sql::create_account(self.engine, username, host, owner),
            AccountStep::Adopt { host, owner } => sql::adopt_account(self.engine, username, host, owner),
            AccountStep::Mark { host, owner } => sql::mark_account(username, host, owner),
            AccountStep::UsePlugin { host } => sql::use_plugin(username, host),
            AccountStep::RequireTls { host } => sql::require_tls(username, host),
            AccountStep::Limit { host, max_user_connections } => sql::limit(username, host, *max_user_connections),
            AccountStep::Lock { host } => sql::lock(username, host),
            AccountStep::Unlock { host } => sql::unlock(username, host),
            AccountStep::Grant { host, on, privileges } => sql::grant(username, host, on, privileges),
            AccountStep::GrantRoles { host, roles } => sql::grant_roles(username, host, roles),
            AccountStep::SetDefaultRoles { host, roles } => sql::set_default_roles(self.engine, username, host, roles),
            AccountStep::Drop { host } => sql::drop_account(username, host),
        };
        self.link.execute(built(statement)?).await.map(|_| ())
    }

    async fn close(mut self: Box<Self>) {
        if let Some(connection) = self.link.connection.take() {
            // Politeness only: a server that does not answer it loses nothing but a line in its statistics.
            let _ = time::timeout(self.link.deadlines.statement, connection.close()).await;
        }
    }
}

fn built(statement: Result<Statement, Unquotable>) -> Result<Statement, Fault> {
    statement.map_err(|Unquotable| Fault::new(FaultKind::Other, "build a statement").with_code("unquotable"))
}

/// A connection that is there while it can be used. It is out of its place during a call, so that a call that is cut short,
/// by its deadline or by its caller, takes the connection with it: half an answer left in the stream would be read as the next.
struct Link {
    connection: Option<MySqlConnection>,
    deadlines: Deadlines,
}

impl Link {
    /// Runs a statement that must have found exactly what it is about.
    async fn execute_on_one(&mut self, statement: Statement) -> Result<(), Fault> {
        let operation = statement.operation;
        // The connection counts rows found, not rows changed, so a row that is as it shall be counts.
        match self.execute(statement).await? {
            0 => Err(Fault::new(FaultKind::Conflict, operation).with_code("changed-meanwhile")),
            _ => Ok(()),
        }
    }

    async fn execute(&mut self, statement: Statement) -> Result<u64, Fault> {
        let operation = statement.operation;
        let mut connection = self.take(operation)?;
        let outcome = time::timeout(self.deadlines.statement, query(statement).execute(&mut connection)).await;
        self.settle(connection, operation, outcome).map(|done| done.rows_affected())
    }

    async fn rows(&mut self, statement: Statement) -> Result<Vec<MySqlRow>, Fault> {
        let operation = statement.operation;
        let mut connection = self.take(operation)?;
        let outcome = time::timeout(self.deadlines.statement, query(statement).fetch_all(&mut connection)).await;
        self.settle(connection, operation, outcome)
    }

    async fn row(&mut self, statement: Statement) -> Result<MySqlRow, Fault> {
        let operation = statement.operation;
        let rows = self.rows(statement).await?;
        rows.into_iter().next().ok_or_else(|| Fault::new(FaultKind::Unreadable, operation))
    }

    fn take(&mut self, operation: &'static str) -> Result<MySqlConnection, Fault> {
        self.connection.take().ok_or_else(|| Fault::new(FaultKind::Unreachable, operation).with_code("session-ended"))
    }

    fn settle<T>(
        &mut self,
        connection: MySqlConnection,
        operation: &'static str,
        outcome: Result<Result<T, sqlx::Error>, time::error::Elapsed>,
    ) -> Result<T, Fault> {
        match outcome {
            Ok(Ok(value)) => {
                self.connection = Some(connection);
                Ok(value)
            }
            Ok(Err(error)) => {
                if matches!(error, sqlx::Error::Database(_)) {
                    self.connection = Some(connection);
                }
                Err(classify::fault(Phase::Statement, operation, &error))
            }
            Err(_) => Err(classify::timeout(operation)),
        }
    }
}

/// Every statement is prepared: the text protocol would run a second statement behind a semicolon, this one refuses it.
/// It is the one place where sqlx is told to trust a text; `sql.rs` is why it may.
///
/// Prepared statements stay until the session ends. sqlx sends the end of one without waiting for an answer, there is none,
/// and the next statement then waits 40 ms for the server's delayed acknowledgement of it.
pub(super) fn query(statement: Statement) -> sqlx::query::Query<'static, sqlx::MySql, sqlx::mysql::MySqlArguments> {
    let query = sqlx::query(AssertSqlSafe(statement.text)).persistent(true);
    statement.values.into_iter().fold(query, sqlx::query::Query::bind)
}
