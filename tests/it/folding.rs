//! A server that folds the names of databases and tables to lower case (`lower_case_table_names = 1`): whatever case a spec has, the grant is on the
//! one database that the server means by it, and comes back in lower case without being written anew.

use iamdb::api::{DbAuthToken, IamDbUser};
use serde_json::{Value, json};

use crate::tenant::Tenant;
use crate::world::{Database, World};

fn grant(database: &str, kind: &str, object: &str, privileges: &[&str]) -> Value {
    json!({"database": database, "objectType": kind, "object": object, "privileges": privileges})
}

#[tokio::test]
async fn names_in_any_case_open_what_the_server_means_by_them_and_nothing_else() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Catalog, "folded").await;
    let mut server = tenant.server();
    server["spec"]["tenancy"][0]["privileges"] = json!(["SELECT", "INSERT", "EXECUTE"]);
    tenant.apply_server(server).await;
    let mut user = tenant.user("app");
    user["spec"]["grants"] = json!([
        grant("ORDERS_Prod", "Schema", "*", &["SELECT"]),
        grant("Catalog", "Table", "ITEMS", &["INSERT"]),
        grant("CataloG", "Procedure", "COUNT_items", &["EXECUTE"]),
    ]);
    tenant.apply::<IamDbUser>(user).await;
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    for allowed in
        ["SELECT item FROM orders_prod.orders", "SELECT item FROM Orders_PROD.ORDERS", "CALL catalog.count_items()"]
    {
        tenant.log_in("app", allowed).await.unwrap_or_else(|error| panic!("{allowed}: {error}"));
    }
    for refused in
        ["SELECT item FROM OrdersXProd.Orders", "SELECT item FROM ordersxprod.orders", "SELECT item FROM Catalog.Items"]
    {
        let refusal = tenant.log_in("app", refused).await.expect_err(refused);
        assert!(refusal.contains("1142"), "{refused}: {refusal}");
    }
    // What comes back in lower case is what was asked for.
    assert_eq!(tenant.changed_by_a_look("app").await, Vec::<String>::new());
    tenant.user_ready("app").await;
    tenant.close().await;
}

#[tokio::test]
async fn no_spelling_of_a_database_reaches_a_system_schema() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Catalog, "system").await;
    for (n, database) in
        ["mysql", "MYSQL", "MySql", "Sys", "SYS", "Performance_Schema", "INFORMATION_SCHEMA", "IamDb_Operator"]
            .into_iter()
            .enumerate()
    {
        for (kind, object) in [("Schema", "*"), ("Table", "User")] {
            let name = format!("{}{n}", kind.to_lowercase());
            let mut user = tenant.user(&name);
            user["spec"]["grants"] = json!([grant(database, kind, object, &["SELECT"])]);
            tenant.apply::<IamDbUser>(user).await;
            let message = tenant.user_reason(&name, "False", "NotAllowed").await;
            assert!(message.contains(database) && message.contains("system schema"), "{message}");
            assert_eq!(tenant.account(&tenant.username(&name)), "", "{database}: not even an account is made");
        }
    }
    tenant.close().await;
}

#[tokio::test]
async fn a_role_that_opens_a_system_schema_by_another_spelling_is_not_to_be_had() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Catalog, "foldrole").await;
    let role = tenant.username("reader");
    let root = |sql: &str| tenant.world.root_sql(Database::Catalog, &sql.replace("ROLE_NAME", &role));
    root("CREATE ROLE ROLE_NAME");
    let mut server = tenant.server();
    server["spec"]["tenancy"][0]["roles"] = json!([role]);
    tenant.apply_server(server).await;
    for (n, on) in ["MySQL.*", "`MY%`.*", "MYSQL.User", "`SYS`.*"].into_iter().enumerate() {
        root(&format!("GRANT SELECT ON {on} TO ROLE_NAME"));
        let name = format!("app{n}");
        let mut user = tenant.user(&name);
        user["spec"]["roles"] = json!([role]);
        tenant.apply::<IamDbUser>(user).await;
        tenant.user_reason(&name, "False", "InvalidRole").await;
        root(&format!("REVOKE SELECT ON {on} FROM ROLE_NAME"));
    }
    root("DROP ROLE ROLE_NAME");
    tenant.close().await;
}
