//! Roles in the database: had and active after a login, never one that opens more than a tenant may have.

use iamdb::api::{DbAuthToken, IamDbUser};
use serde_json::json;

use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

on_both!(
    a_role_is_active_after_a_login_and_goes_with_the_spec,
    a_role_that_opens_too_much_is_not_to_be_had_by_any_path,
    a_role_that_no_rule_names_is_not_to_be_had,
    roles_that_somebody_gives_are_taken_off_however_many,
);

/// A role of this test's own, which the administrator may pass on.
fn make_role(tenant: &Tenant, purpose: &str) -> String {
    let role = tenant.username(purpose);
    tenant.world.root_sql(tenant.database, &format!("CREATE ROLE {role}"));
    if tenant.database == Database::Billing {
        tenant.world.root_sql(tenant.database, &format!("GRANT {role} TO admin@'%' WITH ADMIN OPTION"));
    }
    role
}

/// Lets the tenant ask for these roles.
async fn allow(tenant: &Tenant, roles: &[&str]) {
    let mut server = tenant.server();
    server["spec"]["tenancy"][0]["roles"] = json!(roles);
    tenant.apply_server(server).await;
}

async fn a_role_is_active_after_a_login_and_goes_with_the_spec(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(database, "role").await;
    let (role, schema) = (make_role(&tenant, "reader"), database.identifier());
    let table = format!("{schema}.roles_{}", tenant.username("t"));
    tenant.world.root_sql(database, &format!("CREATE TABLE {table} (id INT); GRANT INSERT ON {table} TO {role}"));
    allow(&tenant, &[&role]).await;
    let mut user = tenant.user("app");
    user["spec"]["roles"] = json!([role]);
    tenant.apply::<IamDbUser>(user).await;
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    let insert = format!("INSERT INTO {table} VALUES (1)");
    tenant.log_in("app", &insert).await.expect("only the role lets it insert");
    let active = tenant.log_in("app", "SELECT CURRENT_ROLE()").await.expect("login");
    assert!(active.contains(&role), "{active}");

    // A role that becomes too strong is taken away without waiting for anybody.
    tenant.world.root_sql(database, &format!("GRANT FILE ON *.* TO {role}"));
    tenant.look_at("app").await;
    tenant.user_reason("app", "False", "InvalidRole").await;
    tenant.log_in("app", &insert).await.expect_err("it has the role no more");
    tenant.world.root_sql(database, &format!("REVOKE FILE ON *.* FROM {role}"));
    tenant.look_at("app").await;
    tenant.user_ready("app").await;
    tenant.log_in("app", &insert).await.expect("it has the role again");

    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    until("the role is gone", SOON, || async { tenant.log_in("app", &insert).await.err() }).await;
    tenant.log_in("app", "SELECT 1").await.expect("login");
    tenant.world.root_sql(database, &format!("DROP TABLE {table}; DROP ROLE {role}"));
    tenant.close().await;
}

async fn roles_that_somebody_gives_are_taken_off_however_many(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "given").await;
    let roles = ["one", "two"].map(|purpose| make_role(&tenant, purpose));
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    let username = tenant.username("app");
    let held = match database {
        Database::Billing => format!("SELECT COUNT(*) FROM mysql.roles_mapping WHERE User = '{username}'"),
        Database::Orders | Database::Ledger | Database::Catalog => {
            format!("SELECT COUNT(*) FROM mysql.role_edges WHERE TO_USER = '{username}'")
        }
    };
    let held = || tenant.world.root_sql(database, &held).trim().to_owned();
    for role in &roles {
        tenant.world.root_sql(database, &format!("GRANT {role} TO '{username}'@'%'"));
    }
    assert_eq!(held(), "2");
    tenant.look_at("app").await;
    until("both are taken off", SOON, || async { (held() == "0").then_some(()) }).await;
    tenant.user_ready("app").await;
    for role in &roles {
        tenant.world.root_sql(database, &format!("DROP ROLE {role}"));
    }
    tenant.close().await;
}

async fn a_role_that_opens_too_much_is_not_to_be_had_by_any_path(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(database, "strong").await;
    let (outer, inner) = (make_role(&tenant, "outer"), make_role(&tenant, "inner"));
    let sql = |text: &str| tenant.world.root_sql(database, &text.replace("OUTER", &outer).replace("INNER", &inner));
    sql("GRANT INNER TO OUTER");
    allow(&tenant, &[&outer, "rds_superuser_role"]).await;
    let user = |name: &str| {
        let mut user = tenant.user(name);
        user["spec"]["roles"] = json!([outer]);
        user
    };
    let mut through = vec![
        ("GRANT PROCESS ON *.* TO INNER", "REVOKE PROCESS ON *.* FROM INNER"),
        ("GRANT SELECT ON mysql.* TO INNER", "REVOKE SELECT ON mysql.* FROM INNER"),
        ("GRANT SELECT ON `my%`.* TO INNER", "REVOKE SELECT ON `my%`.* FROM INNER"),
        ("GRANT SELECT ON mysql.db TO INNER", "REVOKE SELECT ON mysql.db FROM INNER"),
        ("GRANT SELECT ON test.* TO INNER WITH GRANT OPTION", "REVOKE SELECT, GRANT OPTION ON test.* FROM INNER"),
    ];
    if database == Database::Orders {
        through.push(("GRANT rds_superuser_role TO INNER", "REVOKE rds_superuser_role FROM INNER"));
        through.push(("GRANT ROLE_ADMIN ON *.* TO INNER", "REVOKE ROLE_ADMIN ON *.* FROM INNER"));
    }
    for (n, (grant, revoke)) in through.iter().enumerate() {
        let name = format!("app{n}");
        sql(grant);
        tenant.apply::<IamDbUser>(user(&name)).await;
        tenant.user_reason(&name, "False", "InvalidRole").await;
        assert_eq!(tenant.account(&tenant.username(&name)), "", "{grant}: not even an account is made");
        tenant.delete(tenant.users(), &name).await;
        sql(revoke);
    }
    tenant.apply::<IamDbUser>(user("app")).await;
    tenant.user_ready("app").await;

    let mut named = tenant.user("named");
    named["spec"]["roles"] = json!(["rds_superuser_role"]);
    tenant.apply::<IamDbUser>(named).await;
    let message = tenant.user_reason("named", "False", "Protected").await;
    assert!(message.contains("spec.roles"), "{message}");
    sql("DROP ROLE OUTER");
    sql("DROP ROLE INNER");
    tenant.close().await;
}

