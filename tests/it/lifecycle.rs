//! What an IamDbUser may say of its account besides grants: locked, limited, somebody else's, left alone.

use iamdb::api::{DbAuthToken, IamDbUser};
use serde_json::json;

use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

#[tokio::test]
async fn a_locked_account_refuses_logins_until_it_is_unlocked_on_mysql() {
    a_locked_account_refuses_logins_until_it_is_unlocked(Database::Orders, "3118").await;
}

#[tokio::test]
async fn a_locked_account_refuses_logins_until_it_is_unlocked_on_mariadb() {
    a_locked_account_refuses_logins_until_it_is_unlocked(Database::Billing, "4151").await;
}

async fn a_locked_account_refuses_logins_until_it_is_unlocked(database: Database, error: &str) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "locked").await;
    let mut user = tenant.user("app");
    user["spec"]["locked"] = json!(true);
    tenant.apply::<IamDbUser>(user).await;
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    let refusal = tenant.log_in("app", "SELECT 1").await.expect_err("locked");
    assert!(refusal.contains(error), "{refusal}");
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    until("login after unlocking", SOON, || async { tenant.log_in("app", "SELECT 1").await.ok() }).await;
    tenant.close().await;
}

#[tokio::test]
async fn the_limit_of_sessions_follows_the_spec_on_both_engines() {
    let _turn = World::get().together().await;
    for database in Database::BOTH {
        let tenant = Tenant::new(database, "limits").await;
        let username = tenant.username("app");
        let limit = || {
            let sql = format!("SELECT max_user_connections FROM mysql.user WHERE User = '{username}'");
            tenant.world.root_sql(database, &sql)
        };
        let mut user = tenant.user("app");
        user["spec"]["limits"] = json!({"maxUserConnections": 7});
        tenant.apply::<IamDbUser>(user).await;
        tenant.user_ready("app").await;
        assert_eq!(limit(), "7");
        tenant.world.root_sql(database, &format!("ALTER USER '{username}'@'%' WITH MAX_USER_CONNECTIONS 1"));
        tenant.look_at("app").await;
        until("the limit is mended", SOON, || async { (limit() == "7").then_some(()) }).await;
        tenant.apply::<IamDbUser>(tenant.user("app")).await;
        until("no limit any more", SOON, || async { (limit() == "0").then_some(()) }).await;
        tenant.close().await;
    }
}

#[tokio::test]
async fn with_additive_grants_what_others_granted_stays() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "additive").await;
    let username = tenant.username("app");
    let mut user = tenant.user("app");
    user["spec"]["grantPolicy"] = json!("Additive");
    tenant.apply::<IamDbUser>(user.clone()).await;
    tenant.user_ready("app").await;
    tenant.world.root_sql(Database::Orders, &format!("GRANT INSERT ON orders.* TO '{username}'@'%'"));
    user["spec"]["grants"][0]["privileges"] = json!(["SELECT", "UPDATE"]);
    tenant.apply::<IamDbUser>(user).await;
    let grants = format!("SELECT Select_priv, Insert_priv, Update_priv FROM mysql.db WHERE User = '{username}'");
    let seen = || async { (tenant.world.root_sql(Database::Orders, &grants) == "Y\tY\tY").then_some(()) };
    until("INSERT stays, UPDATE comes", SOON, seen).await;
    tenant.close().await;
}

