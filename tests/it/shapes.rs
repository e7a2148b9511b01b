//! The four shapes of AWS's page, had by applying resources alone, and judged by the server's own plugin: for roles, users and groups.

use iamdb::api::IamDbUser;
use serde_json::json;

use crate::tenant::{ACCOUNT, Tenant};
use crate::world::{Database, SOON, World, until};

on_both! { each_shape_lets_in_whom_it_names_and_nobody_else, }

#[tokio::test]
async fn each_shape_lets_in_whom_it_names_and_nobody_else_in_a_cluster() {
    each_shape_lets_in_whom_it_names_and_nobody_else(Database::Ledger).await;
}

/// A principal, and how the independent signer signs as it.
struct Signer {
    arn: String,
    mint: Vec<String>,
}

impl Signer {
    /// The tenant's role, by the token of its ServiceAccount.
    fn role(tenant: &Tenant) -> Self {
        Self { arn: tenant.role_arn(&tenant.name), mint: Vec::new() }
    }

    /// A user of IAM, and a group that it is in: `arn` is of the one that policies are attached to.
    async fn user(tenant: &Tenant, kind: &str) -> Self {
        let (iam, name) = (&tenant.iam, format!("{}-{kind}", tenant.name));
        iam.create_user().user_name(&name).send().await.expect("create user");
        if kind == "group" {
            iam.create_group().group_name(&name).send().await.expect("create group");
            iam.add_user_to_group().user_name(&name).group_name(&name).send().await.expect("add to group");
        }
        let key = iam.create_access_key().user_name(&name).send().await.expect("key").access_key.expect("key");
        let mint = ["--access-key-id", key.access_key_id(), "--secret-access-key", key.secret_access_key()];
        Self { arn: format!("arn:aws:iam::{ACCOUNT}:{kind}/{name}"), mint: mint.map(str::to_owned).into() }
    }

    /// What the server says of a login as this account.
    async fn log_in(&self, tenant: &Tenant, account: &str) -> String {
        let username = tenant.username(account);
        let more: Vec<&str> = self.mint.iter().map(String::as_str).collect();
        let option_file = tenant.option_file(&username, &tenant.mint(&username, &more).await);
        let from = tenant.world.log_end("WORLD_AUTH_LOG");
        let _ = tenant.world.client_sql(tenant.database, &option_file, "SELECT 1");
        tenant.login_reason(&username, from)
    }

    async fn log_in_as_both(&self, tenant: &Tenant) -> [String; 2] {
        [self.log_in(tenant, "one").await, self.log_in(tenant, "two").await]
    }
}

const IN: &str = "accepted";
const OUT: &str = "policy-denies";

async fn each_shape_lets_in_whom_it_names_and_nobody_else(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(database, "shapes").await;
    let server = || {
        let mut server = tenant.server();
        server["spec"]["tenancy"][0]["allowAccountRegionScope"] = json!(true);
        server
    };
    tenant.apply_server(server()).await;
    let apply = async |name: &str, scope: &str, principals: &[&Signer]| {
        let mut user = tenant.user(name);
        user["spec"]["scope"] = json!(scope);
        user["spec"]["principals"] = json!({"arns": principals.iter().map(|it| &it.arn).collect::<Vec<_>>()});
        tenant.apply::<IamDbUser>(user).await;
        tenant.user_ready(name).await;
    };
    let signers = [Signer::role(&tenant), Signer::user(&tenant, "user").await, Signer::user(&tenant, "group").await];
    for signer in &signers {
        let who = &signer.arn;
        // One user.
        apply("two", "Server", &[]).await;
        apply("one", "Server", &[signer]).await;
        assert_eq!(tenant.allowed_to(who).await, [tenant.resource(&tenant.username("one")).await]);
        assert_eq!(signer.log_in_as_both(&tenant).await, [IN, OUT], "{who}: one user");
        // Several users.
        apply("two", "Server", &[signer]).await;
        assert_eq!(tenant.attached(who).await.len(), 1, "both in one document");
        assert_eq!(signer.log_in_as_both(&tenant).await, [IN, IN], "{who}: both users");
        // That name on every server.
        apply("two", "Server", &[]).await;
        apply("one", "AccountRegion", &[signer]).await;
        let everywhere = format!("arn:aws:rds-db:us-east-1:{ACCOUNT}:dbuser:*/{}", tenant.username("one"));
        assert_eq!(tenant.allowed_to(who).await, [everywhere]);
        assert_eq!(signer.log_in_as_both(&tenant).await, [IN, OUT], "{who}: one name everywhere");
        apply("one", "Server", &[]).await;
        assert_eq!(signer.log_in_as_both(&tenant).await, [OUT, OUT], "{who}: nobody");
        // Every account, of this server and of all servers of the account and Region: the platform team's alone.
        for (scope, named) in [
            ("Server", tenant.resource("*").await),
            ("AccountRegion", format!("arn:aws:rds-db:us-east-1:{ACCOUNT}:dbuser:*/*")),
        ] {
            let mut full = server();
            full["spec"]["policy"] = json!({"fullAccess": {"scope": scope, "principals": [who]}});
            tenant.apply_server(full).await;
            tenant.server_condition("PolicyReady", "True", "Ready").await;
            assert_eq!(tenant.allowed_to(who).await, [named]);
            assert_eq!(signer.log_in_as_both(&tenant).await, [IN, IN], "{who}: every account, {scope}");
        }
        tenant.apply_server(server()).await;
        let is_away = || async { tenant.attached(who).await.is_empty().then_some(()) };
        until("full access is taken back", SOON, is_away).await;
        assert_eq!(signer.log_in_as_both(&tenant).await, [OUT, OUT], "{who}: nobody any more");
    }
    tenant.close().await;
}

