//! What others change in IAM: put right by the calls that it takes and no others, or told. And what IAM itself refuses.

use std::time::Duration;

use iamdb::api::{IamDbUser, IamDbUserStatus};
use kube::ResourceExt;
use kube::api::ListParams;
use serde_json::json;

use crate::aws::Fault;
use crate::effects::Since;
use crate::tenant::{ACCOUNT, Tenant};
use crate::world::{Database, SOON, World, until};

fn allowing(resource: &str) -> String {
    json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "rds-db:connect", "Resource": [resource]}]})
    .to_string()
}

fn everything() -> String {
    allowing(&format!("arn:aws:rds-db:us-east-1:{ACCOUNT}:dbuser:*/*"))
}

/// What the operator changed in IAM since then.
fn changes(since: &Since, world: &World) -> Vec<String> {
    since.writes(world).into_iter().filter(|line| line.starts_with("iam:")).collect()
}

/// The tenant's only policy, and the hands to break it with.
struct Victim<'t> {
    tenant: &'t Tenant,
    policy: String,
    allowed: Vec<String>,
}

impl Victim<'_> {
    async fn versions(&self) -> Vec<aws_sdk_iam::types::PolicyVersion> {
        let call = self.tenant.iam.list_policy_versions().policy_arn(&self.policy);
        call.send().await.expect("versions").versions.unwrap_or_default()
    }

    async fn write(&self, document: String, as_default: bool) {
        let call = self.tenant.iam.create_policy_version().policy_arn(&self.policy).policy_document(document);
        call.set_as_default(as_default).send().await.expect("create version");
    }

    async fn detach(&self) {
        let call = self.tenant.iam.detach_role_policy().role_name(&self.tenant.name).policy_arn(&self.policy);
        call.send().await.expect("detach");
    }

    /// With all that belongs to it, also what the operator attaches meanwhile.
    async fn delete(&self) {
        let (iam, policy) = (&self.tenant.iam, &self.policy);
        for version in self.versions().await.iter().filter(|it| !it.is_default_version()) {
            let delete = iam.delete_policy_version().policy_arn(policy);
            delete.set_version_id(version.version_id.clone()).send().await.expect("delete version");
        }
        until("the policy is deleted", SOON, || async {
            let _ = iam.detach_role_policy().role_name(&self.tenant.name).policy_arn(policy).send().await;
            iam.delete_policy().policy_arn(policy).send().await.ok()
        })
        .await;
    }

    async fn untag(&self, key: &str) {
        self.tenant.iam.untag_policy().policy_arn(&self.policy).tag_keys(key).send().await.expect("untag");
    }

    async fn tag(&self, key: &str, value: &str) {
        let tag = aws_sdk_iam::types::Tag::builder().key(key).value(value).build().expect("tag");
        self.tenant.iam.tag_policy().policy_arn(&self.policy).tags(tag).send().await.expect("tag");
    }

    async fn tag_of(&self, key: &str) -> Option<String> {
        let tags = self.tenant.iam.list_policy_tags().policy_arn(&self.policy).send().await.expect("tags").tags;
        tags.into_iter().find(|tag| tag.key == key).map(|tag| tag.value)
    }

    /// Asks for a look, waits until all is as it was, and tells what the operator did for it.
    async fn repaired(&self, what: &str) -> Vec<String> {
        let since = Since::now(self.tenant.world);
        self.tenant.look_at("app").await;
        until(&format!("{what} is put right"), SOON, || async {
            let is_right = self.tenant.allowed(&self.tenant.name).await == self.allowed
                && self.tag_of("team").await.as_deref() == Some("shop")
                && self.tag_of("iamdb.dev/principal").await.is_some();
            is_right.then_some(())
        })
        .await;
        self.settled(&since).await
    }

    /// What the operator does when it looks.
    async fn done(&self) -> Vec<String> {
        let since = Since::now(self.tenant.world);
        self.tenant.look_at("app").await;
        until("a look at the policy", SOON, || async {
            since.calls(self.tenant.world).iter().any(|it| it["action"] == "GetPolicy").then_some(())
        })
        .await;
        self.settled(&since).await
    }

    async fn settled(&self, since: &Since) -> Vec<String> {
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        changes(since, self.tenant.world)
    }
}

