//! The checks, each with a token that is right but for one thing.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::{Value, json};
use world_auth_plugin::config::Config;
use world_auth_plugin::verdict::{Reason, Verdict};
use world_auth_plugin::verify::verify;

mod support;
use support::Signer;

/// 2024-08-26T22:00:00Z, the instant of AWS's published example.
const SIGNED: i64 = 1_724_709_600;
const HOST: &str = "prod-instance.us-east-1.rds.amazonaws.com:3306";
const OTHER_HOST: &str = "other-instance.us-east-1.rds.amazonaws.com:3306";
const PUBLISHED: &str = "prod-instance.us-east-1.rds.amazonaws.com:3306/?Action=connect&DBUser=peccy\
    &X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=akid%2F20240826%2Fus-east-1%2Frds-db%2Faws4_request\
    &X-Amz-Date=20240826T220000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host\
    &X-Amz-Signature=dd0cba843009474347af724090233265628ace491ea17ce3eb3da098b983ad89";
const USER: &str = "arn:aws:iam::123456789012:user/peccy";
const ROLE: &str = "arn:aws:iam::123456789012:role/app";
/// With every character that has to be escaped.
const SESSION_TOKEN: &str = "IQoJb3JpZ2luX2VjE+/=session token~";
/// When the temporary credentials end: within the token's life.
const KEY_ENDS: i64 = SIGNED + 600;

fn configuration() -> Value {
    json!({
        "partition": "aws", "region": "us-east-1", "account": "123456789012",
        "endpoints": [
            {"endpoint": HOST, "local": "127.10.2.1:3306", "resourceId": "db-PROD", "iam": true},
            {"endpoint": OTHER_HOST, "local": "127.10.2.2:3306", "resourceId": "db-OTHER", "iam": true},
        ],
        "keys": {
            "akid": {"secret": "secret", "principal": USER},
            "asia": {"secret": "temporary", "sessionToken": SESSION_TOKEN, "principal": ROLE, "expires": KEY_ENDS},
            "idle": {"secret": "secret", "principal": "arn:aws:iam::123456789012:user/idle"},
        },
        "policies": {
            USER: [{"Effect": "Allow", "Action": "rds-db:connect",
                    "Resource": "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-PROD/peccy"}],
            ROLE: [{"Effect": "Allow", "Action": "rds-db:connect",
                    "Resource": "arn:aws:rds-db:us-east-1:123456789012:dbuser:*/*"}],
        },
    })
}

/// Judges a login at the first endpoint.
fn judge_with(configuration: &Value, token: &str, account: &str, now: i64) -> Verdict {
    let config = Config::parse(&configuration.to_string()).unwrap();
    verify(&config, &config.endpoints[0], account, token.as_bytes(), now)
}

fn judge(token: &str, now: i64) -> Reason {
    judge_with(&configuration(), token, "peccy", now).reason
}

fn long_term() -> Signer {
    Signer::new(HOST, "peccy", "akid", "secret", "us-east-1", "20240826T220000Z")
}

fn temporary() -> Signer {
    Signer::new(HOST, "peccy", "asia", "temporary", "us-east-1", "20240826T220000Z")
        .with("X-Amz-Security-Token", SESSION_TOKEN)
}

#[test]
fn the_published_example_is_accepted() {
    assert_eq!(long_term().sign(), PUBLISHED);
    assert_eq!(
        judge_with(&configuration(), PUBLISHED, "peccy", SIGNED),
        Verdict { endpoint: Some(HOST.to_owned()), principal: Some(USER.to_owned()), reason: Reason::Accepted }
    );
}

#[test]
fn temporary_credentials_are_accepted_until_they_end() {
    let token = temporary().sign();
    let verdict = judge_with(&configuration(), &token, "peccy", KEY_ENDS - 1);
    assert_eq!((verdict.reason, verdict.principal.as_deref()), (Reason::Accepted, Some(ROLE)));
    assert_eq!(judge(&token, KEY_ENDS), Reason::KeyExpired);
}

