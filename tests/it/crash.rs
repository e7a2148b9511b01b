//! Between any two outside writes the operator may die, and of any write the answer may be lost: all comes right, and nothing is left over.
//!
//! A forwarder holds the answer to the n-th write, so that its effect is done, and the operator is killed there; for every n, until n is past
//! the last write. Which writes there are is not written down here: they are taken from what goes through the forwarders.

use aws_sdk_iam::types::PolicyScopeType;
use futures::future::join_all;
use iamdb::api::{DbAuthToken, FINALIZER, IamDbUser};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, DeleteParams, ListParams};
use kube::{Resource, ResourceExt};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::forward::{Rule, next_request, requests};
use crate::operator::Operator;
use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

/// Statements that change something.
const STATEMENTS: &str = r"^(CREATE|GRANT|REVOKE|ALTER|DROP|INSERT|UPDATE|DELETE FROM|SET PASSWORD) ";

/// Calls that change something in IAM.
const POLICIES: &str = r"^iam:(Create|Delete|Attach|Detach|Put|Set|Update|Tag|Untag)";

/// All outside writes for a tenant: objects and Secrets, policies, statements. Events are told to people only.
fn writes_for(tenant: &Tenant) -> String {
    let name = &tenant.name;
    let objects = format!(r"^(POST|PUT|PATCH|DELETE) /apis/iamdb\.dev/v1alpha1/(dbservers|namespaces)/{name}\b");
    let secrets = format!(r"^(POST|PUT|PATCH|DELETE) /api/v1/namespaces/{name}/secrets\b");
    format!("{objects}|{secrets}|{POLICIES}|{STATEMENTS}")
}

#[tokio::test]
async fn the_operator_may_die_after_any_write_on_mariadb() {
    let _turn = World::get().alone().await;
    let points = die_at_each(Database::Billing, writes_for).await;
    // Finalizers, intents, ledger, account, grants, policy, attachment, Secret, and each status.
    assert!(points.creation >= 14 && points.change >= 11 && points.deletion >= 9, "{points:?}");
}

#[tokio::test]
async fn the_operator_may_die_after_any_statement_on_mysql() {
    let _turn = World::get().alone().await;
    let points = die_at_each(Database::Orders, |_| STATEMENTS.to_owned()).await;
    assert_eq!((points.creation, points.change, points.deletion), (2, 4, 2), "here an account carries its own mark");
}

#[tokio::test]
async fn the_answer_to_any_write_may_be_lost_on_mysql() {
    let _turn = World::get().alone().await;
    lose_each_answer(Database::Orders).await;
}

#[tokio::test]
async fn the_answer_to_any_write_may_be_lost_on_mariadb() {
    let _turn = World::get().alone().await;
    lose_each_answer(Database::Billing).await;
}

/// How many points there were to die at.
#[derive(Debug, Default)]
struct Points {
    creation: u32,
    change: u32,
    deletion: u32,
}

/// Kills the operator after the first write of a tenant's creation, of a change and of its deletion; with another tenant after the second, and
/// so on, as long as there is an n-th write.
async fn die_at_each(database: Database, writes: fn(&Tenant) -> String) -> Points {
    let operator = Operator::of(World::get());
    let mut points = Points::default();
    for n in 1.. {
        let tenant = Tenant::bare(database, "crash").await;
        let pattern = writes(&tenant);
        let hold = || Rule::arm(tenant.world, "hold", &pattern, n, 1);
        let rule = hold();
        create(&tenant).await;
        let in_creation = die_there(rule, n, &operator, &format!("creation {n}"), || is_made(&tenant)).await;
        check_made(&tenant).await;
        points.creation += u32::from(in_creation);
        if points.change + 1 >= n {
            let rule = hold();
            let generation = change(&tenant).await;
            let is_over = || is_changed(&tenant, generation);
            points.change += u32::from(die_there(rule, n, &operator, &format!("change {n}"), is_over).await);
            check_changed(&tenant).await;
        }
        let rule = (points.deletion + 1 >= n).then(hold);
        delete(&tenant).await;
        if let Some(rule) = rule {
            let what = format!("deletion {n}");
            points.deletion += u32::from(die_there(rule, n, &operator, &what, || is_gone(&tenant)).await);
        } else {
            until("all is gone", SOON, || async { is_gone(&tenant).await.then_some(()) }).await;
        }
        check_gone(&tenant).await;
        abandon(&tenant).await;
        if points.creation.max(points.change).max(points.deletion) < n {
            break;
        }
    }
    eprintln!("{database:?}: {points:?}");
    points
}