#[tokio::test]
async fn with_additive_grants_a_wider_grant_is_told_of_before_it_would_be_shadowed() {
    let _turn = World::get().together().await;
    for database in Database::BOTH {
        let tenant = Tenant::new(database, "shadows").await;
        let (username, unique) = (tenant.username("app"), tenant.name[tenant.name.len() - 6..].to_owned());
        let root = |sql: &str| tenant.world.root_sql(database, &sql.replace("{x}", &unique));
        root("CREATE DATABASE wide_{x}; CREATE TABLE wide_{x}.t (id INT)");
        let mut user = tenant.user("app");
        user["spec"]["grantPolicy"] = json!("Additive");
        tenant.apply::<IamDbUser>(user.clone()).await;
        tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
        tenant.user_ready("app").await;
        tenant.token_ready("app").await;
        root(&format!("GRANT INSERT ON `wide%{{x}}`.* TO '{username}'@'%'"));
        let insert = format!("INSERT INTO wide_{unique}.t VALUES (1)");
        tenant.log_in("app", &insert).await.expect("by the wider grant");
        let grant = |privileges: &[&str]| json!({"database": format!("wide_{unique}"), "objectType": "Schema", "object": "*", "privileges": privileges});
        let own = user["spec"]["grants"][0].clone();
        user["spec"]["grants"] = json!([own, grant(&["SELECT"])]);
        tenant.apply::<IamDbUser>(user.clone()).await;
        let message = tenant.user_reason("app", "False", "ShadowedGrant").await;
        assert!(message.contains(&format!("wide%{unique}")), "{message}");
        tenant.log_in("app", &insert).await.expect("what somebody else granted stays");
        user["spec"]["grants"] = json!([own, grant(&["SELECT", "INSERT"])]);
        tenant.apply::<IamDbUser>(user).await;
        tenant.user_ready("app").await;
        tenant.log_in("app", &insert).await.expect("what both open stays");
        tenant.log_in("app", &format!("SELECT * FROM wide_{unique}.t")).await.expect("what the spec asks for");
        root("DROP DATABASE wide_{x}");
        tenant.close().await;
    }
}

#[tokio::test]
async fn deletion_by_locking_leaves_a_locked_account_that_its_object_can_have_back() {
    let _turn = World::get().together().await;
    for database in Database::BOTH {
        let tenant = Tenant::new(database, "lockdel").await;
        let username = tenant.username("app");
        let mut user = tenant.user("app");
        user["spec"]["deletionPolicy"] = json!("Lock");
        tenant.apply::<IamDbUser>(user).await;
        tenant.user_ready("app").await;
        tenant.delete(tenant.users(), "app").await;
        assert_eq!(tenant.account(&username), "%\tAWSAuthenticationPlugin\tRDS\tANY", "the account stays");
        assert_eq!(tenant.allowed(&tenant.name).await, Vec::<String>::new(), "the policy goes");
        tenant.ready_pair("app", "app").await;
        tenant.log_in("app", "SELECT 1").await.expect("it is unlocked again");
        tenant.close().await;
    }
}

#[tokio::test]
async fn an_account_that_stays_is_locked_while_its_host_is_not_in_the_spec() {
    let _turn = World::get().together().await;
    for (database, error) in [(Database::Orders, "3118"), (Database::Billing, "4151")] {
        let tenant = Tenant::new(database, "hosts").await;
        let user = |host: &str| {
            let mut user = tenant.user("app");
            user["spec"]["deletionPolicy"] = json!("Lock");
            user["spec"]["hosts"] = json!([host]);
            user
        };
        tenant.apply::<IamDbUser>(user("%")).await;
        tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
        tenant.user_ready("app").await;
        tenant.token_ready("app").await;
        tenant.log_in("app", "SELECT 1").await.expect("login");
        tenant.apply::<IamDbUser>(user("10.%")).await;
        tenant.user_ready("app").await;
        let refusal = tenant.log_in("app", "SELECT 1").await.expect_err("its host has left the spec");
        assert!(refusal.contains(error), "{refusal}");
        tenant.apply::<IamDbUser>(user("%")).await;
        tenant.user_ready("app").await;
        tenant.log_in("app", "SELECT 1").await.expect("its host is back");
        tenant.apply::<IamDbUser>(tenant.user("app")).await; // so that nothing stays
        tenant.user_ready("app").await;
        tenant.close().await;
    }
}

#[tokio::test]
async fn tokens_for_accounts_that_somebody_else_makes_need_no_administrator() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "external").await;
    let mut server = tenant.server();
    server["spec"].as_object_mut().expect("spec").remove("admin");
    tenant.apply_server(server).await;
    let username = tenant.username("app");
    let create = format!(
        "CREATE USER '{username}'@'%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL; \
         GRANT SELECT ON orders.* TO '{username}'@'%'"
    );
    tenant.world.root_sql(Database::Orders, &create);
    let before = tenant.account(&username);
    let mut user = tenant.user("app");
    user["spec"]["management"] = json!({"account": "External"});
    tenant.apply::<IamDbUser>(user).await;
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    tenant.log_in("app", "SELECT 1").await.expect("login");
    tenant.delete(tenant.users(), "app").await;
    assert_eq!(tenant.account(&username), before, "what somebody else made stays");
    tenant.world.root_sql(Database::Orders, &format!("DROP USER '{username}'@'%'"));
    tenant.close().await;
}