#[test]
fn a_token_lives_for_its_900_seconds_and_no_more() {
    for (age, reason) in
        [(0, Reason::Accepted), (899, Reason::Accepted), (900, Reason::Expired), (901, Reason::Expired)]
    {
        assert_eq!(judge(PUBLISHED, SIGNED + age), reason, "{age}");
    }
    let short = long_term().with("X-Amz-Expires", "60").sign();
    assert_eq!(judge(&short, SIGNED + 59), Reason::Accepted);
    assert_eq!(judge(&short, SIGNED + 60), Reason::Expired);
}

#[test]
fn a_clock_may_run_ahead_by_five_minutes() {
    assert_eq!(judge(PUBLISHED, SIGNED - 300), Reason::Accepted);
    assert_eq!(judge(PUBLISHED, SIGNED - 301), Reason::NotYetValid);
}

#[test]
fn a_life_is_between_1_and_900_seconds() {
    for (lifetime, reason) in [
        ("1", Reason::Accepted),
        ("900", Reason::Accepted),
        ("901", Reason::ExpiresTooLong),
        ("604800", Reason::ExpiresTooLong),
        ("9223372036854775807", Reason::ExpiresTooLong),
        ("9223372036854775808", Reason::Malformed),
        ("0", Reason::Malformed),
        ("-1", Reason::Malformed),
        ("+9", Reason::Malformed),
        ("9.5", Reason::Malformed),
        ("", Reason::Malformed),
    ] {
        assert_eq!(judge(&long_term().with("X-Amz-Expires", lifetime).sign(), SIGNED), reason, "{lifetime}");
    }
}

#[test]
fn the_user_is_compared_with_its_case() {
    let account = |account| judge_with(&configuration(), PUBLISHED, account, SIGNED).reason;
    for other in ["Peccy", "PECCY", "pecc", "peccy ", ""] {
        assert_eq!(account(other), Reason::WrongUser, "{other}");
    }
    assert_eq!(judge(&long_term().with("DBUser", "Peccy").sign(), SIGNED), Reason::WrongUser);
}

#[test]
fn a_user_name_that_needs_escapes_is_understood() {
    for user in ["a b", "a+b", "a&b=c", "a/b", "josé", "100%", "*"] {
        let token = temporary().with("DBUser", user).sign();
        assert_eq!(judge_with(&configuration(), &token, user, SIGNED).reason, Reason::Accepted, "{user}");
    }
}

#[test]
fn an_unescaped_user_name_is_not_the_one_that_was_meant() {
    // What a signer makes that puts the name into the URL as it is: the name ends at the ampersand.
    let token = temporary().with("DBUser", "a").with("b", "c").sign();
    assert_eq!(judge_with(&configuration(), &token, "a&b=c", SIGNED).reason, Reason::WrongUser);
}

#[test]
fn an_altered_query_breaks_the_signature() {
    for (from, to) in [
        ("DBUser=peccy", "DBUser=admin"),
        ("X-Amz-Expires=900", "X-Amz-Expires=800"),
        ("T220000Z", "T220001Z"),
        ("&X-Amz-SignedHeaders", "&More=1&X-Amz-SignedHeaders"),
        ("dd0cba84", "dd0cba85"),
    ] {
        let altered = PUBLISHED.replace(from, to);
        assert_ne!(altered, PUBLISHED);
        assert_eq!(judge(&altered, SIGNED + 1), Reason::SignatureMismatch, "{to}");
    }
    let mut other = long_term();
    other.secret = "Secret".to_owned();
    assert_eq!(judge(&other.sign(), SIGNED), Reason::SignatureMismatch);
    let stolen = PUBLISHED.replace("akid", "idle").replace("dd0c", "dd0d");
    assert_eq!(judge(&stolen, SIGNED), Reason::SignatureMismatch);
}

