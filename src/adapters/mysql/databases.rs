//! Logging in: the address is looked at before it is dialled, the certificate before anything secret is sent.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;
use sqlx::ConnectOptions as _;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlSslMode};
use tokio::sync::{self, OwnedMutexGuard};
use tokio::time;

use super::classify::{self, Phase};
use super::session::Session;
use crate::domain::endpoint::{self, Endpoint};
use crate::domain::engine::ServerFacts;
use crate::ports::{AdminSession, Databases, Fault, FaultKind, LoginTarget};

/// More prepared statements than a session ever has; see `session::query` for what one less costs.
const STATEMENTS: usize = 4_096;

/// How long a database may take. sqlx has no limits of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From the look-up of the name to the end of the login.
    pub connect: Duration,
    /// Each statement.
    pub statement: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), statement: Duration::from_secs(15) }
    }
}

/// MySQL and MariaDB servers.
///
/// Connections are not pooled: a server is asked rarely, and an idle administrator's session on each of many servers is a
/// risk and a cost.
#[derive(Debug, Default)]
pub struct MySqlDatabases {
    deadlines: Deadlines,
    allow_loopback: bool,
    /// Whose turn it is, by server. Entries that nobody holds are swept when the next is asked for.
    turns: Mutex<HashMap<Endpoint, Arc<sync::Mutex<Turn>>>>,
}

/// A server's one session at a time. It remembers who found the server unreachable and when: whoever waited for that turn gets the same answer
/// at once, or a silent server would hold up as many callers as have work for it, one deadline after the other.
#[derive(Debug, Default)]
pub(super) struct Turn {
    unreachable: Option<(Instant, Fault)>,
}

impl Turn {
    /// The answer for a caller that has waited since `asked`, if there is one already.
    fn answer(&self, asked: Instant) -> Option<Fault> {
        self.unreachable.as_ref().filter(|(at, _)| *at >= asked).map(|(_, fault)| fault.clone())
    }

    fn remember(&mut self, fault: &Fault) {
        if fault.kind == FaultKind::Unreachable {
            self.unreachable = Some((Instant::now(), fault.clone()));
        }
    }
}

impl MySqlDatabases {
    /// Databases under these deadlines. `allow_loopback` is for tests, whose servers run on this machine.
    #[must_use]
    pub fn new(deadlines: Deadlines, allow_loopback: bool) -> Self {
        Self { deadlines, allow_loopback, turns: Mutex::default() }
    }

    async fn turn(&self, endpoint: &Endpoint) -> OwnedMutexGuard<Turn> {
        let turn = {
            let mut turns = self.turns.lock();
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            turns.entry(endpoint.clone()).or_default().clone()
        };
        turn.lock_owned().await
    }

    pub(super) const fn deadlines(&self) -> Deadlines {
        self.deadlines
    }

    pub(super) async fn connect(&self, target: &LoginTarget) -> Result<MySqlConnection, Fault> {
        self.look_up(&target.endpoint).await?;
        options(target).connect().await.map_err(|error| classify::fault(Phase::Login, "log in to the database", &error))
    }

    /// Refuses a name that leads to an address that is never a database's. sqlx resolves the name once more when it dials,
    /// and may get another answer; what it reaches then still has to show a certificate for the name before it learns anything.
    async fn look_up(&self, endpoint: &Endpoint) -> Result<(), Fault> {
        let unreachable = || Fault::new(FaultKind::Unreachable, "resolve the database's name");
        let addresses: Vec<IpAddr> = tokio::net::lookup_host((endpoint.host(), endpoint.port()))
            .await
            .map_err(|_| unreachable().with_code("not-resolved"))?
            .map(|address| address.ip().to_canonical())
            .collect();
        if addresses.is_empty() {
            return Err(unreachable().with_code("not-resolved"));
        }
        if addresses.iter().all(|address| self.may_dial(*address)) {
            Ok(())
        } else {
            Err(unreachable().with_code("address-refused"))
        }
    }

    fn may_dial(&self, address: IpAddr) -> bool {
        endpoint::may_dial(address) || (self.allow_loopback && address.is_loopback())
    }
}