#[tokio::test]
async fn full_access_goes_with_its_server_and_is_refused_to_strangers() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "full").await;
    let role = tenant.role_arn(&tenant.name);
    let full = |principal: &str| {
        let mut server = tenant.server();
        server["spec"]["policy"] = json!({"fullAccess": {"principals": [principal]}});
        server
    };
    let stranger = "arn:aws:iam::999999999999:role/other";
    tenant.apply_server(full(stranger)).await;
    let message = tenant.server_reason("False", "PrincipalAccountMismatch").await;
    assert!(message.contains(stranger), "{message}");
    tenant.apply_server(full(&tenant.role_arn("nobody-has-this-role"))).await;
    tenant.server_reason("False", "PrincipalNotFound").await;
    tenant.apply_server(full(&role)).await;
    tenant.server_reason("True", "Ready").await;
    // A user of the same role shares its document, and leaves full access as it is.
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    let both = [tenant.resource("*").await, tenant.resource(&tenant.username("app")).await];
    assert_eq!(tenant.allowed(&tenant.name).await, both);
    tenant.delete(tenant.users(), "app").await;
    assert_eq!(tenant.allowed(&tenant.name).await, both[..1]);
    // Who comes in its place can have no policy: it loses its own all the same, and whoever stands beside gets his.
    let beside = format!("{}-beside", tenant.name);
    tenant.create_role(&beside, "beside").await;
    let beside = tenant.role_arn(&beside);
    let mut server = full(stranger);
    server["spec"]["policy"]["fullAccess"]["principals"] = json!([stranger, beside]);
    tenant.apply_server(server).await;
    tenant.server_reason("False", "PrincipalAccountMismatch").await;
    until("the former one's is taken away", SOON, || async { tenant.attached(&role).await.is_empty().then_some(()) })
        .await;
    until("the other one's is given", SOON, || async { (tenant.allowed_to(&beside).await == both[..1]).then_some(()) })
        .await;
    tenant.apply_server(full(&role)).await;
    tenant.server_reason("True", "Ready").await;
    assert_eq!(tenant.attached(&beside).await, Vec::<String>::new());
    let policy = tenant.attached(&role).await.remove(0);
    tenant.delete(tenant.servers(), &tenant.name).await;
    assert_eq!(tenant.attached(&role).await, Vec::<String>::new());
    assert_eq!(tenant.document(&policy).await, None, "nothing is left");
    tenant.close().await;
}

/// A proxy that logs in by IAM itself: the client needs the right to connect to it, and its role the right to connect behind it.
#[tokio::test]
async fn through_a_proxy_client_and_proxy_are_let_in_each_by_its_own_right() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "through").await;
    let (host, ca) = (tenant.world.var("WORLD_ORDERS_PROXY_HOST"), tenant.world.var("WORLD_PROXY_CA"));
    let proxies_role = tenant.role_arn("orders-proxy");
    let server = |grants_role: bool| {
        let mut server = tenant.server();
        server["spec"]["proxies"] = json!([{"name": "app", "identifier": "orders-proxy"}]);
        server["spec"]["policy"] = json!({"grantProxyRoles": grants_role});
        server
    };
    let username = tenant.username("app");
    let log_in = async || {
        let option_file = tenant.option_file_for(host, ca, &username, &tenant.mint(&username, &["--host", host]).await);
        let from = tenant.world.log_end("WORLD_AUTH_LOG");
        let _ = tenant.world.client_sql(tenant.database, &option_file, "SELECT 1");
        tenant.login_reason(&username, from)
    };
    tenant.apply_server(server(false)).await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    let at_proxy = format!("arn:aws:rds-db:us-east-1:{ACCOUNT}:dbuser:prx-0orders0000000001/{username}");
    let at_instance = tenant.resource(&username).await;
    assert_eq!(tenant.allowed(&tenant.name).await, [at_instance.clone(), at_proxy]);
    assert_eq!(log_in().await, "proxy-role-denied");
    tenant.apply_server(server(true)).await;
    until("the proxy's role may connect", SOON, || async { (log_in().await == IN).then_some(()) }).await;
    assert_eq!(tenant.allowed_to(&proxies_role).await, std::slice::from_ref(&at_instance));
    let mut user = tenant.user("app");
    user["spec"]["includeProxies"] = json!(false);
    tenant.apply::<IamDbUser>(user).await;
    until("only the instance is left", SOON, || async { (log_in().await == OUT).then_some(()) }).await;
    assert_eq!(tenant.allowed(&tenant.name).await, [at_instance]);
    tenant.close().await;
}
