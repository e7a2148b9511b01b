//! How accounts end: their sessions with them, and not at all while something runs as them.

use std::process::{Child, Stdio};

use iamdb::api::IamDbUser;
use k8s_openapi::api::events::v1::Event;
use kube::api::{Api, ListParams};
use serde_json::json;

use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

on_both!(
    sessions_end_with_a_lock_and_with_a_drop,
    sessions_go_on_where_that_is_asked_for,
    sessions_of_a_host_that_stays_go_on,
    who_is_a_definer_is_locked_and_deletion_ends,
    an_account_that_something_waits_for_is_not_made,
);

/// A client that has logged in and sleeps.
pub struct Sleeper {
    child: Child,
}

impl Sleeper {
    pub async fn new(tenant: &Tenant) -> Self {
        let option_file = tenant.lay_out("app").await;
        let mut command = tenant.world.command(tenant.database.client());
        command.arg(format!("--defaults-extra-file={}", option_file.display()));
        command.args(["--batch", "--execute", "SELECT SLEEP(600)"]).stdout(Stdio::null()).stderr(Stdio::null());
        let sleeper = Self { child: command.spawn().expect("client") };
        until("the session is open", SOON, || async { (sessions(tenant) == "1").then_some(()) }).await;
        sleeper
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How many sessions the user of a tenant has.
pub fn sessions(tenant: &Tenant) -> String {
    let username = tenant.username("app");
    let sql = format!("SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE USER = '{username}'");
    tenant.world.root_sql(tenant.database, &sql)
}

/// Waits until it has none: a server ends a session some moments after it was told to.
pub async fn all_have_ended(tenant: &Tenant) {
    until("the sessions have ended", SOON, || async { (sessions(tenant) == "0").then_some(()) }).await;
}

/// Reasons of the Events about an object.
async fn events(tenant: &Tenant, name: &str) -> Vec<String> {
    let api = Api::<Event>::namespaced(tenant.client.clone(), &tenant.name);
    let all = api.list(&ListParams::default()).await.expect("list Events");
    let about = |event: &Event| event.regarding.as_ref().and_then(|it| it.name.as_deref()) == Some(name);
    all.into_iter().filter(about).filter_map(|event| event.reason).collect()
}

async fn sessions_end_with_a_lock_and_with_a_drop(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "sessions").await;
    tenant.ready_pair("app", "app").await;
    let sleeper = Sleeper::new(&tenant).await;
    let mut user = tenant.user("app");
    user["spec"]["locked"] = json!(true);
    tenant.apply::<IamDbUser>(user).await;
    all_have_ended(&tenant).await;
    drop(sleeper);

    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    until("login after unlocking", SOON, || async { tenant.log_in("app", "SELECT 1").await.ok() }).await;
    let _sleeper = Sleeper::new(&tenant).await;
    tenant.delete(tenant.users(), "app").await;
    assert_eq!(tenant.account(&tenant.username("app")), "");
    all_have_ended(&tenant).await;
    tenant.close().await;
}

async fn sessions_go_on_where_that_is_asked_for(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "goeson").await;
    tenant.ready_pair("app", "app").await;
    let _sleeper = Sleeper::new(&tenant).await;
    let mut user = tenant.user("app");
    user["spec"]["endSessions"] = json!(false);
    tenant.apply::<IamDbUser>(user).await;
    tenant.user_ready("app").await;
    tenant.delete(tenant.users(), "app").await;
    assert_eq!(tenant.account(&tenant.username("app")), "");
    assert_eq!(sessions(&tenant), "1");
    tenant.close().await;
}

async fn sessions_of_a_host_that_stays_go_on(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "twohosts").await;
    let mut user = tenant.user("app");
    user["spec"]["hosts"] = json!(["%", "10.%"]);
    tenant.apply::<IamDbUser>(user).await;
    tenant.apply::<iamdb::api::DbAuthToken>(tenant.token("app", "app")).await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    let _sleeper = Sleeper::new(&tenant).await; // from 127.*, so as '%'
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let one_left = || async { (!tenant.account(&tenant.username("app")).contains("10.%")).then_some(()) };
    until("the other host is gone", SOON, one_left).await;
    tenant.user_ready("app").await;
    assert_eq!(sessions(&tenant), "1");
    tenant.close().await;
}

async fn who_is_a_definer_is_locked_and_deletion_ends(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "definer").await;
    tenant.ready_pair("app", "app").await;
    let (username, schema) = (tenant.username("app"), database.identifier());
    let view = format!("{schema}.view_{username}");
    tenant.world.root_sql(database, &format!("CREATE DEFINER = '{username}'@'%' VIEW {view} AS SELECT 1"));
    tenant.delete(tenant.users(), "app").await;
    assert_eq!(tenant.account(&username), "%\tAWSAuthenticationPlugin\tRDS\tANY", "it is not dropped");
    let locked = match database {
        Database::Orders | Database::Ledger | Database::Catalog => {
            format!("SELECT account_locked = 'Y' FROM mysql.user WHERE User = '{username}'")
        }
        Database::Billing => {
            format!("SELECT JSON_VALUE(Priv, '$.account_locked') FROM mysql.global_priv WHERE User = '{username}'")
        }
    };
    assert_eq!(tenant.world.root_sql(database, &locked), "1");
    assert!(events(&tenant, "app").await.contains(&"ReferencedAsDefiner".to_owned()));
    assert_eq!(tenant.allowed(&tenant.name).await, Vec::<String>::new(), "the policy goes all the same");

    // Its mark is still there, so that a new object can take it along once nothing runs as it.
    tenant.world.root_sql(database, &format!("DROP VIEW {view}"));
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    tenant.close().await;
}

async fn an_account_that_something_waits_for_is_not_made(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "orphan").await;
    let (username, schema) = (tenant.username("app"), database.identifier());
    let objects = [
        ("VIEW", format!("CREATE DEFINER = '{username}'@'%' VIEW {schema}.o_{username} AS SELECT 1")),
        ("PROCEDURE", format!("CREATE DEFINER = '{username}'@'%' PROCEDURE {schema}.o_{username}() SELECT 1")),
        (
            "EVENT",
            format!(
                "CREATE DEFINER = '{username}'@'%' EVENT {schema}.o_{username} ON SCHEDULE EVERY 9 YEAR DISABLE DO SELECT 1"
            ),
        ),
    ];
    let drop_object = |kind: &str| {
        tenant.world.root_sql(database, &format!("DROP {kind} {schema}.o_{username}"));
    };
    let (first, more) = objects.split_first().expect("a first");
    tenant.world.root_sql(database, &first.1);
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_reason("app", "False", "ReferencedAsDefiner").await;
    let mut last = first.0;
    for (kind, sql) in more {
        tenant.world.root_sql(database, sql);
        drop_object(last);
        tenant.looked_at("app").await;
        tokio::time::sleep(std::time::Duration::from_millis(700)).await;
        tenant.user_reason("app", "False", "ReferencedAsDefiner").await;
        assert_eq!(tenant.account(&username), "", "{kind}");
        last = kind;
    }
    drop_object(last);
    tenant.look_at("app").await;
    tenant.user_ready("app").await;
    tenant.close().await;
}
