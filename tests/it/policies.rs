//! Policies in IAM: shared, repaired, taken back, and never somebody else's.

use std::time::Duration;

use iamdb::api::IamDbUser;
use serde_json::{Value, json};

use crate::tenant::{ACCOUNT, Tenant};
use crate::world::{Database, SOON, World, until};

/// The only policy that is attached to the tenant's role.
async fn only_policy(tenant: &Tenant) -> String {
    let attached = tenant.attached(&tenant.role_arn(&tenant.name)).await;
    let [policy] = attached.as_slice() else { panic!("one policy, not {attached:?}") };
    policy.clone()
}

fn allowing(resource: &str) -> Value {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "rds-db:connect", "Resource": [resource]}]})
}

#[tokio::test]
async fn users_of_one_principal_share_a_document_and_leave_it_one_by_one() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "share").await;
    let names = ["a", "b", "c"];
    for name in names {
        tenant.apply::<IamDbUser>(tenant.user(name)).await;
    }
    for name in names {
        tenant.user_ready(name).await;
    }
    let (path, name) = tenant.policy_name(&tenant.role_arn(&tenant.name)).await;
    let policy = only_policy(&tenant).await;
    assert_eq!(policy, format!("arn:aws:iam::{ACCOUNT}:policy{path}{name}"));
    let mut resources = Vec::new();
    for name in names {
        resources.push(tenant.resource(&tenant.username(name)).await);
    }
    assert_eq!(tenant.allowed(&tenant.name).await, resources);
    let tags = tenant.iam.list_policy_tags().policy_arn(&policy).send().await.expect("tags").tags;
    assert!(tags.iter().any(|tag| tag.key() == "iamdb.dev/cluster"), "{tags:?}");

    tenant.delete(tenant.users(), "b").await;
    resources.remove(1);
    assert_eq!(tenant.allowed(&tenant.name).await, resources);
    for name in ["a", "c"] {
        tenant.delete(tenant.users(), name).await;
    }
    assert_eq!(tenant.attached(&tenant.role_arn(&tenant.name)).await, Vec::<String>::new());
    assert_eq!(tenant.document(&policy).await, None, "the policy itself is gone");
    tenant.close().await;
}

#[tokio::test]
async fn a_policy_of_our_name_that_is_not_ours_is_not_touched() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Billing, "foreign").await;
    let (path, name) = tenant.policy_name(&tenant.role_arn(&tenant.name)).await;
    let theirs = allowing("arn:aws:rds-db:us-east-1:123456789012:dbuser:db-THEIRS/theirs");
    let create = tenant.iam.create_policy().policy_name(name).path(path).policy_document(theirs.to_string());
    let policy = create.send().await.expect("create policy").policy.and_then(|it| it.arn).expect("ARN");
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let message = tenant.user_reason("app", "False", "ForeignPolicy").await;
    assert!(message.contains(&policy), "{message}");
    assert_eq!(tenant.attached(&tenant.role_arn(&tenant.name)).await, Vec::<String>::new());
    tenant.delete(tenant.users(), "app").await;
    assert_eq!(tenant.document(&policy).await, Some(theirs));
    let versions = tenant.iam.list_policy_versions().policy_arn(&policy).send().await.expect("versions").versions;
    assert_eq!(versions.unwrap_or_default().len(), 1);
    tenant.iam.delete_policy().policy_arn(&policy).send().await.expect("delete policy");
    tenant.close().await;
}

#[tokio::test]
async fn a_user_goes_although_its_role_went_before_and_others_still_list_it() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "role-gone").await;
    for name in ["goes", "stays"] {
        tenant.apply::<IamDbUser>(tenant.user(name)).await;
    }
    for name in ["goes", "stays"] {
        tenant.user_ready(name).await;
    }
    let policy = only_policy(&tenant).await;
    tenant.delete_role().await;
    tenant.delete(tenant.users(), "goes").await;
    assert_eq!(tenant.account(&tenant.username("goes")), "");
    let left = allowing(&tenant.resource(&tenant.username("stays")).await);
    assert_eq!(tenant.document(&policy).await, Some(left));
    tenant.look_at("stays").await;
    tenant.user_reason("stays", "False", "PrincipalNotFound").await;
    tenant.delete(tenant.users(), "stays").await;
    assert_eq!(tenant.document(&policy).await, None);
    tenant.close().await;
}

#[tokio::test]
async fn what_somebody_changes_in_iam_is_put_right() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "changed").await;
    tenant.ready_pair("app", "app").await;
    let (role, policy) = (tenant.role_arn(&tenant.name), only_policy(&tenant).await);
    let wanted = [tenant.resource(&tenant.username("app")).await];
    // More changes than a policy may have versions.
    for round in 0..5 {
        let versions = tenant.iam.list_policy_versions().policy_arn(&policy).send().await.expect("versions").versions;
        let versions = versions.unwrap_or_default();
        if let Some(old) = versions.iter().find(|it| versions.len() == 5 && !it.is_default_version()) {
            let delete = tenant.iam.delete_policy_version().policy_arn(&policy);
            delete.set_version_id(old.version_id.clone()).send().await.expect("delete version");
        }
        let wide = allowing("arn:aws:rds-db:us-east-1:123456789012:dbuser:*/*").to_string();
        let create = tenant.iam.create_policy_version().policy_arn(&policy).policy_document(wide);
        create.set_as_default(true).send().await.unwrap_or_else(|error| panic!("round {round}: {error:?}"));
        tenant.look_at("app").await;
        let repaired = || async { (tenant.allowed(&tenant.name).await == wanted).then_some(()) };
        until("the document is as it was", SOON, repaired).await;
    }
    tenant.iam.detach_role_policy().role_name(&tenant.name).policy_arn(&policy).send().await.expect("detach");
    tenant.look_at("app").await;
    until("the policy is attached again", SOON, || async {
        (tenant.attached(&role).await == [policy.clone()]).then_some(())
    })
    .await;
    tenant.log_in("app", "SELECT 1").await.expect("login");
    tenant.delete(tenant.users(), "app").await;
    assert_eq!(tenant.document(&policy).await, None, "versions and all");
    tenant.close().await;
}