#[test]
fn the_order_of_parameters_and_the_spelling_of_escapes_do_not_matter() {
    for (from, to) in [
        ("%2F", "%2f"),
        ("%2F", "/"),
        ("peccy", "%70eccy"),
        ("Action=connect&DBUser=peccy", "DBUser=peccy&Action=connect"),
        ("Action", "%41ction"),
    ] {
        assert_eq!(judge(&PUBLISHED.replace(from, to), SIGNED), Reason::Accepted, "{to}");
    }
    assert_eq!(judge(&temporary().sign().replace("%20", "+"), SIGNED), Reason::SessionTokenMismatch, "+ is no space");
}

#[test]
fn parameters_are_sorted_by_name_and_not_by_name_and_value() {
    // "A-b" comes after "A" although "-" comes before "=".
    let token = long_term().with("A", "1").with("A-b", "2").sign();
    assert_eq!(judge(&token, SIGNED), Reason::Accepted);
}

#[test]
fn the_host_is_the_endpoints_as_it_was_signed() {
    for host in [
        OTHER_HOST,
        "prod-instance.us-east-1.rds.amazonaws.com:3307",
        "prod-instance.us-east-1.rds.amazonaws.com",
        "prod-instance.us-east-1.rds.amazonaws.com.:3306",
        "Prod-Instance.us-east-1.rds.amazonaws.com:3306",
        "database.example.com:3306",
        "127.10.2.1:3306",
    ] {
        let mut signer = long_term();
        signer.host = host.to_owned();
        assert_eq!(judge(&signer.sign(), SIGNED), Reason::WrongEndpoint, "{host}");
    }
}

#[test]
fn the_scope_is_this_region_and_service() {
    let mut elsewhere = long_term();
    elsewhere.region = "eu-west-1".to_owned();
    assert_eq!(judge(&elsewhere.sign(), SIGNED), Reason::WrongRegion);
    for service in ["rds", "RDS-DB", ""] {
        let mut other = long_term();
        other.service = service.to_owned();
        assert_eq!(judge(&other.sign(), SIGNED), Reason::WrongService, "{service}");
    }
}

#[test]
fn the_two_dates_are_the_same_day() {
    for day in ["20240825", "202408", "", "20240826T", "2024082622"] {
        let mut signer = long_term();
        signer.day = day.to_owned();
        assert_eq!(judge(&signer.sign(), SIGNED), Reason::Malformed, "{day}");
    }
    let date = long_term().with("X-Amz-Date", "20240826 220000Z").sign();
    assert_eq!(judge(&date, SIGNED), Reason::Malformed);
}

#[test]
fn a_key_that_nobody_has_is_unknown() {
    for key in ["AKID", "aki", ""] {
        let mut signer = long_term();
        signer.access_key = key.to_owned();
        assert_eq!(judge(&signer.sign(), SIGNED), Reason::UnknownKey, "{key}");
    }
}

#[test]
fn the_session_token_belongs_to_the_key() {
    let other = temporary().with("X-Amz-Security-Token", "other").sign();
    let empty = temporary().with("X-Amz-Security-Token", "").sign();
    let missing = Signer::new(HOST, "peccy", "asia", "temporary", "us-east-1", "20240826T220000Z").sign();
    let uncalled_for = long_term().with("X-Amz-Security-Token", "any").sign();
    let uncalled_for_and_empty = long_term().with("X-Amz-Security-Token", "").sign();
    for token in [other, empty, missing, uncalled_for, uncalled_for_and_empty] {
        assert_eq!(judge(&token, SIGNED), Reason::SessionTokenMismatch, "{token}");
    }
}

#[test]
fn a_session_token_of_4_kilobytes_and_more_is_taken() {
    let long = "a/+=".repeat(4_000);
    let mut configuration = configuration();
    configuration["keys"]["asia"]["sessionToken"] = json!(long);
    let token = temporary().with("X-Amz-Security-Token", &long).sign();
    assert_eq!(judge_with(&configuration, &token, "peccy", SIGNED).reason, Reason::Accepted);
}

