//! Whatever a client sends, the answer is a refusal and never a panic.

#![expect(clippy::unwrap_used, reason = "a test may panic")]

use proptest::collection::vec;
use proptest::prelude::*;
use world_auth_plugin::config::Config;
use world_auth_plugin::verdict::Reason;
use world_auth_plugin::verify::verify;

mod support;
use support::Signer;

const NOW: i64 = 1_724_709_600;
const HOST: &str = "orders.example:3306";

fn judge(account: &str, token: &[u8], now: i64) -> Reason {
    let configuration = serde_json::json!({
        "partition": "aws", "region": "us-east-1", "account": "123456789012",
        "endpoints": [{"endpoint": HOST, "local": "127.10.2.1:3306", "resourceId": "db-1", "iam": true}],
        "keys": {"akid": {"secret": "secret", "principal": "p"}},
        "policies": {"p": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]},
    });
    let config = Config::parse(&configuration.to_string()).unwrap();
    verify(&config, &config.endpoints[0], account, token, now).reason
}

fn signed(user: &str) -> String {
    Signer::new(HOST, user, "akid", "secret", "us-east-1", "20240826T220000Z").sign()
}

proptest! {
    // A failure is printed with its input; a file of old failures beside the tests is not wanted.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_refused(token in vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(judge("app", &token, NOW), Reason::Malformed);
    }

    #[test]
    fn any_query_is_refused(query in "[A-Za-z0-9&=%+/-]{0,200}") {
        prop_assert_eq!(judge("app", format!("{HOST}/?{query}").as_bytes(), NOW), Reason::Malformed);
    }

    #[test]
    fn any_value_of_any_parameter_is_survived(
        name in prop::sample::select(vec![
            "Action", "DBUser", "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires",
            "X-Amz-SignedHeaders", "X-Amz-Security-Token",
        ]),
        value in any::<String>(),
    ) {
        let token = Signer::new(HOST, "app", "akid", "secret", "us-east-1", "20240826T220000Z").with(name, &value).sign();
        let reason = judge("app", token.as_bytes(), NOW);
        let harmless = name == "X-Amz-Expires" && (1..=900).contains(&value.parse().unwrap_or(0));
        prop_assert!(reason != Reason::Accepted || harmless, "{} = {:?}", name, value);
    }

    #[test]
    fn a_changed_byte_is_never_accepted_for_another_user(position in 0..400_usize, byte in any::<u8>()) {
        let mut token = signed("app").into_bytes();
        let position = position % token.len();
        token[position] = byte;
        prop_assert_ne!(judge("admin", &token, NOW), Reason::Accepted);
    }

    #[test]
    fn any_user_name_survives_signing(user in "\\PC{1,80}") {
        prop_assert_eq!(judge(&user, signed(&user).as_bytes(), NOW), Reason::Accepted);
    }

    #[test]
    fn any_clock_is_survived(now in prop_oneof![any::<i64>(), NOW - 1000..NOW + 1000, Just(i64::MIN), Just(i64::MAX)]) {
        let reason = judge("app", signed("app").as_bytes(), now);
        let alive = (NOW - 300..NOW + 900).contains(&now);
        prop_assert_eq!(reason == Reason::Accepted, alive);
    }
}