/// Waits until the rule holds an answer, and kills the operator there; or until all is done without. Tells which.
async fn die_there<F>(rule: Rule, nth: u32, operator: &Operator, what: &str, is_done: impl Fn() -> F) -> bool
where
    F: Future<Output = bool>,
{
    if !rule.is_met(what, nth, &is_done).await {
        return false;
    }
    let met = rule.met();
    operator.kill();
    drop(rule);
    operator.start();
    eprintln!("{what}: {} {}", met.target, met.request.chars().take(120).collect::<String>());
    until(&format!("{what}: done after the death at {}", met.request), SOON, || async {
        is_done().await.then_some(())
    })
    .await;
    true
}

/// Loses one answer of each kind of write that an undisturbed tenant needs, spread over a few tenants at once.
async fn lose_each_answer(database: Database) {
    const TENANTS: usize = 6;
    if database == Database::Billing {
        undisturbed(database).await; // the first account of a server makes the ledger, which no other one does
    }
    let Kinds { creation, changing, deletion } = undisturbed(database).await;
    let tenants = join_all((0..TENANTS).map(|_| Tenant::bare(database, "lost"))).await;

    let rules = lose(&tenants, &creation);
    join_all(tenants.iter().map(create)).await;
    for tenant in &tenants {
        until("all is made", SOON, || async { is_made(tenant).await.then_some(()) }).await;
    }
    let in_creation = lost(&rules, &creation);
    drop(rules);
    for tenant in &tenants {
        check_made(tenant).await;
    }

    let rules = lose(&tenants, &changing);
    let generations = join_all(tenants.iter().map(change)).await;
    for (tenant, generation) in tenants.iter().zip(generations) {
        until("all is changed", SOON, || async { is_changed(tenant, generation).await.then_some(()) }).await;
    }
    let in_change = lost(&rules, &changing);
    drop(rules);
    for tenant in &tenants {
        check_changed(tenant).await;
    }

    let rules = lose(&tenants, &deletion);
    join_all(tenants.iter().map(delete)).await;
    for tenant in &tenants {
        until("all is gone", SOON, || async { is_gone(tenant).await.then_some(()) }).await;
    }
    let in_deletion = lost(&rules, &deletion);
    drop(rules);
    for tenant in &tenants {
        check_gone(tenant).await;
        abandon(tenant).await;
    }
    eprintln!("{database:?}: {in_creation} answers lost in creation, {in_change} in change, {in_deletion} in deletion");
}

/// The writes that a tenant's creation, change and deletion need when nothing goes wrong, as patterns, in their order.
struct Kinds {
    creation: Vec<String>,
    changing: Vec<String>,
    deletion: Vec<String>,
}

async fn undisturbed(database: Database) -> Kinds {
    let tenant = &Tenant::bare(database, "lost").await;
    let writes = writes_for(tenant);
    let rule = Rule::arm(tenant.world, "observe", &writes, 1, 0);
    let start = next_request(tenant.world);
    create(tenant).await;
    until("all is made", SOON, || async { is_made(tenant).await.then_some(()) }).await;
    let made = next_request(tenant.world);
    let generation = change(tenant).await;
    until("all is changed", SOON, || async { is_changed(tenant, generation).await.then_some(()) }).await;
    let changed = next_request(tenant.world);
    delete(tenant).await;
    until("all is gone", SOON, || async { is_gone(tenant).await.then_some(()) }).await;
    let lines = |from, to| {
        let lines = requests(tenant.world, from, to, &writes);
        lines.iter().map(|line| kind(line, &tenant.name)).collect::<Vec<_>>()
    };
    let kinds = Kinds {
        creation: lines(start, made),
        changing: lines(made, changed),
        deletion: lines(changed, next_request(tenant.world)),
    };
    drop(rule);
    abandon(tenant).await;
    kinds
}

/// A pattern for all writes of the kind of this one.
fn kind(line: &str, tenant: &str) -> String {
    let is_of_objects = ["POST /", "PUT /", "PATCH /", "DELETE /"].iter().any(|verb| line.starts_with(verb));
    if is_of_objects {
        let path = line.split('?').next().unwrap_or_default();
        return format!(r"^{}(\?|$)", path.replace('.', r"\.").replace(tenant, "t-lost-[0-9a-f]+"));
    }
    let words: Vec<_> = line.split(' ').take(2).collect();
    format!("^{}", words.join(" "))
}

