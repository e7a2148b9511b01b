//! Whether a principal's effective policy allows `rds-db:connect` on a database user.
//!
//! Whatever cannot be decided is decided against the login. A condition, a policy variable or an ARN whose wildcard
//! reaches over a colon makes a statement's answer [`Answer::Unknown`]: then an `Allow` does not count, a `Deny` does.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::verdict::Reason;
use crate::wildcard;

const ACTION: &str = "rds-db:connect";
/// `arn:partition:service:region:account:resource`, where the resource may hold further colons.
const ARN_SEGMENTS: usize = 6;

/// Decides whether `statements` let their principal connect to `arn`.
///
/// # Errors
///
/// The reason why not.
pub(crate) fn allows(statements: &[Value], arn: &str) -> Result<(), Reason> {
    let statements: Vec<Statement> =
        statements.iter().map(Statement::parse).collect::<Option<_>>().ok_or(Reason::PolicyUnreadable)?;
    let answers = |effect| {
        let of_effect = statements.iter().filter(move |statement| statement.effect == effect);
        of_effect.map(|statement| statement.applies_to(arn))
    };
    if answers(Effect::Deny).any(|answer| answer != Answer::No) {
        return Err(Reason::PolicyDeniesExplicitly);
    }
    if answers(Effect::Allow).any(|answer| answer == Answer::Yes) {
        return Ok(());
    }
    Err(Reason::PolicyDenies)
}

/// The ARN of a database user, the resource that `rds-db:connect` acts on.
pub(crate) fn user_arn(partition: &str, region: &str, account: &str, resource_id: &str, user: &str) -> String {
    format!("arn:{partition}:rds-db:{region}:{account}:dbuser:{resource_id}/{user}")
}

/// Whether something applies. The order matters: of several conditions, the least answer stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    No,
    Unknown,
    Yes,
}

impl Answer {
    fn of(applies: bool) -> Self {
        if applies { Self::Yes } else { Self::No }
    }

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
enum Effect {
    Allow,
    Deny,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Statement {
    #[serde(rename = "Sid")]
    _sid: Option<String>,
    effect: Effect,
    action: Option<OneOrMany>,
    not_action: Option<OneOrMany>,
    resource: Option<OneOrMany>,
    not_resource: Option<OneOrMany>,
    condition: Option<Map<String, Value>>,
}

impl Statement {
    /// `None` unless it is a statement of an identity's policy, with one way each to name actions and resources.
    fn parse(value: &Value) -> Option<Self> {
        let statement = Self::deserialize(value).ok()?;
        let one_each = statement.action.is_some() != statement.not_action.is_some()
            && statement.resource.is_some() != statement.not_resource.is_some();
        one_each.then_some(statement)
    }

