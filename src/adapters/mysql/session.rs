//! One administrator's session: statements under a deadline.

use async_trait::async_trait;
use sqlx::mysql::{MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, Connection as _};
use tokio::sync::OwnedMutexGuard;
use tokio::time;

use super::catalogue;
use super::classify::{self, Phase};
use super::databases::{Deadlines, Turn};
use super::sql::{self, Statement, Unquotable};
use crate::domain::account::{AccountStep, ObservedUser};
use crate::domain::engine::{Engine, ServerFacts};
use crate::domain::names::{HostPattern, Username};
use crate::domain::ownership::Owner;
use crate::ports::{AdminSession, Fault, FaultKind};

/// A REVOKE of what is not granted.
const NO_SUCH_GRANT: [&str; 3] = ["1141", "1147", "1403"];

/// A session that has logged in and has been told about the server.
pub(super) struct Session {
    link: Link,
    engine: Engine,
    has_ledger: bool,
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
        let session = Self { link, engine: facts.engine, has_ledger: greeting.has_ledger, _turn: turn };
        Ok((facts, session))
    }

    async fn record_intent(&mut self, username: &Username, host: &HostPattern, owner: &Owner) -> Result<(), Fault> {
        if !self.has_ledger {
            self.link.execute(sql::create_ledger_schema()).await?;
            self.link.execute(sql::create_ledger_table()).await?;
            self.has_ledger = true;
        }
        self.link.execute(sql::clear_intent(username, host, owner)).await?;
        self.link.execute_on_one(sql::record_intent(username, host, owner)).await
    }

    async fn revoke(&mut self, statement: Statement) -> Result<(), Fault> {
        match self.link.execute(statement).await {
            Err(fault) if fault.code.as_deref().is_some_and(|code| NO_SUCH_GRANT.contains(&code)) => Ok(()),
            outcome => outcome.map(|_| ()),
        }
    }
}

#[async_trait]
impl AdminSession for Session {
    /// One statement for accounts and their grants on schemas, one for those on tables and routines, and on MariaDB one more for the ledger: it is a table of ours, which may
    /// not exist yet, and a statement that names it could not even be prepared then.
    async fn observe(&mut self, username: &Username) -> Result<ObservedUser, Fault> {
        let mut user = ObservedUser::default();
        for row in self.link.rows(sql::accounts(self.engine, username)).await? {
            catalogue::add_account(&mut user, "read accounts", &row)?;
        }
        // No account, no grants: the most frequent answer for a new user needs no second question.
        if !user.accounts.is_empty() {
            for row in self.link.rows(sql::object_grants(username)).await? {
                catalogue::add_object_grant(&mut user, "read grants", &row)?;
            }
        }
        if self.engine == Engine::MariaDb && self.has_ledger {
            for row in self.link.rows(sql::ledger(username)).await? {
                catalogue::add_ledger_row(&mut user, "read the ledger", &row)?;
            }
        }
        Ok(user)
    }

    async fn apply(&mut self, username: &Username, step: &AccountStep) -> Result<(), Fault> {
        let statement = match step {
            AccountStep::RecordIntent { host, owner } => return self.record_intent(username, host, owner).await,
            AccountStep::RecordOwned { host, owner } => {
                return self.link.execute_on_one(sql::record_owned(username, host, owner)).await;
            }
            AccountStep::Mark { host, owner } if self.engine == Engine::MariaDb => {
                return self.link.execute_on_one(sql::mark_in_ledger(username, host, owner)).await;
            }
            AccountStep::Revoke { host, on, privileges } => {
                return self.revoke(built(sql::revoke(username, host, on, privileges))?).await;
            }
            AccountStep::Forget { .. } if !self.has_ledger => return Ok(()),
            AccountStep::Forget { host } => Ok(sql::forget(username, host)),
            AccountStep::Create { host, owner } => sql::create_account(self.engine, username, host, owner),
            AccountStep::Mark { host, owner } => sql::mark_account(username, host, owner),
            AccountStep::UsePlugin { host } => sql::use_plugin(username, host),
            AccountStep::RequireTls { host } => sql::require_tls(username, host),
            AccountStep::Limit { host, max_user_connections } => sql::limit(username, host, *max_user_connections),
            AccountStep::Lock { host } => sql::lock(username, host),
            AccountStep::Unlock { host } => sql::unlock(username, host),
            AccountStep::Grant { host, on, privileges } => sql::grant(username, host, on, privileges),
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