async fn a_role_that_no_rule_names_is_not_to_be_had(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(database, "norole").await;
    let role = make_role(&tenant, "reader");
    allow(&tenant, &["reader", &role.to_uppercase()]).await;
    let mut user = tenant.user("app");
    user["spec"]["roles"] = json!([role]);
    tenant.apply::<IamDbUser>(user.clone()).await;
    let message = tenant.user_reason("app", "False", "NotAllowed").await;
    assert!(message.contains(&format!("spec.roles: {role}")), "{message}");
    allow(&tenant, &[&role, "not_there"]).await;
    tenant.user_ready("app").await;
    user["spec"]["roles"] = json!(["not_there"]);
    tenant.apply::<IamDbUser>(user).await;
    tenant.user_reason("app", "False", "ObjectMissing").await;
    tenant.world.root_sql(database, &format!("DROP ROLE {role}"));
    tenant.close().await;
}

#[tokio::test]
async fn mariadb_gives_one_default_role_and_says_so() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Billing, "tworoles").await;
    allow(&tenant, &["a", "b"]).await;
    let mut user = tenant.user("app");
    user["spec"]["roles"] = json!(["a", "b"]);
    tenant.apply::<IamDbUser>(user).await;
    tenant.user_reason("app", "False", "InvalidRole").await;
    tenant.close().await;
}

#[tokio::test]
async fn several_roles_are_active_on_mysql() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "roles").await;
    let (a, b) = (make_role(&tenant, "a"), make_role(&tenant, "b"));
    allow(&tenant, &[&a, &b]).await;
    let mut user = tenant.user("app");
    user["spec"]["roles"] = json!([a, b]);
    tenant.apply::<IamDbUser>(user).await;
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    let active = tenant.log_in("app", "SELECT CURRENT_ROLE()").await.expect("login");
    assert!(active.contains(&a) && active.contains(&b), "{active}");
    tenant.world.root_sql(Database::Orders, &format!("DROP ROLE {a}; DROP ROLE {b}"));
    tenant.close().await;
}

/// Takes `mandatory_roles` back, whatever becomes of the test.
struct Mandatory;

impl Mandatory {
    fn new(roles: &str) -> Self {
        World::get().root_sql(Database::Orders, &format!("SET GLOBAL mandatory_roles = '{roles}'"));
        Self
    }
}

impl Drop for Mandatory {
    fn drop(&mut self) {
        World::get().root_sql(Database::Orders, "SET GLOBAL mandatory_roles = ''");
    }
}

/// A role that everybody has is nobody's to have or to lose: it makes no work, and still it is not to be had by name where no rule lists it, or where it
/// opens too much.
#[tokio::test]
async fn a_role_that_everybody_has_makes_no_work_and_is_judged_like_any_other() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::bare(Database::Orders, "mandatory").await;
    let role = make_role(&tenant, "everybodys");
    let table = format!("orders.mandatory_{}", tenant.username("t"));
    tenant
        .world
        .root_sql(Database::Orders, &format!("CREATE TABLE {table} (id INT); GRANT INSERT ON {table} TO {role}"));
    allow(&tenant, &[&role]).await;
    // It was granted to the account before everybody got it: from then on it cannot be revoked.
    let mut user = tenant.user("app");
    user["spec"]["roles"] = json!([role]);
    tenant.apply::<IamDbUser>(user.clone()).await;
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    let mandatory = Mandatory::new(&role);
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    let defaults = format!("SELECT COUNT(*) FROM mysql.default_roles WHERE USER = '{}'", tenant.username("app"));
    until("it is no default role any more", SOON, || async {
        (tenant.world.root_sql(Database::Orders, &defaults) == "0").then_some(())
    })
    .await;
    let written = tenant.changed_by_a_look("app").await;
    assert_eq!(written, Vec::<String>::new(), "nothing is tried again and again");
    tenant.user_ready("app").await;
    // Whoever never had it by name may ask for it, under the same ceiling.
    let mut other = tenant.user("other");
    other["spec"]["roles"] = json!([role]);
    tenant.apply::<IamDbUser>(other).await;
    tenant.user_ready("other").await;
    tenant.world.root_sql(Database::Orders, &format!("GRANT PROCESS ON *.* TO {role}"));
    tenant.look_at("other").await;
    tenant.user_reason("other", "False", "InvalidRole").await;
    tenant.look_at("app").await;
    tenant.user_ready("app").await;
    drop(mandatory);
    tenant.world.root_sql(Database::Orders, &format!("DROP TABLE {table}; DROP ROLE {role}"));
    tenant.close().await;
}
