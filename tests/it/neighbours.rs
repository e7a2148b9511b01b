//! Two tenants under two rules of one server: whatever one asks for, it gets nothing of the other's.

use iamdb::api::{DbAuthToken, IamDbUser};
use serde_json::{Value, json};

use crate::fields::untried;
use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

/// The owner's DbServer, with a rule for each of the two.
fn server(owner: &Tenant, thief: &Tenant) -> Value {
    let rule = |tenant: &Tenant, name: &str, database: &str| {
        json!({
            "name": name, "namespaces": {"names": [tenant.name]}, "usernames": [format!("{name}_*")],
            "databases": [database], "privileges": ["SELECT"], "hosts": ["%"],
            "principals": [tenant.role_arn(&tenant.name)],
        })
    };
    let mut server = owner.server();
    server["spec"]["tenancy"] = json!([rule(owner, "owner", "orders"), rule(thief, "thief", "orders_archive")]);
    server
}

/// A user that the tenant's own rule admits.
fn user(tenant: &Tenant, server: &Tenant, name: &str, username: &str, database: &str) -> Value {
    let mut user = tenant.user(name);
    user["spec"]["serverRef"]["name"] = json!(server.name);
    user["spec"]["username"] = json!(username);
    user["spec"]["grants"][0]["database"] = json!(database);
    user
}

/// All that could be taken from the owner: its account, what that may do, and who may use it.
async fn belongings(owner: &Tenant, username: &str) -> (String, String, Vec<String>) {
    let sql = format!("SELECT Db, Select_priv, Insert_priv FROM mysql.db WHERE User = '{username}'");
    (owner.account(username), owner.world.root_sql(owner.database, &sql), owner.allowed(&owner.name).await)
}

/// What a thief tries: a user's name, what its spec says, and the field that no rule admits.
fn thefts(owner: &Tenant, thief: &Tenant, theirs: &str) -> Vec<(&'static str, Value, &'static str)> {
    let grant = |database: &str, privilege: &str| json!([{"database": database, "objectType": "Schema", "object": "*", "privileges": [privilege]}]);
    let role = owner.role_arn(&owner.name);
    vec![
        ("name", json!({"username": theirs}), "spec.username"),
        ("case", json!({"username": theirs.to_uppercase()}), "spec.username"),
        ("external", json!({"username": theirs, "management": {"account": "External"}}), "spec.username"),
        ("adopt", json!({"existingUser": "Adopt"}), "spec.existingUser"),
        ("database", json!({"grants": grant("orders", "SELECT")}), "spec.grants[].database: orders"),
        ("folded", json!({"grants": grant("ORDERS", "SELECT")}), "spec.grants[].database: ORDERS"),
        ("right", json!({"grants": grant("orders_archive", "INSERT")}), "spec.grants[].privileges: INSERT"),
        ("host", json!({"hosts": ["10.%"]}), "spec.hosts: 10.%"),
        ("role", json!({"roles": ["rds_superuser_role"]}), "spec.roles: rds_superuser_role"),
        ("principal", json!({"principals": {"arns": [role]}}), "spec.principals"),
        (
            "account",
            json!({"principals": {"serviceAccounts": [{"name": "app", "namespace": owner.name}]}}),
            "spec.principals",
        ),
        ("everywhere", json!({"scope": "AccountRegion"}), "spec.scope"),
        // What could be done to the account, its sessions and its tokens by whoever got hold of it.
        (
            "harm",
            json!({
                "username": theirs, "management": {"account": "Managed", "policy": "External"}, "grantPolicy": "Authoritative",
                "limits": {"maxUserConnections": 1}, "locked": true, "includeProxies": true,
                "tokenConsumers": {"namespaces": {"names": [thief.name], "selector": {
                    "matchLabels": {"tenant": thief.name},
                    "matchExpressions": [{"key": "tenant", "operator": "In", "values": [thief.name]}]}}},
                "deletionPolicy": "Drop", "endSessions": true, "onUnreachable": {"action": "Orphan", "after": "1s"}, "suspend": false,
            }),
            "spec.username",
        ),
    ]
}

