//! Accounts, grants and policies, on both engines: made, kept true, and undone.

use iamdb::api::{DbAuthToken, IamDbUser};
use serde_json::json;

use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

on_both!(
    a_client_logs_in_with_the_files_of_the_secret_alone,
    the_account_holds_exactly_the_grants_of_the_spec,
    a_grant_opens_the_literal_database_and_no_other,
    drift_in_the_database_is_repaired,
    a_dropped_account_is_made_again,
    hosts_come_and_go,
    deletion_removes_account_policy_and_login,
    retain_leaves_the_account,
    a_foreign_account_is_never_touched,
    an_account_made_again_by_somebody_else_is_foreign,
);

async fn a_client_logs_in_with_the_files_of_the_secret_alone(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "login").await;
    tenant.ready_pair("app", "app").await;
    let answer = tenant.log_in("app", "SELECT CURRENT_USER(); SHOW STATUS LIKE 'Ssl_cipher'").await.expect("login");
    let username = tenant.username("app");
    assert!(answer.starts_with(&format!("{username}@%\n")), "{answer}");
    assert!(answer.contains("Ssl_cipher\tTLS_"), "the session is encrypted: {answer}");
    assert_eq!(tenant.account(&username), "%\tAWSAuthenticationPlugin\tRDS\tANY");
    let resource_id =
        if database == Database::Orders { "db-ORDERS0000000000000000001" } else { "db-BILLING000000000000000001" };
    let expected = format!("arn:aws:rds-db:us-east-1:123456789012:dbuser:{resource_id}/{username}");
    assert_eq!(tenant.allowed(&tenant.name).await, [expected]);
    tenant.close().await;
}

async fn the_account_holds_exactly_the_grants_of_the_spec(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "grants").await;
    tenant.ready_pair("app", "app").await;
    let schema = database.identifier();
    let table = format!("{schema}.grants_{}", tenant.username("t"));
    tenant.world.root_sql(database, &format!("CREATE TABLE {table} (id INT)"));
    let insert = format!("INSERT INTO {table} VALUES (1)");
    let refusal = tenant.log_in("app", &insert).await.expect_err("no INSERT yet");
    assert!(refusal.contains("1142"), "{refusal}");

    let mut user = tenant.user("app");
    user["spec"]["grants"][0]["privileges"] = json!(["INSERT"]);
    tenant.apply::<IamDbUser>(user).await;
    tenant.user_ready("app").await;
    until("INSERT works", SOON, || async { tenant.log_in("app", &insert).await.ok() }).await;
    let refusal = tenant.log_in("app", &format!("SELECT * FROM {table}")).await.expect_err("SELECT is gone");
    assert!(refusal.contains("1142"), "{refusal}");
    tenant.world.root_sql(database, &format!("DROP TABLE {table}"));
    tenant.close().await;
}

async fn a_grant_opens_the_literal_database_and_no_other(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "literal").await;
    let unique = &tenant.name[tenant.name.len() - 6..];
    let (literal, lookalike) = (format!("lit_{unique}"), format!("litX{unique}"));
    for schema in [&literal, &lookalike] {
        tenant.world.root_sql(database, &format!("CREATE DATABASE {schema}; CREATE TABLE {schema}.t (id INT)"));
    }
    let mut user = tenant.user("app");
    user["spec"]["grants"][0]["database"] = json!(literal);
    tenant.apply::<IamDbUser>(user).await;
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    tenant.log_in("app", &format!("SELECT * FROM {literal}.t")).await.expect("its own database");
    let refusal = tenant.log_in("app", &format!("SELECT * FROM {lookalike}.t")).await.expect_err("another database");
    assert!(refusal.contains("1142"), "{refusal}");
    for schema in [&literal, &lookalike] {
        tenant.world.root_sql(database, &format!("DROP DATABASE {schema}"));
    }
    tenant.close().await;
}

#[tokio::test]
async fn a_grant_opens_the_literal_database_and_no_other_where_partial_revokes_are_on() {
    a_grant_opens_the_literal_database_and_no_other(Database::Ledger).await;
}

#[tokio::test]
async fn a_grant_opens_the_literal_database_and_no_other_where_names_are_folded() {
    a_grant_opens_the_literal_database_and_no_other(Database::Catalog).await;
}

async fn drift_in_the_database_is_repaired(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "drift").await;
    tenant.ready_pair("app", "app").await;
    let (username, schema) = (tenant.username("app"), database.identifier());
    let grants = || {
        let sql =
            format!("SELECT Db, Select_priv, Delete_priv FROM mysql.db WHERE BINARY User = '{username}' ORDER BY Db");
        tenant.world.root_sql(database, &sql)
    };
    let before = grants();
    tenant.world.root_sql(database, &format!("ALTER USER '{username}'@'%' REQUIRE NONE"));
    tenant.world.root_sql(database, &format!("GRANT DELETE ON {schema}.* TO '{username}'@'%'"));
    tenant.world.root_sql(database, &format!("GRANT SELECT ON test_other.* TO '{username}'@'%'"));
    tenant.look_at("app").await;
    let healthy = || async {
        let is = tenant.account(&username) == "%\tAWSAuthenticationPlugin\tRDS\tANY" && grants() == before;
        is.then_some(())
    };
    until("TLS is required again and the surplus grants are gone", SOON, healthy).await;
    tenant.world.root_sql(database, &format!("REVOKE SELECT ON {schema}.* FROM '{username}'@'%'"));
    tenant.look_at("app").await;
    until("the missing grant is back", SOON, healthy).await;
    tenant.log_in("app", "SELECT 1").await.expect("login");
    tenant.close().await;
}