#[test]
fn a_doubled_parameter_is_refused_also_when_both_are_the_same() {
    for doubled in [
        "DBUser=peccy",
        "DBUser=admin",
        "Action=connect",
        "X-Amz-Expires=900",
        "X-Amz-Date=20240826T220000Z",
        "X-Amz-Signature=00",
        "%44BUser=peccy",
    ] {
        assert_eq!(judge(&format!("{PUBLISHED}&{doubled}"), SIGNED), Reason::Malformed, "{doubled}");
        assert_eq!(judge(&PUBLISHED.replace("/?", &format!("/?{doubled}&")), SIGNED), Reason::Malformed, "{doubled}");
    }
    let signed = long_term().with("Other", "1").sign() + "&Other=1";
    assert_eq!(judge(&signed, SIGNED), Reason::Malformed);
}

#[test]
fn a_missing_parameter_is_refused() {
    let (endpoint, query) = PUBLISHED.split_once("/?").unwrap();
    let parameters: Vec<&str> = query.split('&').collect();
    for missing in &parameters {
        let rest: Vec<&str> = parameters.iter().copied().filter(|parameter| parameter != missing).collect();
        assert_eq!(judge(&format!("{endpoint}/?{}", rest.join("&")), SIGNED), Reason::Malformed, "{missing}");
    }
}

#[test]
fn another_kind_of_presigned_url_is_refused() {
    for (name, value) in [
        ("Action", "Connect"),
        ("Action", "DescribeDBInstances"),
        ("X-Amz-Algorithm", "AWS4-ECDSA-P256-SHA256"),
        ("X-Amz-SignedHeaders", "host;x-amz-date"),
        ("X-Amz-SignedHeaders", ""),
        ("X-Amz-Credential", "akid/20240826/us-east-1/rds-db"),
        ("X-Amz-Credential", "akid/20240826/us-east-1/rds-db/aws4_request/"),
        ("X-Amz-Credential", "akid/20240826/us-east-1/rds-db/AWS4_REQUEST"),
    ] {
        assert_eq!(judge(&long_term().with(name, value).sign(), SIGNED), Reason::Malformed, "{name}={value}");
    }
}

#[test]
fn what_is_no_token_is_refused() {
    let corpus = [
        String::new(),
        "password".to_owned(),
        "/?".to_owned(),
        format!("https://{PUBLISHED}"),
        PUBLISHED.replace("/?", "?"),
        PUBLISHED.replace("/?", "//?"),
        PUBLISHED.replace("/?", "/x/?"),
        format!("{PUBLISHED}&"),
        format!("{PUBLISHED}&x"),
        format!("{PUBLISHED}&x=%"),
        format!("{PUBLISHED}&x=%ff"),
        format!("{PUBLISHED}0"),
        format!("{PUBLISHED}\n"),
        PUBLISHED[..PUBLISHED.len() - 1].to_owned(),
        PUBLISHED.replace("dd0cba84", "DD0CBA84"),
        PUBLISHED.replace("dd0cba84", "+d0cba84"),
        PUBLISHED.replace("dd0c", "ddéc"),
        format!("{PUBLISHED}&x={}", "x".repeat(70_000)),
    ];
    for token in corpus {
        assert_eq!(judge(&token, SIGNED), Reason::Malformed, "{token}");
    }
    let config = Config::parse(&configuration().to_string()).unwrap();
    let not_text = verify(&config, &config.endpoints[0], "peccy", b"\xff\xfe", SIGNED);
    assert_eq!(not_text.reason, Reason::Malformed);
}

#[test]
fn an_endpoint_without_iam_refuses_the_best_token() {
    let mut configuration = configuration();
    configuration["endpoints"][0]["iam"] = json!(false);
    assert_eq!(judge_with(&configuration, PUBLISHED, "peccy", SIGNED).reason, Reason::IamOff);
}

