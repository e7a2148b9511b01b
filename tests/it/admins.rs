//! The ways in which the operator logs in as administrator, and servers that are described by hand.

use iamdb::api::IamDbUser;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::tenant::{ACCOUNT, Tenant};
use crate::world::{Database, OPERATOR_NAMESPACE, SOON, World, until};

on_both!(what_the_administrator_may_do_is_told,);

/// ARN and content of the secret in which RDS keeps the master user's login.
pub async fn master_secret(tenant: &Tenant) -> (String, Value) {
    let aws = tenant.world.aws();
    let identifier = tenant.database.identifier();
    let described =
        aws_sdk_rds::Client::new(&aws).describe_db_instances().db_instance_identifier(identifier).send().await;
    let described = described.expect("describe");
    let secret = described.db_instances()[0].master_user_secret().and_then(|it| it.secret_arn()).expect("secret");
    let value = aws_sdk_secretsmanager::Client::new(&aws).get_secret_value().secret_id(secret).send().await;
    let value = value.expect("read secret");
    (secret.to_owned(), serde_json::from_str(value.secret_string().expect("text")).expect("JSON"))
}

pub fn resource_id(database: Database) -> &'static str {
    match database {
        Database::Orders => "db-ORDERS0000000000000000001",
        Database::Billing => "db-BILLING000000000000000001",
        Database::Ledger => "cluster-LEDGER00000000000000000001",
        Database::Catalog => "db-CATALOG000000000000000001",
    }
}

/// Puts an administrator's login into a Secret beside the operator, of the tenant's name and with the label that lets it be read.
pub async fn admin_secret(tenant: &Tenant, login: &Value) -> Api<Secret> {
    let secrets = Api::<Secret>::namespaced(tenant.client.clone(), OPERATOR_NAMESPACE);
    let secret = json!({"apiVersion": "v1", "kind": "Secret",
        "metadata": {"name": tenant.name, "labels": {"iamdb.dev/admin-credentials": "true"}},
        "stringData": {"username": login["username"], "password": login["password"]}});
    crate::tenant::apply(&secrets, secret).await.expect("create Secret");
    secrets
}

#[tokio::test]
async fn a_server_described_by_hand_serves_with_a_login_from_secrets_manager() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "static").await;
    let (arn, _) = master_secret(&tenant).await;
    let mut server = tenant.server();
    server["spec"]["source"] = json!({"type": "Static", "static": {
        "accountId": ACCOUNT, "resourceId": resource_id(tenant.database), "engine": "mysql",
        "writer": {"host": tenant.world.host(tenant.database), "port": 3306}}});
    server["spec"]["admin"] = json!({"type": "SecretsManager", "secretsManager": {"arn": arn}});
    tenant.apply_server(server).await;
    tenant.server_reason("True", "Ready").await;
    tenant.ready_pair("app", "app").await;
    tenant.log_in("app", "SELECT 1").await.expect("login");
    tenant.close().await;
}

#[tokio::test]
async fn only_a_secret_that_says_so_is_read_as_an_administrators_login() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Billing, "secretref").await;
    let (_, login) = master_secret(&tenant).await;
    let secrets = Api::<Secret>::namespaced(tenant.client.clone(), OPERATOR_NAMESPACE);
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": tenant.name},
        "stringData": {"username": login["username"], "password": login["password"]}});
    let parameters = PatchParams::apply("test").force();
    secrets.patch(&tenant.name, &parameters, &Patch::Apply(&secret)).await.expect("create Secret");
    let mut server = tenant.server();
    server["spec"]["admin"] = json!({"type": "SecretRef", "secretRef": {"name": tenant.name}});
    tenant.apply_server(server).await;
    let message = tenant.server_reason("False", "AdminSecretUnreadable").await;
    assert!(message.contains("iamdb.dev/admin-credentials=true"), "{message}");

    let label = json!({"metadata": {"labels": {"iamdb.dev/admin-credentials": "true"}}});
    secrets.patch(&tenant.name, &PatchParams::default(), &Patch::Merge(&label)).await.expect("label");
    tenant.server_reason("True", "Ready").await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    let name = tenant.name.clone();
    tenant.close().await;
    secrets.delete(&name, &DeleteParams::default()).await.expect("delete Secret");
}