#[tokio::test]
async fn each_change_by_others_is_put_right_by_the_calls_that_it_takes() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::bare(Database::Orders, "drift").await;
    let mut server = tenant.server();
    server["spec"]["policy"] = json!({"tags": {"team": "shop"}});
    tenant.apply_server(server).await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    let role = tenant.role_arn(&tenant.name);
    let (policy, allowed) = (tenant.attached(&role).await.remove(0), tenant.allowed(&tenant.name).await);
    let victim = Victim { tenant: &tenant, policy: policy.clone(), allowed };
    assert_eq!(victim.done().await, Vec::<String>::new(), "nothing is written where nothing differs");

    victim.write(everything(), true).await;
    assert_eq!(victim.repaired("a document that was edited").await, ["iam:CreatePolicyVersion"]);
    // The second version is the one that was edited.
    tenant.iam.set_default_policy_version().policy_arn(&policy).version_id("v2").send().await.expect("set default");
    assert_eq!(victim.repaired("another default version").await, ["iam:CreatePolicyVersion"]);
    while victim.versions().await.len() < 5 {
        victim.write(everything(), true).await;
    }
    let calls = victim.repaired("a policy with five versions").await;
    assert_eq!(calls, ["iam:DeletePolicyVersion", "iam:CreatePolicyVersion"]);
    victim.detach().await;
    assert_eq!(victim.repaired("a policy that was detached").await, ["iam:AttachRolePolicy"]);
    victim.untag("iamdb.dev/principal").await;
    assert_eq!(victim.repaired("a mark that was taken away").await, ["iam:TagPolicy"]);
    victim.tag("team", "other").await;
    assert_eq!(victim.repaired("a tag that was changed").await, ["iam:TagPolicy"]);
    victim.untag("team").await;
    assert_eq!(victim.repaired("a tag that was taken away").await, ["iam:TagPolicy"]);

    // What is others' is left alone.
    let create =
        tenant.iam.create_policy().policy_name(format!("{}-theirs", tenant.name)).policy_document(everything());
    let theirs = create.send().await.expect("create").policy.and_then(|it| it.arn).expect("ARN");
    tenant.iam.attach_role_policy().role_name(&tenant.name).policy_arn(&theirs).send().await.expect("attach");
    let put = tenant.iam.put_role_policy().role_name(&tenant.name).policy_name("theirs");
    put.policy_document(everything()).send().await.expect("put");
    victim.tag("theirs", "x").await;
    assert_eq!(victim.done().await, Vec::<String>::new(), "others' policies and tags");
    tenant.iam.detach_role_policy().role_name(&tenant.name).policy_arn(&theirs).send().await.expect("detach");

    // Without its mark a policy is somebody else's, and is told rather than touched.
    let cluster = victim.tag_of("iamdb.dev/cluster").await.expect("mark");
    victim.untag("iamdb.dev/cluster").await;
    assert_eq!(victim.done().await, Vec::<String>::new(), "a policy without our mark");
    let message = tenant.user_reason("app", "False", "ForeignPolicy").await;
    assert!(message.contains(&policy), "{message}");
    victim.tag("iamdb.dev/cluster", &cluster).await;
    tenant.look_at("app").await;
    tenant.user_ready("app").await;

    // All of it goes, and comes again.
    victim.delete().await;
    tenant.look_at("app").await;
    until("the policy is made again", SOON, || async {
        (tenant.allowed(&tenant.name).await == victim.allowed).then_some(())
    })
    .await;
    let delete = tenant.iam.delete_role_policy().role_name(&tenant.name).policy_name("theirs");
    delete.send().await.expect("delete");
    tenant.close().await;
}

#[tokio::test]
async fn a_principal_that_is_made_again_gets_its_policy_again() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Billing, "again").await;
    tenant.ready_pair("app", "app").await;
    let allowed = tenant.allowed(&tenant.name).await;
    tenant.delete_role().await;
    tenant.look_at("app").await;
    tenant.user_reason("app", "False", "PrincipalNotFound").await;
    tenant.create_role(&tenant.name, "app").await;
    tenant.look_at("app").await;
    tenant.user_ready("app").await;
    assert_eq!(tenant.allowed(&tenant.name).await, allowed);
    tenant.close().await;
}