    fn applies_to(&self, arn: &str) -> Answer {
        let action = selects(self.action.as_ref(), self.not_action.as_ref(), action_matches);
        let resource = selects(self.resource.as_ref(), self.not_resource.as_ref(), |pattern| arn_matches(pattern, arn));
        let condition = match &self.condition {
            Some(condition) if !condition.is_empty() => Answer::Unknown,
            _ => Answer::Yes,
        };
        action.min(resource).min(condition)
    }
}

/// What `Action` and `NotAction`, or `Resource` and `NotResource`, say together: one of them is there.
fn selects(only: Option<&OneOrMany>, all_but: Option<&OneOrMany>, matches: impl Fn(&str) -> Answer) -> Answer {
    let any = |patterns: &OneOrMany| patterns.as_slice().iter().map(|pattern| matches(pattern)).max();
    let only = only.map_or(Answer::Yes, |patterns| any(patterns).unwrap_or(Answer::No));
    let all_but = all_but.map_or(Answer::Yes, |patterns| any(patterns).unwrap_or(Answer::No).not());
    only.min(all_but)
}

/// Actions know no case.
fn action_matches(pattern: &str) -> Answer {
    Answer::of(wildcard::matches(&pattern.to_ascii_lowercase(), ACTION))
}

/// A wildcard stays within its segment of the ARN, unless it is the pattern's last character.
///
/// A pattern that matches the text as a whole but not segment by segment is one on which IAM's manual leaves room.
fn arn_matches(pattern: &str, arn: &str) -> Answer {
    if pattern.contains("${") {
        return Answer::Unknown;
    }
    if !wildcard::matches(pattern, arn) {
        return Answer::No;
    }
    let segments: Vec<&str> = pattern.splitn(ARN_SEGMENTS, ':').collect();
    let complete = segments.len() == ARN_SEGMENTS || pattern.ends_with('*');
    let mut pairs = segments.iter().zip(arn.splitn(segments.len(), ':'));
    let segmentwise = complete && pairs.all(|(pattern, part)| wildcard::matches(pattern, part));
    if segmentwise { Answer::Yes } else { Answer::Unknown }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl OneOrMany {
    fn as_slice(&self) -> &[String] {
        match self {
            Self::One(one) => std::slice::from_ref(one),
            Self::Many(many) => many,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ARN: &str = "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ORDERS/app";

    fn judge(statements: Value) -> Result<(), Reason> {
        let Value::Array(statements) = statements else { panic!("a list of statements") };
        allows(&statements, ARN)
    }

    /// One statement that allows to connect to the resource.
    fn resource(resource: &Value) -> Result<(), Reason> {
        judge(json!([{"Effect": "Allow", "Action": "rds-db:connect", "Resource": resource}]))
    }

    /// One statement that allows the action on everything.
    fn action(action: &Value) -> Result<(), Reason> {
        judge(json!([{"Effect": "Allow", "Action": action, "Resource": "*"}]))
    }

    #[test]
    fn the_arn_is_the_documented_one() {
        assert_eq!(user_arn("aws", "us-east-1", "123456789012", "db-ORDERS", "app"), ARN);
    }

    #[test]
    fn nothing_is_allowed_by_default() {
        assert_eq!(judge(json!([])), Err(Reason::PolicyDenies));
    }

    #[test]
    fn the_four_documented_shapes_allow() {
        let prefix = "arn:aws:rds-db:us-east-1:123456789012:dbuser:";
        assert_eq!(resource(&json!(format!("{prefix}db-ORDERS/app"))), Ok(()), "one user");
        let several = json!([format!("{prefix}db-ORDERS/other"), format!("{prefix}db-ORDERS/app")]);
        assert_eq!(resource(&several), Ok(()), "several users");
        assert_eq!(resource(&json!(format!("{prefix}*/*"))), Ok(()), "every user everywhere");
        assert_eq!(resource(&json!(format!("{prefix}*/app"))), Ok(()), "one user everywhere");
    }

    #[test]
    fn wildcards_within_segments_allow() {
        for pattern in [
            "*",
            "arn:*",
            "arn:aws:rds-db:*",
            "arn:aws:rds-db:us-east-1:123456789012:*",
            "arn:aws:rds-db:us-east-1:123456789012:dbuser:*",
            "arn:*:rds-db:*:*:dbuser:*",
            "arn:aws:rds-db:us-east-?:123456789012:dbuser:db-ORDERS/app",
            "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-*/a?p",
            "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ORDERS/*",
        ] {
            assert_eq!(resource(&json!(pattern)), Ok(()), "{pattern}");
        }
    }

    #[test]
    fn another_resource_does_not_allow() {
        for pattern in [
            "",
            "arn",
            "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-OTHER/app",
            "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-orders/app",
            "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ORDER/app",
            "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ORDERS2/app",
            "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ORDERS/App",
            "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ORDERS/ap",
            "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ORDERS/app2",
            "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ORDERS",
            "arn:aws:rds-db:us-east-1:123456789012:dbuser:orders/app",
            "arn:aws:rds-db:us-east-1:123456789012:db:db-ORDERS/app",
            "arn:aws:rds-db:eu-west-1:123456789012:dbuser:db-ORDERS/app",
            "arn:aws:rds-db:us-east-1:210987654321:dbuser:db-ORDERS/app",
            "arn:aws-cn:rds-db:us-east-1:123456789012:dbuser:db-ORDERS/app",
            "arn:aws:rds:us-east-1:123456789012:dbuser:db-ORDERS/app",
            "arn:aws:rds-db:us-east-1::dbuser:db-ORDERS/app",
            " arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ORDERS/app",
        ] {
            assert_eq!(resource(&json!(pattern)), Err(Reason::PolicyDenies), "{pattern}");
        }
    }

    #[test]
    fn a_wildcard_that_reaches_over_a_colon_decides_against_the_login() {
        for pattern in ["*app", "arn:aws:rds-db:*:dbuser:db-ORDERS/app", "arn*dbuser:db-ORDERS/app"] {
            assert_eq!(resource(&json!(pattern)), Err(Reason::PolicyDenies), "{pattern}");
            let denied = judge(json!([
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {"Effect": "Deny", "Action": "*", "Resource": pattern},
            ]));
            assert_eq!(denied, Err(Reason::PolicyDeniesExplicitly), "{pattern}");
        }
    }

    #[test]
    fn a_policy_variable_decides_against_the_login() {
        let pattern = "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-ORDERS/${aws:username}";
        assert_eq!(resource(&json!(pattern)), Err(Reason::PolicyDenies));
        for field in ["Resource", "NotResource"] {
            let denied = judge(json!([
                {"Effect": "Allow", "Action": "*", "Resource": "*"},
                {"Effect": "Deny", "Action": "*", field: pattern},
            ]));
            assert_eq!(denied, Err(Reason::PolicyDeniesExplicitly), "{field}");
        }
        let all_but = json!([{"Effect": "Allow", "Action": "*", "NotResource": pattern}]);
        assert_eq!(judge(all_but), Err(Reason::PolicyDenies));
    }

    #[test]
    fn actions_know_wildcards_but_no_case() {
        for allowed in ["rds-db:connect", "RDS-DB:Connect", "rds-db:*", "rds-db:c?nn*", "*"] {
            assert_eq!(action(&json!(allowed)), Ok(()), "{allowed}");
        }
        assert_eq!(action(&json!(["rds:Describe*", "rds-db:connect"])), Ok(()));
        for other in ["rds:*", "rds:connect", "rds-db:connect2", "rds-db:", "connect", ""] {
            assert_eq!(action(&json!(other)), Err(Reason::PolicyDenies), "{other}");
        }
        assert_eq!(action(&json!([])), Err(Reason::PolicyDenies));
    }

    #[test]
    fn deny_wins_wherever_it_stands() {
        let allow = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        let deny = json!({"Sid": "no", "Effect": "Deny", "Action": "rds-db:*", "Resource": ["*:dbuser:*/app", ARN]});
        assert_eq!(judge(json!([allow, deny])), Err(Reason::PolicyDeniesExplicitly));
        assert_eq!(judge(json!([deny, allow])), Err(Reason::PolicyDeniesExplicitly));
    }

    #[test]
    fn a_deny_of_something_else_does_no_harm() {
        let allow = json!({"Effect": "Allow", "Action": "rds-db:connect", "Resource": ARN});
        for deny in [
            json!({"Effect": "Deny", "Action": "rds:*", "Resource": "*"}),
            json!({"Effect": "Deny", "Action": "*", "Resource": "arn:aws:rds-db:*:*:dbuser:*/root"}),
            json!({"Effect": "Deny", "Action": "*", "NotResource": ARN}),
            json!({"Effect": "Deny", "NotAction": "rds-db:connect", "Resource": "*"}),
        ] {
            assert_eq!(judge(json!([allow, deny])), Ok(()), "{deny}");
        }
    }

    #[test]
    fn not_action_and_not_resource_mean_all_the_rest() {
        let of = |statement: Value| judge(json!([statement]));
        assert_eq!(of(json!({"Effect": "Allow", "NotAction": "iam:*", "Resource": "*"})), Ok(()));
        let not_this = json!({"Effect": "Allow", "NotAction": ["iam:*", "RDS-DB:*"], "Resource": "*"});
        assert_eq!(of(not_this), Err(Reason::PolicyDenies));
        let elsewhere = "arn:aws:rds-db:us-east-1:123456789012:dbuser:db-OTHER/*";
        assert_eq!(of(json!({"Effect": "Allow", "Action": "*", "NotResource": elsewhere})), Ok(()));
        let not_here = json!({"Effect": "Allow", "Action": "*", "NotResource": [elsewhere, ARN]});
        assert_eq!(of(not_here), Err(Reason::PolicyDenies));
    }

    #[test]
    fn a_condition_decides_against_the_login() {
        let condition = json!({"StringEquals": {"aws:ResourceTag/team": "shop"}});
        let allow = json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": condition});
        assert_eq!(judge(json!([allow])), Err(Reason::PolicyDenies));
        let free = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        assert_eq!(judge(json!([allow, free])), Ok(()), "another statement may still allow");
        let deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition});
        assert_eq!(judge(json!([free, deny])), Err(Reason::PolicyDeniesExplicitly));
        let elsewhere = json!({"Effect": "Deny", "Action": "rds:*", "Resource": "*", "Condition": condition});
        assert_eq!(judge(json!([free, elsewhere])), Ok(()), "a Deny of something else, whatever its condition");
    }

    #[test]
    fn an_empty_condition_is_none() {
        let allow = json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {}});
        assert_eq!(judge(json!([allow])), Ok(()));
    }

    #[test]
    fn one_statement_that_cannot_be_read_spoils_the_policy() {
        let allow = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        for broken in [
            json!("Allow"),
            json!(null),
            json!({}),
            json!({"Effect": "allow", "Action": "*", "Resource": "*"}),
            json!({"Effect": "Allow", "Action": "*"}),
            json!({"Effect": "Allow", "Resource": "*"}),
            json!({"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"}),
            json!({"Effect": "Allow", "Action": "*", "Resource": "*", "NotResource": "*"}),
            json!({"Effect": "Allow", "Action": 1, "Resource": "*"}),
            json!({"Effect": "Allow", "Action": "*", "Resource": ["*", 1]}),
            json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": "x"}),
            json!({"Effect": "Allow", "Action": "*", "Resource": "*", "Principal": "*"}),
        ] {
            assert_eq!(judge(json!([allow, broken])), Err(Reason::PolicyUnreadable), "{broken}");
        }
    }
}
