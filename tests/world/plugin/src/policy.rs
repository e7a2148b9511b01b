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
pub fn allows(statements: &[Value], arn: &str) -> Result<(), Reason> {
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
pub fn user_arn(partition: &str, region: &str, account: &str, resource_id: &str, user: &str) -> String {
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
