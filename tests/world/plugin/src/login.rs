//! One login: reads the clock and the configuration, has the checks made and the verdict logged.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

use crate::config::Config;
use crate::journal;
use crate::socket::Transport;
use crate::verdict::{Reason, Verdict};
use crate::verify::verify;

const CONFIG: &str = "WORLD_AUTH_CONFIG";
const LOG: &str = "WORLD_AUTH_LOG";

/// What the server and the client said.
pub(crate) struct Login {
    /// The account's name, as the server's user table has it.
    pub(crate) account: String,
    /// The server-side address of the connection, if it has one.
    pub(crate) local: Option<SocketAddr>,
    /// What the client sent, if it sent anything.
    pub(crate) answer: Option<Answer>,
}

/// The client's answer.
pub(crate) struct Answer {
    /// How it came in.
    pub(crate) transport: Transport,
    /// The token and a closing NUL.
    pub(crate) packet: Vec<u8>,
}

impl Login {
    /// Judges the login and logs the verdict; whether the client is let in.
    pub(crate) fn judge(&self) -> bool {
        let now = now();
        let verdict = self.verdict(now);
        log(&self.account, now, &verdict);
        verdict.accepted()
    }

    fn verdict(&self, now: i64) -> Verdict {
        let config = env::var_os(CONFIG).and_then(|path| fs::read_to_string(path).ok());
        let config = config.as_deref().and_then(Config::parse);
        let endpoint = config.as_ref().and_then(|config| config.endpoint_at(self.local?));
        let refused = |reason| Verdict::refused(endpoint.map(|endpoint| endpoint.endpoint.clone()), reason);

        let Some(answer) = &self.answer else { return refused(Reason::NoToken) };
        if answer.transport != Transport::Tls {
            return refused(Reason::NotTls);
        }
        let Some(config) = &config else { return refused(Reason::Unconfigured) };
        let Some(endpoint) = endpoint else { return refused(Reason::UnknownEndpoint) };
        let token = answer.packet.strip_suffix(b"\0").unwrap_or(&answer.packet);
        verify(config, endpoint, &self.account, token, now)
    }
}

/// Logs that the plugin failed.
pub(crate) fn record_failure() {
    log("", now(), &Verdict::refused(None, Reason::Internal));
}

fn log(account: &str, now: i64, verdict: &Verdict) {
    let path = env::var_os(LOG).map(PathBuf::from);
    journal::record(path.as_deref(), now, account, verdict);
}

/// Seconds since the epoch. A clock that cannot be right reads as 1970, when no token is good.
fn now() -> i64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
    elapsed.ok().and_then(|elapsed| i64::try_from(elapsed.as_secs()).ok()).unwrap_or(0)
}