/// A rule for each write of an undisturbed tenant. Of a kind that comes several times to each tenant, an early one is lost and a later one.
fn lose(tenants: &[Tenant], kinds: &[String]) -> Vec<Rule> {
    let turn = |at: usize| kinds[..at].iter().filter(|earlier| **earlier == kinds[at]).count() * tenants.len() / 2 + 1;
    let arm = |at: usize| Rule::arm(tenants[0].world, "drop", &kinds[at], u32::try_from(turn(at)).expect("small"), 1);
    (0..kinds.len()).map(arm).collect()
}

/// How many answers were lost; at least one of each kind.
fn lost(rules: &[Rule], kinds: &[String]) -> usize {
    let lost: Vec<_> = rules.iter().zip(kinds).filter(|(rule, _)| rule.met().fired > 0).map(|(_, kind)| kind).collect();
    let never: Vec<_> = kinds.iter().filter(|kind| !lost.contains(kind)).collect();
    assert!(never.is_empty(), "never lost: {never:?} of {kinds:?}");
    lost.len()
}

async fn create(tenant: &Tenant) {
    tenant.apply_server(tenant.server()).await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
}

async fn delete(tenant: &Tenant) {
    tenant.users().delete("app", &DeleteParams::default()).await.expect("delete IamDbUser");
    tenant.servers().delete(&tenant.name, &DeleteParams::default()).await.expect("delete DbServer");
}

/// Another host, another principal, other grants: everything of the account changes but its name. Returns the object's generation.
async fn change(tenant: &Tenant) -> Option<i64> {
    let role = other_role(tenant);
    tenant.create_role(&role, "other").await;
    tenant.create_service_account("other", &tenant.role_arn(&role)).await;
    let mut user = tenant.user("app");
    user["spec"]["hosts"] = json!(["10.%"]);
    user["spec"]["grants"][0]["privileges"] = json!(["INSERT"]);
    user["spec"]["principals"]["serviceAccounts"][0]["name"] = json!("other");
    tenant.apply::<IamDbUser>(user).await.metadata.generation
}

fn other_role(tenant: &Tenant) -> String {
    format!("{}-other", tenant.name)
}

/// Lets the namespace go, in its own time: what it still holds has nothing outside.
async fn abandon(tenant: &Tenant) {
    let namespaces = Api::<Namespace>::all(tenant.client.clone());
    namespaces.delete(&tenant.name, &DeleteParams::default()).await.expect("delete namespace");
}

async fn is_made(tenant: &Tenant) -> bool {
    ready(&tenant.servers(), &tenant.name).await == "Ready"
        && ready(&tenant.users(), "app").await == "Ready"
        && ready(&tenant.tokens(), "app").await == "Ready"
}

async fn is_changed(tenant: &Tenant, generation: Option<i64>) -> bool {
    let user = tenant.users().get("app").await.expect("IamDbUser");
    user.metadata.generation == generation && ready(&tenant.users(), "app").await == "Ready"
}

async fn is_gone(tenant: &Tenant) -> bool {
    ready(&tenant.users(), "app").await == "gone"
        && ready(&tenant.servers(), &tenant.name).await == "gone"
        && ready(&tenant.tokens(), "app").await == "UserRefNotFound"
        && secrets(tenant).await.is_empty()
}

/// Reason of the condition Ready, if that is of the object as it is now; `gone` when there is no object.
pub async fn ready<K>(api: &Api<K>, name: &str) -> String
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
{
    let Some(object) = api.get_opt(name).await.expect("get") else {
        return "gone".to_owned();
    };
    let object = serde_json::to_value(&object).expect("JSON");
    let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
    let ready = conditions.into_iter().find(|it| it["type"] == "Ready").unwrap_or(Value::Null);
    let is_current = ready["observedGeneration"] == object["metadata"]["generation"];
    if is_current { ready["reason"].as_str().unwrap_or_default().to_owned() } else { String::new() }
}

/// Everything is there exactly once, and is of use.
async fn check_made(tenant: &Tenant) {
    let (name, username, schema) = (&tenant.name, tenant.username("app"), tenant.database.identifier());
    assert_eq!(tenant.account(&username), "%\tAWSAuthenticationPlugin\tRDS\tANY", "{name}");
    assert_eq!(privileges(tenant, "%"), format!("SCHEMA\t{schema}\tSELECT\nUSER\t*\tUSAGE"), "{name}");
    if tenant.database == Database::Billing {
        assert_eq!(ledger(tenant), "%\tOwned", "{name}");
    }
    let allowed = tenant.allowed(name).await;
    assert_eq!(allowed.len(), 1, "{name}: {allowed:?}");
    assert!(allowed[0].ends_with(&format!("/{username}")), "{name}: {allowed:?}");
    let attached = attached(tenant, name).await;
    assert_eq!(attached.len(), 1, "{name}: {attached:?}");
    assert_eq!(policies_of(tenant, name).await, attached, "{name}: no policy is left over");
    assert_eq!(secrets(tenant).await, ["app-db"], "{name}");
    let user = tenant.users().get("app").await.expect("IamDbUser");
    assert_eq!(user.finalizers(), [FINALIZER], "{name}");
    tenant.log_in("app", "SELECT 1").await.unwrap_or_else(|error| panic!("{name}: {error}"));
}