#[tokio::test]
async fn no_field_of_a_user_leads_to_what_is_somebody_elses() {
    let _turn = World::get().together().await;
    let owner = Tenant::bare(Database::Orders, "owner").await;
    let thief = Tenant::bare(Database::Orders, "thief").await;
    owner.apply_server(server(&owner, &thief)).await;
    let theirs = owner.username("owner");
    owner.apply::<IamDbUser>(user(&owner, &owner, "app", &theirs, "orders")).await;
    owner.apply::<DbAuthToken>(owner.token("app", "app")).await;
    owner.user_ready("app").await;
    owner.token_ready("app").await;
    let before = belongings(&owner, &theirs).await;

    let attempts = thefts(&owner, &thief, &theirs);
    let mut specs = Vec::new();
    for (name, change, _) in &attempts {
        let mut own = user(&thief, &owner, name, &thief.username(&format!("thief_{name}")), "orders_archive");
        for (field, value) in change.as_object().expect("fields") {
            own["spec"][field] = value.clone();
        }
        specs.push(own["spec"].clone());
        thief.apply::<IamDbUser>(own).await;
    }
    let untried = untried::<IamDbUser>(&specs);
    assert!(untried.is_empty(), "could these lead to what is somebody else's? {untried:?}");
    for (name, _, field) in &attempts {
        let message = thief.user_reason(name, "False", "NotAllowed").await;
        assert!(message.contains(field), "{name}: {message}");
    }
    assert_eq!(belongings(&owner, &theirs).await, before);
    assert_eq!(thief.attached(&thief.role_arn(&thief.name)).await, Vec::<String>::new());
    let unique = &thief.name[thief.name.len() - 6..];
    let made = format!("SELECT COUNT(*) FROM mysql.user WHERE User LIKE 'thief%{unique}'");
    assert_eq!(owner.world.root_sql(owner.database, &made), "0");
    owner.log_in("app", "SELECT 1").await.expect("the owner's login");

    // What it may have it gets, and no more.
    thief.apply::<IamDbUser>(user(&thief, &owner, "app", &thief.username("thief_app"), "orders_archive")).await;
    thief.apply::<DbAuthToken>(thief.token("app", "app")).await;
    thief.user_ready("app").await;
    thief.token_ready("app").await;
    let refusal = thief.log_in("app", "SELECT * FROM orders.orders").await.expect_err("another's database");
    assert!(refusal.contains("1142"), "{refusal}");
    thief.close().await;
    owner.close().await;
}

/// The other one's rule admits the same name, and it says that somebody else makes the account.
#[tokio::test]
async fn an_account_is_its_owners_alone_until_it_is_gone_with_it() {
    let _turn = World::get().together().await;
    let owner = Tenant::bare(Database::Orders, "owner").await;
    let other = Tenant::bare(Database::Orders, "heir").await;
    let mut both = server(&owner, &other);
    both["spec"]["tenancy"][1]["usernames"] = json!(["owner_*"]);
    owner.apply_server(both.clone()).await;
    let name = owner.username("owner");
    let external = |connections: u32| {
        let mut user = user(&other, &owner, "app", &name, "orders_archive");
        user["spec"]["management"] = json!({"account": "External"});
        user["spec"]["limits"] = json!({"maxUserConnections": connections});
        user
    };
    let let_in = || async { other.attached(&other.role_arn(&other.name)).await };
    // There is nobody yet whose account it would be.
    other.apply::<IamDbUser>(external(1)).await;
    other.user_ready("app").await;
    assert_eq!(let_in().await.len(), 1);
    owner.apply::<IamDbUser>(user(&owner, &owner, "app", &name, "orders")).await;
    owner.user_ready("app").await;
    other.user_reason("app", "False", "Conflict").await;
    until("nobody else is let in", SOON, || async { let_in().await.is_empty().then_some(()) }).await;

    let mut narrowed = both;
    narrowed["spec"]["tenancy"][0]["usernames"] = json!(["somebody"]);
    owner.apply_server(narrowed).await;
    owner.user_reason("app", "False", "NotAllowed").await;
    other.apply::<IamDbUser>(external(2)).await; // it is looked at once more
    let message = other.user_reason("app", "False", "Conflict").await;
    assert!(message.contains(&format!("{}/app", owner.name)), "{message}");
    other.apply::<DbAuthToken>(other.token("app", "app")).await;
    other.token_reason("app", "False", "NotAllowed").await;
    assert_eq!(let_in().await, Vec::<String>::new());
    assert!(!owner.account(&name).is_empty(), "what is refused keeps its account");

    owner.delete(owner.users(), "app").await;
    assert_eq!(owner.account(&name), "");
    other.user_ready("app").await;
    other.close().await;
    owner.close().await;
}