#[tokio::test]
async fn the_operator_logs_in_with_tokens_of_its_own_and_protects_that_login_on_mysql() {
    the_operator_logs_in_with_tokens_of_its_own_and_protects_that_login(Database::Orders, "mysql").await;
}

#[tokio::test]
async fn the_operator_logs_in_with_tokens_of_its_own_and_protects_that_login_on_mariadb() {
    the_operator_logs_in_with_tokens_of_its_own_and_protects_that_login(Database::Billing, "mariadb").await;
}

/// The login and its rights are those that `iamdb admin-sql` and `iamdb policy` print, and nothing more: that they are enough is what is tested.
async fn the_operator_logs_in_with_tokens_of_its_own_and_protects_that_login(database: Database, engine: &str) {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(database, "iamadmin").await;
    let login = tenant.username("iamdb");
    let ceiling = format!("{}:SELECT,INSERT", database.identifier());
    let arguments = ["admin-sql", "--engine", engine, "--username", &login, "--grant", &ceiling];
    let sql = tenant.world.iamdb(&arguments).expect("statements");
    tenant.world.root_sql(database, &sql);
    let id = resource_id(database);
    let policy = ["policy", "--user", &login, "--resource-id", id, "--region", "us-east-1", "--account", ACCOUNT];
    let put = tenant.iam.put_user_policy().user_name("iamdb-operator").policy_name(&tenant.name);
    let document = tenant.world.iamdb(&policy).expect("a policy");
    put.policy_document(document).send().await.expect("policy of the operator");

    let mut server = tenant.server();
    server["spec"]["admin"] = json!({"type": "Iam", "iam": {"username": login}});
    tenant.apply_server(server).await;
    tenant.server_reason("True", "Ready").await;
    tenant.ready_pair("app", "app").await;
    tenant.log_in("app", "SELECT 1").await.expect("login");

    who_runs_something_is_locked_and_not_dropped(&tenant).await;
    what_cannot_be_taken_away_keeps_nothing_else(&tenant).await;

    let mut own = tenant.user("own");
    own["spec"]["username"] = json!(login);
    tenant.apply::<IamDbUser>(own).await;
    let message = tenant.user_reason("own", "False", "Protected").await;
    assert!(message.contains("spec.username"), "{message}");

    // Nor through another DbServer that names the same database.
    let second = format!("{}-second", tenant.name);
    let mut server = tenant.server();
    server["metadata"]["name"] = json!(second);
    tenant.apply_server(server).await;
    let mut through = tenant.user("through");
    through["spec"]["serverRef"] = json!({"name": second});
    through["spec"]["username"] = json!(login);
    through["spec"]["management"] = json!({"account": "External"});
    tenant.apply::<IamDbUser>(through).await;
    let message = tenant.user_reason("through", "False", "Protected").await;
    assert!(message.contains("spec.username"), "{message}");
    tenant.delete(tenant.users(), "through").await;
    tenant.delete(tenant.servers(), &second).await;

    let mut beyond = tenant.user("beyond");
    beyond["spec"]["grants"][0]["privileges"] = json!(["DELETE"]);
    tenant.apply::<IamDbUser>(beyond).await;
    tenant.user_reason("beyond", "False", "AdminLacksPrivilege").await;

    let (iam, world, name) = (tenant.iam.clone(), tenant.world, tenant.name.clone());
    // The operator's login is no account of the tenant's, though it ends like one.
    tenant.delete(tenant.users(), "own").await;
    tenant.close().await;
    iam.delete_user_policy().user_name("iamdb-operator").policy_name(name).send().await.expect("delete policy");
    world.root_sql(database, &format!("DROP USER '{login}'@'%'"));
}

/// It sees whose view or event it is, and ends sessions.
async fn who_runs_something_is_locked_and_not_dropped(tenant: &Tenant) {
    let (database, app) = (tenant.database, tenant.username("app"));
    let name = format!("{}.owned_{app}", database.identifier());
    for (kind, what) in [("VIEW", "AS SELECT 1"), ("EVENT", "ON SCHEDULE EVERY 1 DAY DO SELECT 1")] {
        tenant.world.root_sql(database, &format!("CREATE DEFINER = '{app}'@'%' {kind} {name} {what}"));
        let sleeper = crate::endings::Sleeper::new(tenant).await;
        tenant.delete(tenant.users(), "app").await;
        assert_ne!(tenant.account(&app), "", "{kind}: it is locked and not dropped");
        crate::endings::all_have_ended(tenant).await;
        drop(sleeper);
        tenant.world.root_sql(database, &format!("DROP {kind} {name}"));
        tenant.apply::<IamDbUser>(tenant.user("app")).await;
        tenant.user_ready("app").await;
        tenant.token_ready("app").await;
    }
}

