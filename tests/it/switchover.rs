//! What a server's new resource id means for its accounts: marks that were written under the former id are still ours, and never anybody else's.
//!
//! These run alone: what RDS says of a server is the same for all.

use iamdb::api::IamDbUser;
use serde_json::{Value, json};

use crate::effects::Since;
use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

#[tokio::test]
async fn an_account_is_still_ours_after_its_server_got_another_id_on_mysql() {
    an_account_is_still_ours_after_its_server_got_another_id(Database::Catalog).await;
}

#[tokio::test]
async fn an_account_is_still_ours_after_its_server_got_another_id_on_mariadb() {
    an_account_is_still_ours_after_its_server_got_another_id(Database::Billing).await;
}

/// Gives the server another resource id, as a switch-over does; dropped, it has its own again.
struct OtherId(Database);

impl OtherId {
    fn of(database: Database, id: &str) -> Self {
        set_id(database, id);
        Self(database)
    }
}

impl Drop for OtherId {
    fn drop(&mut self) {
        set_id(self.0, crate::admins::resource_id(self.0));
    }
}

fn set_id(database: Database, id: &str) {
    let path = format!("/_world/instances/{}", database.identifier());
    World::get().ask("WORLD_AWS_CONTROL", "POST", &path, &json!({"resourceId": id}));
}

async fn server_has(tenant: &Tenant, id: &str) {
    until(&format!("the server is known by {id}"), SOON, || async {
        tenant.look_at_server().await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let status = tenant.servers().get(&tenant.name).await.expect("DbServer").status.unwrap_or_default();
        (status.resource_id.as_deref() == Some(id)).then_some(())
    })
    .await;
}

/// The mark of an account, whether it is carried there or stands in the ledger.
pub fn mark(tenant: &Tenant, username: &str) -> Value {
    let sql = match tenant.database {
        Database::Billing => format!("SELECT owner FROM iamdb_operator.accounts WHERE user = '{username}'"),
        Database::Orders | Database::Ledger | Database::Catalog => format!(
            "SELECT JSON_EXTRACT(User_attributes, '$.metadata.\"iamdb.dev/owner\"') FROM mysql.user WHERE User = '{username}'"
        ),
    };
    serde_json::from_str(&tenant.world.root_sql(tenant.database, &sql)).expect("a mark")
}

/// Gives an account another mark.
pub fn set_mark(tenant: &Tenant, username: &str, mark: &Value) {
    let sql = match tenant.database {
        Database::Billing => format!("UPDATE iamdb_operator.accounts SET owner = '{mark}' WHERE user = '{username}'"),
        Database::Orders | Database::Ledger | Database::Catalog => {
            format!("ALTER USER '{username}'@'%' ATTRIBUTE '{}'", json!({"iamdb.dev/owner": mark}))
        }
    };
    tenant.world.root_sql(tenant.database, &sql);
}

async fn an_account_is_still_ours_after_its_server_got_another_id(database: Database) {
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(database, "switched").await;
    tenant.ready_pair("app", "app").await;
    tenant.apply::<IamDbUser>(tenant.user("live")).await;
    tenant.user_ready("live").await;
    let (app, live) = (tenant.username("app"), tenant.username("live"));
    let (blue, green) = (crate::admins::resource_id(database), format!("db-GREEN{}", "0".repeat(21)));
    let before = mark(&tenant, &app);
    assert_eq!(before["server"], blue);

    // The former id in the mark is ours: it is written anew, and nothing else happens to the account.
    let since = Since::now(tenant.world);
    let switched = OtherId::of(database, &green);
    server_has(&tenant, &green).await;
    until("the mark names the new id", SOON, || async { (mark(&tenant, &app)["server"] == green).then_some(()) }).await;
    assert_eq!(mark(&tenant, &app)["uid"], before["uid"]);
    tenant.user_ready("app").await;
    let did = since.statements(tenant.world, database);
    let touched = |it: &&String| it.contains(&app) && (it.starts_with("CREATE USER") || it.starts_with("DROP USER"));
    assert_eq!(did.iter().filter(touched).count(), 0, "{did:?}");
    until("login", SOON, || async { tenant.log_in("app", "SELECT 1").await.ok() }).await;

    // A mark of somebody who lives is his under the former id, too.
    let mut theirs = mark(&tenant, &live);
    theirs["server"] = json!(blue);
    set_mark(&tenant, &app, &theirs);
    tenant.look_at("app").await;
    let message = tenant.user_reason("app", "False", "Conflict").await;
    assert!(message.contains(&format!("IamDbUser {}/live", tenant.name)), "{message}");
    assert_eq!(mark(&tenant, &app), theirs, "it stays theirs");
    // One of another object under an id that this server never had is of another server.
    let mut strange = before.clone();
    (strange["server"], strange["uid"]) = (json!("db-ANOTHER"), json!("another"));
    set_mark(&tenant, &app, &strange);
    tenant.look_at("app").await;
    until("the other server is told", SOON, || async {
        let message = tenant.user_reason("app", "False", "Conflict").await;
        message.contains("db-ANOTHER").then_some(())
    })
    .await;
    set_mark(&tenant, &app, &before);
    tenant.look_at("app").await;
    tenant.user_ready("app").await;

    // And back again: the green id is the former one now.
    drop(switched);
    server_has(&tenant, blue).await;
    until("the mark names the old id", SOON, || async { (mark(&tenant, &app)["server"] == blue).then_some(()) }).await;
    tenant.user_ready("app").await;
    tenant.user_ready("live").await;
    tenant.close().await;
}
