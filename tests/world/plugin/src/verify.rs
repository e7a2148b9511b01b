//! The checks, in order. Pure: clock and configuration are arguments.

use crate::config::{Config, Endpoint, Key};
use crate::policy;
use crate::presigned::Presigned;
use crate::sigv4;
use crate::verdict::{Reason, Verdict};

/// The longest life that a token may ask for, in seconds.
pub const LONGEST_LIFE: i64 = 900;
/// How far a signer's clock may run ahead, in seconds.
pub const CLOCK_SKEW: i64 = 300;
/// A token longer than this is none. Session tokens grow, so it is far above what AWS hands out today.
pub const LONGEST_TOKEN: usize = 64 * 1024;

/// Judges a login that arrived encrypted at `endpoint`, for the account called `account`, at `now` seconds since the
/// epoch.
pub fn verify(config: &Config, endpoint: &Endpoint, account: &str, token: &[u8], now: i64) -> Verdict {
    let refused = |reason| Verdict::refused(Some(endpoint.endpoint.clone()), reason);
    if !endpoint.iam {
        return refused(Reason::IamOff);
    }
    if token.len() > LONGEST_TOKEN {
        return refused(Reason::Malformed);
    }
    let Some(request) = str::from_utf8(token).ok().and_then(Presigned::parse) else {
        return refused(Reason::Malformed);
    };
    if let Err(reason) = scope(config, endpoint, &request) {
        return refused(reason);
    }
    let Some(key) = config.keys.get(&request.access_key) else {
        return refused(Reason::UnknownKey);
    };
    let checked = credentials(key, &request, now)
        .and_then(|()| lifetime(&request, now))
        .and_then(|()| authorization(config, endpoint, account, key, &request))
        .and_then(|()| hop(config, endpoint, account));
    Verdict {
        endpoint: Some(endpoint.endpoint.clone()),
        principal: Some(key.principal.clone()),
        reason: checked.err().unwrap_or(Reason::Accepted),
    }
}

/// Was it signed for this place? The host is compared as it was signed: an alias that resolves here is another host.
fn scope(config: &Config, endpoint: &Endpoint, request: &Presigned<'_>) -> Result<(), Reason> {
    ensure(request.endpoint == endpoint.endpoint, Reason::WrongEndpoint)?;
    ensure(request.region == config.region, Reason::WrongRegion)?;
    ensure(request.service == sigv4::SERVICE, Reason::WrongService)
}

/// Was it signed with this key, and is the key still good? A token ends with the credentials that signed it.
fn credentials(key: &Key, request: &Presigned<'_>, now: i64) -> Result<(), Reason> {
    ensure(key.expires.is_none_or(|end| now < end), Reason::KeyExpired)?;
    ensure(key.session_token == request.session_token, Reason::SessionTokenMismatch)?;
    ensure(sigv4::is_signed_by(request, &key.secret), Reason::SignatureMismatch)
}

/// Is now within its life? A token of 900 seconds is good for 899 full ones and dead at the 900th.
fn lifetime(request: &Presigned<'_>, now: i64) -> Result<(), Reason> {
    ensure(request.lifetime <= LONGEST_LIFE, Reason::ExpiresTooLong)?;
    ensure(request.signed_at <= now.saturating_add(CLOCK_SKEW), Reason::NotYetValid)?;
    ensure(now < request.signed_at + request.lifetime, Reason::Expired)
}

/// Is it for this user, and may the key's owner be this user? Names are compared with their case.
fn authorization(
    config: &Config,
    endpoint: &Endpoint,
    account: &str,
    key: &Key,
    request: &Presigned<'_>,
) -> Result<(), Reason> {
    ensure(request.user == account, Reason::WrongUser)?;
    may_connect(config, &key.principal, &endpoint.resource_id, account)
}

/// May the proxy, if there is one, itself be this user on the database behind it?
fn hop(config: &Config, endpoint: &Endpoint, account: &str) -> Result<(), Reason> {
    let Some(proxy) = &endpoint.proxy else { return Ok(()) };
    may_connect(config, &proxy.role, &proxy.target, account).map_err(|_| Reason::ProxyRoleDenied)
}

fn may_connect(config: &Config, principal: &str, resource_id: &str, account: &str) -> Result<(), Reason> {
    let statements = config.policies.get(principal).map_or(&[][..], Vec::as_slice);
    let arn = policy::user_arn(&config.partition, &config.region, &config.account, resource_id, account);
    policy::allows(statements, &arn)
}

fn ensure(holds: bool, otherwise: Reason) -> Result<(), Reason> {
    if holds { Ok(()) } else { Err(otherwise) }
}
