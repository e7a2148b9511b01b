//! The operator's rights and what it uses are the same: nothing is refused, and no right is there that no test needs; and what it asks of AWS is in
//! the policy that `iamdb aws-policy` prints.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::effects::{SERVICE_ACCOUNT, action};
use crate::tenant::ACCOUNT;
use crate::token_faults::REFUSED;
use crate::world::World;

/// A right, or a request for it: verb, group, resource with subresource.
pub type Right = (String, String, String);

/// The rights that the manifests give.
fn granted(manifests: &str) -> BTreeSet<Right> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifests).expect("manifests");
    let rules: Vec<Value> =
        documents.iter().filter_map(|document| document["rules"].as_array()).flatten().cloned().collect();
    rights_of(&rules)
}

/// The rights that rules give.
pub fn rights_of(rules: &[Value]) -> BTreeSet<Right> {
    let list = |rule: &Value, key: &str| -> Vec<String> {
        let values = rule[key].as_array().expect("a list").iter();
        values.map(|it| it.as_str().expect("text").to_owned()).collect()
    };
    let mut rights = BTreeSet::new();
    for rule in rules {
        for group in list(rule, "apiGroups") {
            for resource in list(rule, "resources") {
                let verbs = list(rule, "verbs").into_iter();
                rights.extend(verbs.map(|verb| (verb, group.clone(), resource.clone())));
            }
        }
    }
    rights
}

/// What a line of the audit log asks for.
pub fn asked(line: &Value) -> Right {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let object = &line["objectRef"];
    let resource = match object["subresource"].as_str() {
        Some(part) => format!("{}/{part}", text(&object["resource"])),
        None => text(&object["resource"]),
    };
    (text(&line["verb"]), text(&object["apiGroup"]), resource)
}

/// What a line of the audit log needs. A watch that begins with what is there takes the place of a list, which older apiservers are asked for.
pub fn needed(line: &Value) -> BTreeSet<Right> {
    let (verb, group, resource) = asked(line);
    let is_streamed = line["requestURI"].as_str().is_some_and(|uri| uri.contains("sendInitialEvents=true"));
    let list = is_streamed.then(|| ("list".to_owned(), group.clone(), resource.clone()));
    list.into_iter().chain([(verb, group, resource)]).collect()
}

#[tokio::test]
async fn nothing_is_refused_and_no_right_is_unused_when_all_tests_have_run() {
    let world = World::get();
    let _turn = world.alone().await;
    let lines = world.whole_log("WORLD_AUDIT_LOG");
    // Everybody may ask who he is; a test does, in the operator's name.
    let is_its = |line: &&Value| {
        line["user"]["username"] == SERVICE_ACCOUNT
            && line["objectRef"]["resource"] != "selfsubjectreviews"
            && !world.is_judged_apart(line)
    };
    let requests: Vec<_> = lines.iter().filter(is_its).collect();
    let refused: BTreeSet<_> = requests
        .iter()
        .filter(|line| is_refused(line))
        .filter(|line| !told_to_go(line))
        .map(|line| format!("{:?}: {}", asked(line), line["responseStatus"]["message"]))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");

    let granted =
        granted(&std::fs::read_to_string(world.root().join("tests/world/rbac/operator.yaml")).expect("rights"));
    let used: BTreeSet<_> = requests.iter().map(|line| asked(line)).collect();
    let beyond: Vec<_> = used.difference(&granted).collect();
    assert!(beyond.is_empty(), "not granted by the manifests, and yet allowed: {beyond:#?}");
    let of_a_cache = |line: &&&Value| {
        let uri = line["requestURI"].as_str().unwrap_or_default();
        uri.contains("sendInitialEvents=true") && uri.contains("resourceVersion=")
    };
    let of_a_cache: Vec<_> = requests.iter().filter(of_a_cache).collect();
    assert!(of_a_cache.is_empty(), "lists that may be of the past: {of_a_cache:#?}");
    let needed: BTreeSet<_> = requests.iter().flat_map(|line| needed(line)).collect();
    let unused: Vec<_> = granted.difference(&needed).collect();
    assert!(unused.is_empty(), "no test of this run needs {unused:#?}; were all of them run?");
}

/// Whether what was asked for was not allowed.
pub fn is_refused(line: &Value) -> bool {
    let by_authorizer = line["annotations"]["authorization.k8s.io/decision"] == "forbid";
    // What admission refuses has a message, unless only metadata were asked for.
    let code = &line["responseStatus"]["code"];
    let is_meant = line["objectRef"]["namespace"].as_str().is_some_and(|name| name.starts_with(REFUSED));
    code == 401 || (code == 403 && !is_meant && (by_authorizer || line["responseStatus"]["message"].is_string()))
}

/// A namespace that is going refuses what is made in it, whoever asks.
pub fn told_to_go(line: &Value) -> bool {
    line["responseStatus"]["message"].as_str().is_some_and(|message| message.contains("being terminated"))
}

#[tokio::test]
async fn the_aws_policy_allows_every_call_that_any_test_made_the_operator_make() {
    let world = World::get();
    let _turn = world.alone().await;
    let mut arguments = vec!["aws-policy", "--account", ACCOUNT, "--cluster-id", "c1", "--database-role", "r"];
    arguments.extend(["--role", "*", "--user", "*", "--group", "*", "--assume-role", "*", "--admin-username", "a"]);
    arguments.extend(["--clusters", "--proxies", "--blue-green", "--enable-iam", "--inline"]);
    let policy: Value = serde_json::from_str(&world.iamdb(&arguments).expect("it is printed")).expect("a policy");
    let statements = policy["Statement"].as_array().expect("statements");
    let allowed: BTreeSet<String> = statements
        .iter()
        .filter(|it| it["Effect"] == "Allow")
        .flat_map(|it| it["Action"].as_array().expect("actions"))
        .map(|it| it.as_str().expect("text").to_owned())
        .collect();
    let made = made_in_aws(world);
    assert!(made.contains("rds:DescribeDBProxyTargets") && made.contains("iam:CreatePolicy"), "{made:?}");
    let missing: Vec<_> = made.difference(&allowed).collect();
    assert!(missing.is_empty(), "calls that the printed policy does not allow: {missing:?}");
}

/// What the operator's user asked AWS for, and the roles by which it acts in other accounts.
fn made_in_aws(world: &World) -> BTreeSet<String> {
    let by_operator = |line: &&Value| {
        let principal = line["principal"].as_str().unwrap_or_default();
        let is_of_database = principal.contains("role/t-") && principal.contains("-db/");
        principal.ends_with("user/iamdb-operator") || principal.contains("role/t-account-") || is_of_database
    };
    world.whole_log("WORLD_AWS_LOG").iter().filter(by_operator).map(action).collect()
}