#[async_trait]
impl Databases for MySqlDatabases {
    async fn open(&self, target: &LoginTarget) -> Result<(ServerFacts, Box<dyn AdminSession>), Fault> {
        let asked = Instant::now();
        let mut turn = self.turn(&target.endpoint).await;
        if let Some(fault) = turn.answer(asked) {
            return Err(fault);
        }
        let connected = time::timeout(self.deadlines.connect, self.connect(target)).await;
        let connected = connected.unwrap_or_else(|_| Err(classify::timeout("log in to the database")));
        let connection = connected.inspect_err(|fault| turn.remember(fault))?;
        let (facts, session) = Session::begin(connection, self.deadlines, turn).await?;
        Ok((facts, Box::new(session)))
    }
}

/// Never printed: their `Debug` shows the password.
fn options(target: &LoginTarget) -> MySqlConnectOptions {
    MySqlConnectOptions::new()
        .host(target.endpoint.host())
        .port(target.endpoint.port())
        .username(&target.login.username)
        .password(target.login.password.expose())
        // TLS before the login, and the name in the certificate checked: else a token or password goes to whoever answers.
        // sqlx adds the bundle to the public roots that it brings along; it cannot be told to leave those out.
        .ssl_mode(MySqlSslMode::VerifyIdentity)
        .ssl_ca_from_pem(target.ca.as_bytes().to_vec())
        // Tokens go in clear text, inside TLS. A password needs no such plugin, and a server must not be able to ask for it.
        .enable_cleartext_plugin(target.by_token)
        // `sql::pin` sets all of these; sqlx would only add its modes to whatever the server has.
        .pipes_as_concat(false)
        .no_engine_substitution(false)
        .timezone(None)
        .set_names(false)
        .statement_cache_capacity(STATEMENTS)
        // sqlx logs statements, and slow ones with their text as warnings.
        .disable_statement_logging()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(host: &str) -> Endpoint {
        Endpoint::new(&format!("{host}.rds.amazonaws.com"), 3306).unwrap()
    }

    #[test]
    fn loopback_is_dialled_in_tests_only_and_metadata_never() {
        let (product, test) = (MySqlDatabases::default(), MySqlDatabases::new(Deadlines::default(), true));
        let (loopback, metadata) = ("127.76.0.2".parse().unwrap(), "169.254.169.254".parse().unwrap());
        assert!(!product.may_dial(loopback) && test.may_dial(loopback));
        assert!(!product.may_dial(metadata) && !test.may_dial(metadata));
    }

    #[tokio::test]
    async fn a_server_is_one_sessions_at_a_time_and_servers_do_not_wait_for_each_other() {
        let databases = MySqlDatabases::default();
        let first = databases.turn(&endpoint("a")).await;
        let patience = Duration::from_millis(20);
        assert!(time::timeout(patience, databases.turn(&endpoint("a"))).await.is_err());
        assert!(time::timeout(patience, databases.turn(&endpoint("b"))).await.is_ok());
        drop(first);
        assert!(time::timeout(patience, databases.turn(&endpoint("a"))).await.is_ok());
    }

    #[test]
    fn whoever_waited_for_a_server_that_is_unreachable_gets_that_answer() {
        let mut turn = Turn::default();
        let asked = Instant::now();
        assert_eq!(turn.answer(asked), None);
        turn.remember(&Fault::new(FaultKind::Denied, "log in"));
        assert_eq!(turn.answer(asked), None, "a refusal is for one login, not for the server");
        let fault = Fault::new(FaultKind::Unreachable, "log in");
        turn.remember(&fault);
        assert_eq!(turn.answer(asked), Some(fault));
        std::thread::sleep(Duration::from_millis(2));
        assert_eq!(turn.answer(Instant::now()), None, "who asks afterwards tries anew");
    }

    #[tokio::test]
    async fn turns_that_nobody_holds_are_forgotten() {
        let databases = MySqlDatabases::default();
        for host in ["a", "b", "c"] {
            drop(databases.turn(&endpoint(host)).await);
        }
        let _held = databases.turn(&endpoint("d")).await;
        assert_eq!(databases.turns.lock().len(), 1);
    }
}