#[tokio::test]
async fn a_policy_that_somebody_else_writes_is_not_written() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "extpolicy").await;
    let mut user = tenant.user("app");
    user["spec"]["management"] = json!({"policy": "External"});
    tenant.apply::<IamDbUser>(user).await;
    tenant.user_ready("app").await;
    assert_eq!(tenant.allowed(&tenant.name).await, Vec::<String>::new());
    tenant.close().await;
}

#[tokio::test]
async fn who_is_attached_must_be_admitted_whoever_writes_the_policy_now() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "extnarrow").await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    let attached = tenant.attached(&tenant.role_arn(&tenant.name)).await;
    assert!(!attached.is_empty());
    let mut user = tenant.user("app");
    user["spec"]["management"] = json!({"policy": "External"});
    user["spec"].as_object_mut().expect("a spec").remove("principals");
    tenant.apply::<IamDbUser>(user).await;
    tenant.user_ready("app").await;
    assert_eq!(tenant.attached(&tenant.role_arn(&tenant.name)).await, attached, "it stays");
    let mut narrow = tenant.server();
    narrow["spec"]["tenancy"][0]["principals"] = json!([tenant.role_arn("somebody-else")]);
    tenant.apply_server(narrow).await;
    let message = tenant.user_reason("app", "False", "NotAllowed").await;
    assert!(message.contains("spec.principals"), "{message}");
    tenant.apply_server(tenant.server()).await;
    tenant.user_ready("app").await;
    tenant.close().await;
}

#[tokio::test]
async fn a_suspended_user_is_left_as_it_is_and_can_still_be_deleted() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "suspend").await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    let username = tenant.username("app");
    let mut user = tenant.user("app");
    user["spec"]["suspend"] = json!(true);
    user["spec"]["grants"][0]["privileges"] = json!(["SELECT", "INSERT"]);
    tenant.apply::<IamDbUser>(user).await;
    tenant.user_reason("app", "False", "Suspended").await;
    let insert = format!("SELECT Insert_priv FROM mysql.db WHERE User = '{username}'");
    assert_eq!(tenant.world.root_sql(Database::Orders, &insert), "N");
    tenant.delete(tenant.users(), "app").await;
    assert_eq!(tenant.account(&username), "");
    tenant.close().await;
}

#[tokio::test]
async fn a_rule_that_is_narrowed_and_widened_again_takes_nothing_away() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "narrowed").await;
    tenant.ready_pair("app", "app").await;
    let version = || async { tenant.secrets().get("app-db").await.expect("Secret").metadata.resource_version };
    let before = version().await;
    let mut narrow = tenant.server();
    narrow["spec"]["tenancy"][0]["usernames"] = json!(["somebody_else"]);
    tenant.apply_server(narrow).await;
    tenant.user_reason("app", "False", "NotAllowed").await;
    tenant.token_reason("app", "False", "NotAllowed").await;
    tenant.log_in("app", "SELECT 1").await.expect("what was signed under the rule still works");
    tenant.apply_server(tenant.server()).await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    assert_eq!(version().await, before, "the Secret was not touched");
    tenant.log_in("app", "SELECT 1").await.expect("login");
    tenant.close().await;
}

#[tokio::test]
async fn a_policy_reaches_every_server_only_where_a_rule_allows_it() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "scope").await;
    let mut user = tenant.user("app");
    user["spec"]["scope"] = json!("AccountRegion");
    tenant.apply::<IamDbUser>(user).await;
    let message = tenant.user_reason("app", "False", "NotAllowed").await;
    assert!(message.contains("spec.scope"), "{message}");
    let mut server = tenant.server();
    server["spec"]["tenancy"][0]["allowAccountRegionScope"] = json!(true);
    tenant.apply_server(server).await;
    tenant.user_ready("app").await;
    let expected = format!("arn:aws:rds-db:us-east-1:123456789012:dbuser:*/{}", tenant.username("app"));
    assert_eq!(tenant.allowed(&tenant.name).await, [expected]);
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let only_here = |allowed: Vec<String>| (allowed.len() == 1 && allowed[0].contains("db-ORDERS")).then_some(());
    until("the policy names this server only", SOON, || async { only_here(tenant.allowed(&tenant.name).await) }).await;
    tenant.close().await;
}