#[tokio::test]
async fn a_policy_that_somebody_attached_elsewhere_is_told_and_not_forced() {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(Database::Orders, "elsewhere").await;
    let other = format!("{}-other", tenant.name);
    tenant.create_role(&other, "other").await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    let policy = tenant.attached(&tenant.role_arn(&tenant.name)).await.remove(0);
    tenant.iam.attach_role_policy().role_name(&other).policy_arn(&policy).send().await.expect("attach");
    tenant.users().delete("app", &kube::api::DeleteParams::default()).await.expect("delete");
    let message = tenant.user_reason("app", "False", "Deleting").await;
    assert!(message.contains(&policy) && message.contains("Conflict"), "{message}");
    let held = tenant.attached(&tenant.role_arn(&other)).await;
    assert_eq!(held, std::slice::from_ref(&policy), "nothing foreign is detached");
    assert_eq!(tenant.attached(&tenant.role_arn(&tenant.name)).await, Vec::<String>::new());
    tenant.iam.detach_role_policy().role_name(&other).policy_arn(&policy).send().await.expect("detach");
    until("the user goes", SOON, || async {
        tenant.users().get_opt("app").await.expect("get").is_none().then_some(())
    })
    .await;
    assert_eq!(tenant.document(&policy).await, None);
    tenant.close().await;
}

#[tokio::test]
async fn a_quota_is_named_and_not_run_against() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(Database::Orders, "quota").await;
    let iam = &tenant.iam;
    let mut attached = Vec::new();
    // Until AWS takes no more.
    for number in 0..40 {
        let create = iam.create_policy().policy_name(format!("{}-{number}", tenant.name)).policy_document(everything());
        let policy = create.send().await.expect("create").policy.and_then(|it| it.arn).expect("ARN");
        let is_full = iam.attach_role_policy().role_name(&tenant.name).policy_arn(&policy).send().await.is_err();
        attached.push(policy);
        if is_full {
            break;
        }
    }
    let since = Since::now(tenant.world);
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let message = tenant.user_reason("app", "False", "QuotaExceeded").await;
    assert!(message.contains("managed policies attached to") && message.contains("LimitExceeded"), "{message}");
    tokio::time::sleep(Duration::from_secs(6)).await;
    let calls = changes(&since, tenant.world);
    assert_eq!(calls, ["iam:CreatePolicy", "iam:AttachRolePolicy"], "it is tried once");
    for policy in &attached[..1] {
        iam.detach_role_policy().role_name(&tenant.name).policy_arn(policy).send().await.expect("detach");
    }
    tenant.look_at("app").await;
    tenant.user_ready("app").await;
    tenant.delete(tenant.users(), "app").await;

    let fault = Fault::arm(
        &json!({"service": "iam", "action": "CreatePolicy", "code": "LimitExceeded", "status": 409, "times": 9}),
    );
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let message = tenant.user_reason("app", "False", "QuotaExceeded").await;
    assert!(message.contains("policies of the account"), "{message}");
    assert_eq!(fault.fired(), 1);
    drop(fault);
    tenant.look_at("app").await;
    tenant.user_ready("app").await;
    tenant.close().await;
}

