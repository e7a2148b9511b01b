//! The operator's own login with what it publishes, and the identities beside ServiceAccounts.

use iamdb::api::{DbAuthToken, IamDbUser};
use serde_json::json;

use crate::tenant::{ACCOUNT, Tenant};
use crate::world::{Database, World};

on_both!(a_login_is_verified_at_the_signed_endpoint_and_tells_the_cipher,);

async fn a_login_is_verified_at_the_signed_endpoint_and_tells_the_cipher(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "verify").await;
    let mut user = tenant.user("app");
    user["spec"]["principals"] = json!({});
    tenant.apply::<IamDbUser>(user).await;
    let mut token = tenant.token("app", "app");
    token["spec"]["verifyLogin"] = json!("OnCreate");
    tenant.apply::<DbAuthToken>(token).await;
    tenant.user_ready("app").await;
    // Nobody may connect as the account yet. That keeps no token from being published.
    tenant.token_condition("app", "LoginVerified", "Unknown", "IamPropagating").await;
    tenant.token_ready("app").await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let message = tenant.token_condition("app", "LoginVerified", "True", "Ready").await;
    assert!(message.contains(tenant.world.host(database)) && message.contains(" with TLS_AES_"), "{message}");
    tenant.close().await;
}

#[tokio::test]
async fn the_operator_signs_as_itself_for_the_accounts_that_a_rule_lists_alone() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "itself").await;
    let mut server = tenant.server();
    server["spec"]["tenancy"][0]["operatorIdentity"] = json!({"usernames": [tenant.username("batch")]});
    tenant.apply_server(server).await;
    for name in ["batch", "other"] {
        tenant.apply::<IamDbUser>(tenant.user(name)).await;
        let mut token = tenant.token(name, name);
        token["spec"]["identity"] = json!({"type": "Operator"});
        tenant.apply::<DbAuthToken>(token).await;
    }
    let allowed = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "rds-db:connect",
        "Resource": format!("arn:aws:rds-db:us-east-1:{ACCOUNT}:dbuser:*/{}", tenant.username("batch"))}]});
    let (operator, policy) = ("iamdb-operator", tenant.name.clone());
    let put =
        tenant.iam.put_user_policy().user_name(operator).policy_name(&policy).policy_document(allowed.to_string());
    put.send().await.expect("put user policy");
    let message = tenant.token_reason("other", "False", "NotAllowed").await;
    assert!(message.contains("spec.identity.type: Operator"), "{message}");
    tenant.user_ready("batch").await;
    tenant.token_ready("batch").await;
    tenant.log_in("batch", "SELECT 1").await.expect("login");
    let status = tenant.tokens().get("batch").await.expect("get").status.expect("status");
    assert_eq!(status.principal_arn, None);
    tenant.iam.delete_user_policy().user_name(operator).policy_name(&policy).send().await.expect("delete user policy");
    tenant.close().await;
}

#[tokio::test]
async fn a_service_accounts_role_assumes_another_one_to_sign_with() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Billing, "chain").await;
    let cluster = tenant.cluster_id().await;
    let second = format!("{}-db", tenant.name);
    let trust = json!({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"AWS": tenant.role_arn(&tenant.name)},
        "Condition": {"StringEquals": {"sts:ExternalId": format!("{cluster}/{}", tenant.name)}}}]});
    tenant.create_role_with(&second, &trust).await;
    let mut user = tenant.user("app");
    user["spec"]["principals"] = json!({"arns": [tenant.role_arn(&second)]});
    tenant.apply::<IamDbUser>(user).await;
    for (name, role) in [("app", second.clone()), ("outside", "somebody-elses".to_owned())] {
        let mut token = tenant.token(name, "app");
        token["spec"]["identity"]["serviceAccount"]["thenAssume"] = json!(tenant.role_arn(&role));
        tenant.apply::<DbAuthToken>(token).await;
    }
    tenant.token_reason("outside", "False", "NotAllowed").await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    tenant.log_in("app", "SELECT 1").await.expect("login");
    let status = tenant.tokens().get("app").await.expect("get").status.expect("status");
    assert_eq!(status.principal_arn, Some(tenant.role_arn(&second)));
    tenant.close().await;
}

#[tokio::test]
async fn the_command_line_signs_what_the_independent_signer_signs() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "cli").await;
    let run = |args: &[&str]| tenant.world.iamdb(&[&["token"], args].concat());
    let host = tenant.world.host(Database::Orders);
    let ours = ["--hostname", host, "--port", "3306", "--username", "a.b", "--region", "us-east-1"];
    let token = run(&[&ours[..], &["--expires-at"]].concat()).expect("a token");
    let (token, rest) = token.split_once('\n').expect("two lines");
    let end: jiff::Timestamp = rest.trim().parse().expect("an instant");
    assert!(token.starts_with(&format!("{host}:3306/?Action=connect&DBUser=a.b&")), "no token");
    let instant = token.split("X-Amz-Date=").nth(1).and_then(|rest| rest.split('&').next()).expect("an instant");
    let signed = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", instant).expect("an instant");
    let signed = signed.to_zoned(jiff::tz::TimeZone::UTC).expect("UTC").timestamp();
    assert_eq!(end.duration_since(signed), jiff::SignedDuration::from_secs(870));
    // The world's own signer, which shares no code with ours, is told the same instant.
    let at = signed.to_string();
    let mut mint = tenant.world.command("mint");
    let theirs = mint.args(["--host", host, "--user", "a.b", "--region", "us-east-1", "--at", &at]);
    let theirs = theirs.output().expect("mint");
    assert_eq!(String::from_utf8_lossy(&theirs.stdout).trim(), token);
    let message = run(&["--hostname", "db.example.com", "--port", "3306", "--username", "a", "--region", "us-east-1"]);
    assert!(message.expect_err("no endpoint").contains("db.example.com is not an endpoint of RDS"));
    tenant.close().await;
}