/// One right that it may not revoke stays, and no other with it.
async fn what_cannot_be_taken_away_keeps_nothing_else(tenant: &Tenant) {
    let (database, schema) = (tenant.database, tenant.database.identifier());
    let account = format!("'{}'@'%'", tenant.username("app"));
    tenant.world.root_sql(database, &format!("GRANT INSERT, TRIGGER ON {schema}.* TO {account}"));
    tenant.look_at("app").await;
    tenant.user_reason("app", "False", "AdminLacksPrivilege").await;
    let grants = tenant.world.root_sql(database, &format!("SHOW GRANTS FOR {account}"));
    assert!(!grants.contains("INSERT") && grants.contains("TRIGGER"), "{grants}");
    tenant.world.root_sql(database, &format!("REVOKE TRIGGER ON {schema}.* FROM {account}"));
    tenant.look_at("app").await;
    tenant.user_ready("app").await;
}

/// A login by which accounts can be made and little else, what it is given beyond that, and what is told then of roles and of sessions.
async fn what_the_administrator_may_do_is_told(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(database, "may").await;
    let (login, role) = (tenant.username("may"), tenant.username("role"));
    let root = |sql: &str| {
        let sql = sql.replace("LOGIN", &format!("'{login}'@'%'")).replace("ROLE_NAME", &role);
        tenant.world.root_sql(database, &sql)
    };
    root("CREATE USER LOGIN IDENTIFIED BY 'a password'; CREATE ROLE ROLE_NAME");
    root("GRANT CREATE USER, PROCESS ON *.* TO LOGIN; GRANT SELECT ON mysql.* TO LOGIN");
    let secrets = admin_secret(&tenant, &json!({"username": login, "password": "a password"})).await;
    let mut server = tenant.server();
    server["spec"]["admin"] = json!({"type": "SecretRef", "secretRef": {"name": tenant.name}});
    tenant.apply_server(server).await;
    tenant.server_reason("True", "Ready").await;

    // MariaDB keeps default roles in a table that whoever sets them must be allowed to change.
    let is_mysql = database == Database::Orders;
    let mut steps = vec![
        ("DO 1", false, false),
        ("GRANT ROLE_NAME TO LOGIN", false, false),
        ("GRANT ROLE_NAME TO LOGIN WITH ADMIN OPTION", is_mysql, false),
        ("GRANT UPDATE ON mysql.* TO LOGIN", true, false),
        ("GRANT EXECUTE ON PROCEDURE mysql.rds_kill TO LOGIN", true, true),
        ("REVOKE ROLE_NAME FROM LOGIN", false, true),
        ("REVOKE EXECUTE ON PROCEDURE mysql.rds_kill FROM LOGIN", false, false),
    ];
    if is_mysql {
        let through = "GRANT ROLE_ADMIN, CONNECTION_ADMIN ON *.* TO ROLE_NAME; GRANT ROLE_NAME TO LOGIN";
        steps.extend([(through, false, false), ("SET DEFAULT ROLE ROLE_NAME TO LOGIN", true, true)]);
    } else {
        steps.push(("GRANT CONNECTION ADMIN ON *.* TO LOGIN", false, true));
    }
    for (change, roles, sessions) in steps {
        root(change);
        tenant.look_at_server().await;
        until(&format!("{change}: it is told"), SOON, || async {
            let status = tenant.servers().get(&tenant.name).await.expect("DbServer").status.unwrap_or_default();
            let told = status.capabilities.map(|it| (it.roles, it.end_sessions));
            (told == Some((Some(roles), Some(sessions)))).then_some(())
        })
        .await;
    }
    root("DROP USER LOGIN; DROP ROLE ROLE_NAME");
    secrets.delete(&tenant.name, &DeleteParams::default()).await.expect("delete Secret");
    tenant.close().await;
}