#[test]
fn the_policy_is_the_principals_and_the_resource_the_endpoints() {
    let idle = Signer::new(HOST, "peccy", "idle", "secret", "us-east-1", "20240826T220000Z").sign();
    assert_eq!(judge(&idle, SIGNED), Reason::PolicyDenies);

    // The long-term key's policy names the first endpoint's resource only.
    let config = Config::parse(&configuration().to_string()).unwrap();
    let mut signer = long_term();
    signer.host = OTHER_HOST.to_owned();
    let other = verify(&config, &config.endpoints[1], "peccy", signer.sign().as_bytes(), SIGNED);
    assert_eq!((other.reason, other.principal.as_deref()), (Reason::PolicyDenies, Some(USER)));
    let user = long_term().with("DBUser", "other").sign();
    assert_eq!(judge_with(&configuration(), &user, "other", SIGNED).reason, Reason::PolicyDenies);
}

/// The first endpoint as that of a proxy before the second one, with the statements of its role.
fn behind_a_proxy(role_statements: Value) -> Value {
    let mut configuration = configuration();
    let role = "arn:aws:iam::123456789012:role/proxy";
    configuration["endpoints"][0]["resourceId"] = json!("prx-0a");
    configuration["endpoints"][0]["proxy"] = json!({"role": role, "target": "db-OTHER"});
    configuration["policies"][USER] = allow("prx-0a/peccy");
    configuration["policies"][role] = role_statements;
    configuration
}

fn allow(user: &str) -> Value {
    let resource = format!("arn:aws:rds-db:us-east-1:123456789012:dbuser:{user}");
    json!([{"Effect": "Allow", "Action": "rds-db:connect", "Resource": resource}])
}

#[test]
fn a_proxy_asks_for_its_own_id_and_its_role_for_the_databases() {
    let judge = |configuration: &Value| judge_with(configuration, PUBLISHED, "peccy", SIGNED);
    assert_eq!(judge(&behind_a_proxy(allow("db-OTHER/peccy"))).reason, Reason::Accepted);
    assert_eq!(judge(&behind_a_proxy(allow("db-OTHER/*"))).reason, Reason::Accepted);

    // The role's right is asked for last: the verdict names the client, which is who wanted in.
    for role_statements in [json!([]), allow("db-OTHER/other"), allow("prx-0a/peccy"), json!(["broken"])] {
        let verdict = judge(&behind_a_proxy(role_statements.clone()));
        assert_eq!(verdict.reason, Reason::ProxyRoleDenied, "{role_statements}");
        assert_eq!(verdict.principal.as_deref(), Some(USER));
    }

    // What lets the client into the database itself does not let it into the proxy.
    let mut configuration = behind_a_proxy(allow("db-OTHER/peccy"));
    configuration["policies"][USER] = allow("db-OTHER/peccy");
    assert_eq!(judge(&configuration).reason, Reason::PolicyDenies);
}

#[test]
fn a_deny_beside_the_allow_wins() {
    let mut configuration = configuration();
    let deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*"});
    configuration["policies"][USER].as_array_mut().unwrap().push(deny);
    let verdict = judge_with(&configuration, PUBLISHED, "peccy", SIGNED);
    assert_eq!((verdict.reason, verdict.principal.as_deref()), (Reason::PolicyDeniesExplicitly, Some(USER)));
}

#[test]
fn a_broken_policy_locks_out_its_owner_and_nobody_else() {
    let mut configuration = configuration();
    configuration["policies"][ROLE] = json!(["broken"]);
    assert_eq!(judge_with(&configuration, PUBLISHED, "peccy", SIGNED).reason, Reason::Accepted);
    let owner = judge_with(&configuration, &temporary().sign(), "peccy", SIGNED);
    assert_eq!(owner.reason, Reason::PolicyUnreadable);
}

#[test]
fn partition_and_account_are_part_of_the_resource() {
    for (field, value) in [("partition", "aws-cn"), ("account", "210987654321")] {
        let mut configuration = configuration();
        configuration[field] = json!(value);
        assert_eq!(judge_with(&configuration, PUBLISHED, "peccy", SIGNED).reason, Reason::PolicyDenies, "{field}");
    }
}
