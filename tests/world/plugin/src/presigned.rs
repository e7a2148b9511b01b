//! A token's shape: a presigned URL without its scheme, `host:port/?Action=connect&DBUser=...&X-Amz-...`.

use crate::{calendar, percent, sigv4};

const SIGNATURE: &str = "X-Amz-Signature";

/// A token taken apart, before anything about it is believed.
///
/// It has no `Debug`: a token is a password as long as it lives.
pub(crate) struct Presigned<'a> {
    /// `host:port` as it was signed.
    pub(crate) endpoint: &'a str,
    /// The database user.
    pub(crate) user: String,
    /// Id of the access key.
    pub(crate) access_key: String,
    /// The day in the credential scope, `20260101`. It is the day of `date`.
    pub(crate) day: String,
    /// The Region in the credential scope.
    pub(crate) region: String,
    /// The service in the credential scope.
    pub(crate) service: String,
    /// When the token was signed, as written.
    pub(crate) date: String,
    /// When the token was signed, in seconds since the epoch.
    pub(crate) signed_at: i64,
    /// How long the token lives, in seconds; never 0.
    pub(crate) lifetime: i64,
    /// The session token of temporary credentials.
    pub(crate) session_token: Option<String>,
    /// The signature.
    pub(crate) signature: [u8; 32],
    parameters: Vec<(String, String)>,
}

impl<'a> Presigned<'a> {
    /// Takes a token apart. `None` when it is not what a signer of database tokens makes.
    ///
    /// Every parameter may come once only, also one that is not looked at: two values would mean that what was signed
    /// and what is used can differ. Further parameters are let pass, as the signature covers them.
    pub(crate) fn parse(token: &'a str) -> Option<Self> {
        let (endpoint, query) = token.split_once("/?")?;
        if endpoint.is_empty() || endpoint.contains(['/', '?', '#', '@']) {
            return None;
        }
        let parameters = parse_query(query)?;
        let get = |name: &str| {
            let found = parameters.iter().find(|(n, _)| n == name);
            found.map(|(_, value)| value.clone())
        };
        if get("Action")? != "connect"
            || get("X-Amz-Algorithm")? != sigv4::ALGORITHM
            || get("X-Amz-SignedHeaders")? != "host"
        {
            return None;
        }
        let credential = get("X-Amz-Credential")?;
        let [access_key, day, region, service, sigv4::TERMINATOR] = credential.split('/').collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let date = get("X-Amz-Date")?;
        let signed_at = calendar::parse_amz(&date)?;
        if !date.starts_with(day) || day.len() != "20260101".len() {
            return None;
        }
        Some(Self {
            endpoint,
            user: get("DBUser")?,
            access_key: access_key.to_owned(),
            day: day.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
            date,
            signed_at,
            lifetime: parse_lifetime(&get("X-Amz-Expires")?)?,
            session_token: get("X-Amz-Security-Token"),
            signature: parse_signature(&get(SIGNATURE)?)?,
            parameters,
        })
    }

    /// Every parameter but the signature, decoded, in the token's order.
    pub(crate) fn signed_parameters(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.parameters.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        all.filter(|(name, _)| *name != SIGNATURE)
    }
}

fn parse_query(query: &str) -> Option<Vec<(String, String)>> {
    let mut parameters: Vec<(String, String)> = Vec::new();
    for pair in query.split('&') {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (percent::decode(name)?, percent::decode(value)?);
        if parameters.iter().any(|(known, _)| *known == name) {
            return None;
        }
        parameters.push((name, value));
    }
    Some(parameters)
}

/// Digits only: `str::parse` would also take a sign.
fn parse_lifetime(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|seconds| *seconds > 0)
}

/// 64 lower-case hexadecimal digits, as the signature's definition asks for.
fn parse_signature(text: &str) -> Option<[u8; 32]> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let digits: Vec<u32> = text.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let bytes: Vec<u8> =
        digits.chunks_exact(2).map(|pair| u8::try_from(pair[0] << 4 | pair[1]).ok()).collect::<Option<_>>()?;
    // An odd digit at the end is cut off by the chunks, so the length is checked in the text.
    if text.len() == 64 { bytes.try_into().ok() } else { None }
}