#[tokio::test]
async fn who_left_the_spec_is_shut_out_although_the_account_cannot_be_made() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Billing, "parted").await;
    let [left, new] = ["left", "new"].map(|role| format!("{}-{role}", tenant.name));
    let arn = |role: &str| tenant.role_arn(role);
    let mut user = tenant.user("app");
    for role in [&left, &new] {
        tenant.create_role(role, "app").await;
    }
    user["spec"]["principals"] = json!({"arns": [arn(&tenant.name), arn(&left)]});
    tenant.apply::<IamDbUser>(user.clone()).await;
    tenant.user_ready("app").await;
    let resources = [tenant.resource(&tenant.username("app")).await];
    assert_eq!(tenant.allowed(&left).await, resources);

    let mut server = tenant.server();
    server["spec"]["admin"] = json!({"type": "SecretRef", "secretRef": {"name": tenant.name}}); // there is none
    tenant.apply_server(server).await;
    tenant.server_reason("False", "AdminSecretUnreadable").await;
    user["spec"]["principals"]["arns"] = json!([arn(&tenant.name), arn(&new)]);
    user["spec"]["grants"][0]["privileges"] = json!(["SELECT", "INSERT"]); // or nothing would be asked of the database
    tenant.apply::<IamDbUser>(user).await;
    let principals = || async {
        let status = tenant.users().get("app").await.expect("IamDbUser").status.unwrap_or_default();
        status.attachments.into_iter().map(|it| it.principal).collect::<Vec<_>>()
    };
    until("the status forgets who left", SOON, || async { (!principals().await.contains(&arn(&left))).then_some(()) })
        .await;
    assert_eq!(tenant.attached(&arn(&left)).await, Vec::<String>::new());
    assert_eq!(tenant.allowed(&tenant.name).await, resources, "who stays is let in as before");
    tenant.user_reason("app", "False", "AdminSecretUnreadable").await;
    assert_eq!(tenant.attached(&arn(&new)).await, Vec::<String>::new(), "nobody is let in to what is not there yet");

    tenant.apply_server(tenant.server()).await;
    tenant.user_ready("app").await;
    assert_eq!(tenant.allowed(&new).await, resources);
    tenant.delete(tenant.users(), "app").await;
    for role in [&tenant.name, &new] {
        assert_eq!(tenant.attached(&arn(role)).await, Vec::<String>::new());
    }
    tenant.close().await;
}

#[tokio::test]
async fn users_and_groups_of_iam_are_let_in_and_shut_out() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "kinds").await;
    let (iam, name) = (&tenant.iam, tenant.name.as_str());
    let key = iam.create_user().user_name(name).send().await;
    key.expect("create user");
    iam.create_group().group_name(name).send().await.expect("create group");
    iam.add_user_to_group().user_name(name).group_name(name).send().await.expect("add to group");
    let key = iam.create_access_key().user_name(name).send().await.expect("key").access_key.expect("key");
    let principal = |kind: &str| format!("arn:aws:iam::{ACCOUNT}:{kind}/{name}");
    let username = tenant.username("app");
    let log_in = || async {
        let more = ["--access-key-id", key.access_key_id(), "--secret-access-key", key.secret_access_key()];
        let option_file = tenant.option_file(&username, &tenant.mint(&username, &more).await);
        let from = tenant.world.log_end("WORLD_AUTH_LOG");
        let _ = tenant.world.client_sql(tenant.database, &option_file, "SELECT 1");
        tenant.login_reason(&username, from)
    };
    let wanted = [tenant.resource(&username).await];
    let apply = async |kinds: &[&str]| {
        let mut user = tenant.user("app");
        user["spec"]["principals"] = json!({"arns": kinds.iter().map(|kind| principal(kind)).collect::<Vec<_>>()});
        tenant.apply::<IamDbUser>(user).await;
        tenant.user_ready("app").await;
    };
    apply(&["user"]).await;
    assert_eq!(tenant.allowed_to(&principal("user")).await, wanted);
    assert_eq!(log_in().await, "accepted");
    apply(&["group"]).await;
    assert_eq!(tenant.attached(&principal("user")).await, Vec::<String>::new());
    assert_eq!(tenant.allowed_to(&principal("group")).await, wanted);
    assert_eq!(log_in().await, "accepted");
    apply(&[]).await;
    assert_eq!(tenant.attached(&principal("group")).await, Vec::<String>::new());
    assert_eq!(log_in().await, "policy-denies");
    tenant.close().await;
}

#[tokio::test]
async fn an_unchanged_policy_is_not_written_again() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Billing, "still").await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    let policy = only_policy(&tenant).await;
    let version = || async {
        let policy = tenant.iam.get_policy().policy_arn(&policy).send().await.expect("get policy").policy;
        policy.and_then(|policy| policy.default_version_id)
    };
    let before = version().await;
    for _ in 0..3 {
        tenant.look_at("app").await;
        tokio::time::sleep(Duration::from_millis(700)).await;
    }
    assert_eq!(version().await, before);
    tenant.close().await;
}
