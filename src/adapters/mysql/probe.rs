//! Logins that only prove that they are possible: with a token that was published, where it was signed for.

use async_trait::async_trait;
use sqlx::Connection as _;
use sqlx::Row as _;
use tokio::time;

use super::classify::{self, Phase};
use super::databases::MySqlDatabases;
use super::{session, sql};
use crate::domain::engine::Engine;
use crate::ports::{Fault, Login, LoginProbe, LoginTarget};

const LOG_IN: &str = "log in with the token";

/// OpenSSL's names of the ciphers that rustls speaks. What a server says goes no further than this list.
const CIPHERS: [&str; 9] = [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-RSA-CHACHA20-POLY1305",
];

impl MySqlDatabases {
    async fn prove(&self, target: &LoginTarget, engine: Engine) -> Result<Login, Fault> {
        let mut connection = self.connect(target).await?;
        let statement = sql::who_am_i(engine);
        let operation = statement.operation;
        let row = session::query(statement).fetch_one(&mut connection).await;
        let login = row.and_then(|row| {
            let cipher: Option<String> = row.try_get("cipher")?;
            let cipher = cipher.and_then(|name| CIPHERS.into_iter().find(|known| *known == name));
            Ok(Login { current_user: row.try_get("account")?, cipher })
        });
        // Politeness only.
        let _ = connection.close().await;
        login.map_err(|error| classify::fault(Phase::Statement, operation, &error))
    }
}

#[async_trait]
impl LoginProbe for MySqlDatabases {
    /// It waits for nobody's turn: the login is not the administrator's, and one slow server must not hide what another says.
    async fn log_in(&self, target: &LoginTarget, engine: Engine) -> Result<Login, Fault> {
        let proved = time::timeout(self.deadlines().connect, self.prove(target, engine)).await;
        proved.unwrap_or_else(|_| Err(classify::timeout(LOG_IN)))
    }
}