/// The account is another in everything, and nothing is left of what it was.
async fn check_changed(tenant: &Tenant) {
    let (name, username, schema) = (&tenant.name, tenant.username("app"), tenant.database.identifier());
    assert_eq!(tenant.account(&username), "10.%\tAWSAuthenticationPlugin\tRDS\tANY", "{name}");
    assert_eq!(privileges(tenant, "10.%"), format!("SCHEMA\t{schema}\tINSERT\nUSER\t*\tUSAGE"), "{name}");
    if tenant.database == Database::Billing {
        assert_eq!(ledger(tenant), "10.%\tOwned", "{name}");
    }
    assert!(attached(tenant, name).await.is_empty() && policies_of(tenant, name).await.is_empty(), "{name}");
    let other = attached(tenant, &other_role(tenant)).await;
    assert_eq!(other.len(), 1, "{name}: {other:?}");
    assert_eq!(policies_of(tenant, &other_role(tenant)).await, other, "{name}: no policy is left over");
    assert_eq!(tenant.allowed(&other_role(tenant)).await.len(), 1, "{name}");
}

/// Nothing is left.
async fn check_gone(tenant: &Tenant) {
    let name = &tenant.name;
    assert_eq!(tenant.account(&tenant.username("app")), "", "{name}");
    if tenant.database == Database::Billing {
        assert_eq!(ledger(tenant), "", "{name}");
    }
    for role in [name, &other_role(tenant)] {
        assert!(policies_of(tenant, role).await.is_empty(), "{role}");
    }
    assert!(secrets(tenant).await.is_empty(), "{name}");
}

/// What the account may do, on the server and on schemas.
fn privileges(tenant: &Tenant, host: &str) -> String {
    let grantee = format!("\"'{}'@'{host}'\"", tenant.username("app"));
    let sql = format!(
        "SELECT 'SCHEMA', TABLE_SCHEMA, PRIVILEGE_TYPE FROM information_schema.SCHEMA_PRIVILEGES WHERE GRANTEE = {grantee} AND TABLE_SCHEMA NOT LIKE 'iamdb%mark' \
         UNION SELECT 'USER', '*', PRIVILEGE_TYPE FROM information_schema.USER_PRIVILEGES WHERE GRANTEE = {grantee} ORDER BY 1, 2, 3"
    );
    tenant.world.root_sql(tenant.database, &sql)
}

/// What the operator's own table says of the account.
fn ledger(tenant: &Tenant) -> String {
    let sql = format!("SELECT host, state FROM iamdb_operator.accounts WHERE user = '{}'", tenant.username("app"));
    tenant.world.root_sql(tenant.database, &sql)
}

async fn secrets(tenant: &Tenant) -> Vec<String> {
    let secrets = tenant.secrets().list(&ListParams::default()).await.expect("list Secrets");
    secrets.iter().map(ResourceExt::name_any).collect()
}

/// ARNs of the policies that are attached to a role.
async fn attached(tenant: &Tenant, role: &str) -> Vec<String> {
    let attached = tenant.iam.list_attached_role_policies().role_name(role).send().await.expect("list attached");
    attached.attached_policies().iter().filter_map(|policy| policy.policy_arn().map(str::to_owned)).collect()
}

/// ARNs of the policies that were made for a role, attached or not.
pub async fn policies_of(tenant: &Tenant, role: &str) -> Vec<String> {
    let role = tenant.role_arn(role);
    let pages = tenant.iam.list_policies().scope(PolicyScopeType::Local).path_prefix("/iamdb/").into_paginator();
    let listed: Vec<_> = pages.items().send().collect::<Result<_, _>>().await.expect("list policies");
    let mut ours = Vec::new();
    for arn in listed.iter().filter_map(|policy| policy.arn()) {
        let Ok(tags) = tenant.iam.list_policy_tags().policy_arn(arn).send().await else {
            continue; // it went meanwhile
        };
        if tags.tags().iter().any(|tag| tag.key() == "iamdb.dev/principal" && tag.value() == role) {
            ours.push(arn.to_owned());
        }
    }
    ours
}
