//! Grants on tables and stored routines, on both engines.

use iamdb::api::{DbAuthToken, IamDbUser};
use serde_json::{Value, json};

use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

/// A database of the test's own, with two tables, a procedure and a function.
fn make_schema(tenant: &Tenant) -> String {
    let schema = format!("own_{}", &tenant.name[tenant.name.len() - 6..]);
    for sql in [
        format!("CREATE DATABASE {schema}"),
        format!("CREATE TABLE {schema}.open_t (id INT)"),
        format!("CREATE TABLE {schema}.openXt (id INT)"),
        format!("CREATE PROCEDURE {schema}.p() SELECT 1"),
        format!("CREATE FUNCTION {schema}.f() RETURNS INT DETERMINISTIC RETURN 1"),
    ] {
        tenant.world.root_sql(tenant.database, &sql);
    }
    schema
}

fn grant(schema: &str, kind: &str, object: &str, privilege: &str) -> Value {
    json!({"database": schema, "objectType": kind, "object": object, "privileges": [privilege]})
}

#[tokio::test]
async fn tables_and_routines_are_opened_one_by_one_on_mysql() {
    tables_and_routines_are_opened_one_by_one(Database::Orders).await;
}

#[tokio::test]
async fn tables_and_routines_are_opened_one_by_one_on_mariadb() {
    tables_and_routines_are_opened_one_by_one(Database::Billing).await;
}

async fn tables_and_routines_are_opened_one_by_one(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(database, "objects").await;
    let mut server = tenant.server();
    server["spec"]["tenancy"][0]["privileges"] = json!(["SELECT", "EXECUTE"]);
    tenant.apply_server(server).await;
    let schema = make_schema(&tenant);
    let mut user = tenant.user("app");
    user["spec"]["grants"] = json!([
        grant(&schema, "Table", "open_t", "SELECT"),
        grant(&schema, "Procedure", "p", "EXECUTE"),
        grant(&schema, "Function", "f", "EXECUTE"),
    ]);
    tenant.apply::<IamDbUser>(user.clone()).await;
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    let all = format!("SELECT * FROM {schema}.open_t; CALL {schema}.p(); SELECT {schema}.f()");
    tenant.log_in("app", &all).await.expect("what was granted");
    let refusal = tenant.log_in("app", &format!("SELECT * FROM {schema}.openXt")).await.expect_err("another table");
    assert!(refusal.contains("1142"), "{refusal}");

    user["spec"]["grants"] = json!([grant(&schema, "Function", "f", "EXECUTE")]);
    tenant.apply::<IamDbUser>(user).await;
    let select = format!("SELECT * FROM {schema}.open_t");
    until("the table is closed", SOON, || async { tenant.log_in("app", &select).await.err() }).await;
    until("the procedure is closed", SOON, || async {
        tenant.log_in("app", &format!("CALL {schema}.p()")).await.err()
    })
    .await;
    tenant.log_in("app", &format!("SELECT {schema}.f()")).await.expect("what is still granted");
    tenant.world.root_sql(database, &format!("DROP DATABASE {schema}"));
    tenant.close().await;
}

#[tokio::test]
async fn a_table_that_is_not_there_is_named_and_granted_once_it_is() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "missing").await;
    let schema = make_schema(&tenant);
    let mut user = tenant.user("app");
    user["spec"]["grants"] = json!([grant(&schema, "Table", "later", "SELECT")]);
    tenant.apply::<IamDbUser>(user).await;
    tenant.user_reason("app", "False", "ObjectMissing").await;
    tenant.world.root_sql(Database::Orders, &format!("CREATE TABLE {schema}.later (id INT)"));
    tenant.user_ready("app").await;
    tenant.world.root_sql(Database::Orders, &format!("DROP DATABASE {schema}"));
    tenant.close().await;
}

#[tokio::test]
async fn a_privilege_that_a_table_does_not_know_is_refused_with_the_field() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "wrongpriv").await;
    let mut server = tenant.server();
    server["spec"]["tenancy"][0]["privileges"] = json!(["EXECUTE"]);
    tenant.apply_server(server).await;
    let mut user = tenant.user("app");
    user["spec"]["grants"] = json!([grant("orders", "Table", "t", "EXECUTE")]);
    tenant.apply::<IamDbUser>(user).await;
    let message = tenant.user_reason("app", "False", "InvalidPrivilege").await;
    assert!(message.contains("spec.grants[].privileges: EXECUTE"), "{message}");
    tenant.close().await;
}