#[tokio::test]
async fn a_right_that_cannot_be_taken_away_is_told_and_a_tag_that_is_refused_holds_up_nobody() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(Database::Orders, "clings").await;
    for name in ["app", "other"] {
        tenant.apply::<IamDbUser>(tenant.user(name)).await;
        tenant.user_ready(name).await;
    }
    let (role, allowed) = (tenant.role_arn(&tenant.name), tenant.allowed(&tenant.name).await);
    let policy = tenant.attached(&role).await.remove(0);
    let refused = |action: &str| {
        Fault::arm(&json!({"service": "iam", "action": action, "code": "AccessDenied", "status": 403, "times": 99}))
    };

    // As the operator left it before the former resource id ran out.
    let former = format!("arn:aws:rds-db:us-east-1:{ACCOUNT}:dbuser:db-FORMER/{}", tenant.username("app"));
    let mut more = [allowed.clone(), vec![former]].concat();
    more.sort();
    let document = json!({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": "rds-db:connect", "Resource": more}]});
    let write = tenant.iam.create_policy_version().policy_arn(&policy).policy_document(document.to_string());
    write.set_as_default(true).send().await.expect("create version");
    let fault = refused("CreatePolicyVersion");
    tenant.look_at("app").await;
    tenant.user_reason("app", "False", "AccessDenied").await;
    drop(fault);
    tenant.look_at("app").await;
    tenant.user_ready("app").await;
    assert_eq!(tenant.allowed(&tenant.name).await, allowed);

    let fault = refused("TagPolicy");
    let mut server = tenant.server();
    server["spec"]["policy"] = json!({"tags": {"team": "shop"}});
    tenant.apply_server(server).await;
    tenant.delete(tenant.users(), "other").await;
    assert_eq!(tenant.allowed(&tenant.name).await, [tenant.resource(&tenant.username("app")).await]);
    drop(fault);
    tenant.close().await;
}

#[tokio::test]
async fn iam_that_does_not_know_yet_what_it_made_is_waited_for() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(Database::Orders, "eventual").await;
    for (action, code, status) in [
        ("AttachRolePolicy", "NoSuchEntity", 404),
        ("CreatePolicyVersion", "NoSuchEntity", 404),
        ("CreatePolicyVersion", "ConcurrentModification", 409),
    ] {
        let fault =
            Fault::arm(&json!({"service": "iam", "action": action, "code": code, "status": status, "times": 2}));
        let name = format!("u{}", action.len() + usize::from(status == 409u16));
        tenant.apply::<IamDbUser>(tenant.user(&name)).await;
        tenant.user_ready(&name).await;
        assert_eq!(fault.fired(), 2, "{action} {code}");
    }
    // One that is attached and said not to be there is not taken for gone: it would stay, and nobody would know of it.
    let role = tenant.role_arn(&tenant.name);
    let users: Vec<String> = tenant
        .users()
        .list(&ListParams::default())
        .await
        .expect("list")
        .items
        .iter()
        .map(ResourceExt::name_any)
        .collect();
    let (last, others) = users.split_last().expect("users");
    for user in others {
        tenant.delete(tenant.users(), user).await;
    }
    let fault = Fault::arm(
        &json!({"service": "iam", "action": "GetPolicy", "code": "NoSuchEntity", "status": 404, "times": 1}),
    );
    tenant.delete(tenant.users(), last).await;
    assert_eq!(fault.fired(), 1);
    assert_eq!(tenant.attached(&role).await, Vec::<String>::new());
    tenant.close().await;
}

#[tokio::test]
async fn a_server_that_is_only_observed_tells_what_differs_and_writes_nothing() {
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(Database::Orders, "observe").await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    let role = tenant.role_arn(&tenant.name);
    let policy = tenant.attached(&role).await.remove(0);
    let observed = |mode: &str| {
        let mut server = tenant.server();
        server["spec"]["mode"] = json!(mode);
        server
    };
    tenant.apply_server(observed("Observe")).await;
    tenant.server_reason("True", "Ready").await;
    // A look that began before would still attach again what is detached now.
    tenant.looked_at("app").await;
    tenant.user_ready("app").await;
    let since = Since::now(tenant.world);
    tenant.iam.detach_role_policy().role_name(&tenant.name).policy_arn(&policy).send().await.expect("detach");
    tenant.look_at("app").await;
    tenant.user_reason("app", "False", "Drifted").await;
    let drift = |status: Option<IamDbUserStatus>| status.map(|status| status.drift).unwrap_or_default();
    let told = drift(tenant.users().get("app").await.expect("IamDbUser").status);
    let resource = tenant.resource(&tenant.username("app")).await;
    assert_eq!(told, [format!("{role} may not connect to {resource}")]);
    // One that is new is not written either, and its deletion ends.
    tenant.apply::<IamDbUser>(tenant.user("new")).await;
    tenant.user_reason("new", "False", "Drifted").await;
    tenant.delete(tenant.users(), "new").await;
    assert_eq!(changes(&since, tenant.world), Vec::<String>::new());
    tenant.apply_server(observed("Enforce")).await;
    tenant.user_ready("app").await;
    assert_eq!(tenant.attached(&role).await, [policy]);
    assert_eq!(drift(tenant.users().get("app").await.expect("IamDbUser").status), Vec::<String>::new());
    tenant.close().await;
}