async fn a_dropped_account_is_made_again(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "dropped").await;
    tenant.ready_pair("app", "app").await;
    let username = tenant.username("app");
    tenant.world.root_sql(database, &format!("DROP USER '{username}'@'%'"));
    tenant.look_at("app").await;
    until("login works again", SOON, || async { tenant.log_in("app", "SELECT 1").await.ok() }).await;
    tenant.close().await;
}

async fn hosts_come_and_go(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "hosts").await;
    let username = tenant.username("app");
    let mut user = tenant.user("app");
    user["spec"]["hosts"] = json!(["%", "10.%"]);
    tenant.apply::<IamDbUser>(user).await;
    tenant.user_ready("app").await;
    assert_eq!(
        tenant.account(&username),
        "%\tAWSAuthenticationPlugin\tRDS\tANY\n10.%\tAWSAuthenticationPlugin\tRDS\tANY"
    );
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    assert_eq!(tenant.account(&username), "%\tAWSAuthenticationPlugin\tRDS\tANY");
    tenant.close().await;
}

async fn deletion_removes_account_policy_and_login(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "deletion").await;
    tenant.ready_pair("app", "app").await;
    let option_file = tenant.lay_out("app").await;
    tenant.delete(tenant.users(), "app").await;
    assert_eq!(tenant.account(&tenant.username("app")), "");
    assert_eq!(tenant.allowed(&tenant.name).await, Vec::<String>::new());
    let refusal = tenant.world.client_sql(database, &option_file, "SELECT 1").expect_err("the account is gone");
    assert!(refusal.contains("1045"), "{refusal}");
    tenant.token_reason("app", "False", "UserRefNotFound").await;
    tenant.close().await;
}

async fn retain_leaves_the_account(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "retain").await;
    let username = tenant.username("kept");
    let mut user = tenant.user("kept");
    user["spec"]["deletionPolicy"] = json!("Retain");
    tenant.apply::<IamDbUser>(user.clone()).await;
    tenant.user_ready("kept").await;
    tenant.delete(tenant.users(), "kept").await;
    assert_eq!(tenant.account(&username), "%\tAWSAuthenticationPlugin\tRDS\tANY");
    assert_eq!(tenant.allowed(&tenant.name).await, Vec::<String>::new(), "the policy goes all the same");

    // A new object of the same name knows its account again, and this time takes it along.
    tenant.apply::<IamDbUser>(tenant.user("kept")).await;
    tenant.user_ready("kept").await;
    tenant.delete(tenant.users(), "kept").await;
    assert_eq!(tenant.account(&username), "");
    tenant.close().await;
}

async fn a_foreign_account_is_never_touched(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "foreign").await;
    let username = tenant.username("app");
    tenant.world.root_sql(database, &format!("CREATE USER '{username}'@'%' IDENTIFIED BY 'a password'"));
    let before = tenant.account(&username);
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let message = tenant.user_reason("app", "False", "ForeignAccount").await;
    assert!(message.contains(&username), "{message}");
    assert_eq!(tenant.allowed(&tenant.name).await, Vec::<String>::new(), "nobody is let in as somebody else");
    tenant.delete(tenant.users(), "app").await;
    assert_eq!(tenant.account(&username), before);
    tenant.world.root_sql(database, &format!("DROP USER '{username}'@'%'"));
    tenant.close().await;
}

async fn an_account_made_again_by_somebody_else_is_foreign(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "remade").await;
    let username = tenant.username("app");
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    // The stamp that tells accounts apart on MariaDB counts seconds.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    let remake = format!("DROP USER '{username}'@'%'; CREATE USER '{username}'@'%' IDENTIFIED BY 'a password'");
    tenant.world.root_sql(database, &remake);
    let before = tenant.account(&username);
    tenant.look_at("app").await;
    tenant.user_reason("app", "False", "ForeignAccount").await;
    tenant.delete(tenant.users(), "app").await;
    assert_eq!(tenant.account(&username), before);
    tenant.world.root_sql(database, &format!("DROP USER '{username}'@'%'"));
    tenant.close().await;
}

#[tokio::test]
async fn accounts_that_differ_in_case_are_two() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "case").await;
    let unique = &tenant.name[tenant.name.len() - 6..];
    for (name, username) in [("lower", format!("case_{unique}")), ("upper", format!("CASE_{unique}"))] {
        let mut user = tenant.user(name);
        user["spec"]["username"] = json!(username);
        tenant.apply::<IamDbUser>(user).await;
    }
    tenant.user_ready("lower").await;
    tenant.user_ready("upper").await;
    let count = format!("SELECT COUNT(*) FROM mysql.user WHERE LOWER(CONVERT(User USING utf8mb4)) = 'case_{unique}'");
    assert_eq!(tenant.world.root_sql(Database::Orders, &count), "2");
    tenant.close().await;
}
