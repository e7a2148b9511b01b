//! Crashes and lost answers at every kind of write to AWS that the life of one account does not make: versions of a shared policy, the pruning of old
//! ones, the move into the principal and back, the switch in RDS. `crash.rs` has all that it does make.

use std::collections::BTreeSet;

use iamdb::api::IamDbUser;
use serde_json::{Value, json};

use crate::crash::{policies_of, ready};
use crate::forward::{Rule, next_request, requests};
use crate::operator::Operator;
use crate::policy_forms;
use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

/// Calls that change something in IAM.
const WRITES: &str = r"^iam:(Create|Delete|Attach|Detach|Put|Set|Update|Tag|Untag)";

/// What is done to the policies of the tenant's role, one change after the other, over and over: more versions than a policy may have.
const CHANGES: [Change; 6] =
    [Change::Add, Change::Remove, Change::Add, Change::Inline, Change::Remove, Change::Managed];

#[derive(Clone, Copy, Debug)]
enum Change {
    /// A second user of the role comes.
    Add,
    /// It goes.
    Remove,
    /// Policies move into the role itself.
    Inline,
    /// And out of it again.
    Managed,
}

#[tokio::test]
async fn the_operator_may_die_after_any_write_to_iam() {
    let _turn = World::get().alone().await;
    let operator = Operator::of(World::get());
    disturb("iamcrash", "hold", || {
        operator.kill();
        operator.start();
    })
    .await;
}

#[tokio::test]
async fn the_answer_to_any_write_to_iam_may_be_lost() {
    let _turn = World::get().alone().await;
    disturb("iamlost", "drop", || {}).await;
}

/// Disturbs each change at its first write, then each at its second, and so on, until no change has so many.
async fn disturb(test: &str, action: &str, after: impl Fn()) {
    let tenant = Tenant::new(Database::Orders, test).await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    let start = next_request(tenant.world);
    let (mut met, mut has_second, mut is_inline) = (BTreeSet::new(), false, false);
    for nth in 1.. {
        let mut fired = 0;
        for change in CHANGES {
            let rule = Rule::arm(tenant.world, action, WRITES, nth, 1);
            match change {
                Change::Add => drop(tenant.apply::<IamDbUser>(tenant.user("second")).await),
                Change::Remove => drop(tenant.users().delete("second", &kube::api::DeleteParams::default()).await),
                Change::Inline => tenant.apply_server(server(&tenant, "Inline")).await,
                Change::Managed => tenant.apply_server(server(&tenant, "ManagedPolicy")).await,
            }
            has_second = matches!(change, Change::Add) || (has_second && !matches!(change, Change::Remove));
            is_inline = matches!(change, Change::Inline) || (is_inline && !matches!(change, Change::Managed));
            let is_done = || is_as_it_shall_be(&tenant, has_second, is_inline);
            let is_met = rule.is_met(&format!("{change:?} {nth}"), nth, is_done).await;
            let at = rule.met();
            if is_met {
                fired += 1;
                met.insert(at.request.split([' ', '?']).next().unwrap_or_default().to_owned());
                after();
            }
            drop(rule);
            until(&format!("{change:?} {nth}: all is as it shall be after {}", at.request), SOON, || async {
                is_as_it_shall_be(&tenant, has_second, is_inline).await.then_some(())
            })
            .await;
        }
        if fired == 0 {
            break;
        }
    }
    let asked = requests(tenant.world, start, next_request(tenant.world), WRITES);
    let asked: BTreeSet<_> =
        asked.iter().map(|it| it.split([' ', '?']).next().unwrap_or_default().to_owned()).collect();
    eprintln!("{action}: at {met:?}");
    for kind in [
        "CreatePolicy",
        "CreatePolicyVersion",
        "DeletePolicyVersion",
        "AttachRolePolicy",
        "DetachRolePolicy",
        "DeletePolicy",
        "PutRolePolicy",
        "DeleteRolePolicy",
    ] {
        assert!(met.contains(&format!("iam:{kind}")), "never at {kind}: {met:?}");
    }
    assert_eq!(met, asked, "every kind of write was disturbed");
    tenant.close().await;
}

fn server(tenant: &Tenant, attach: &str) -> Value {
    let mut server = tenant.server();
    server["spec"]["policy"] = json!({"attach": attach});
    server
}

/// The users are in order, what they may connect to stands in one place once, no version is there twice, and no policy is left over.
async fn is_as_it_shall_be(tenant: &Tenant, has_second: bool, is_inline: bool) -> bool {
    let second = if has_second { "Ready" } else { "gone" };
    if ready(&tenant.users(), "app").await != "Ready" || ready(&tenant.users(), "second").await != second {
        return false;
    }
    let mut wanted = vec![tenant.resource(&tenant.username("app")).await];
    if has_second {
        wanted.push(tenant.resource(&tenant.username("second")).await);
    }
    let role = tenant.role_arn(&tenant.name);
    let inline = policy_forms::inline(tenant).await;
    let policies = policies_of(tenant, &tenant.name).await;
    if is_inline {
        let resources: Vec<_> = inline.values().flat_map(policy_forms::resources).collect();
        return resources == wanted && inline.len() == 1 && policies.is_empty();
    }
    if !inline.is_empty() || policies != tenant.attached(&role).await || policies.len() != 1 {
        return false;
    }
    tenant.allowed(&tenant.name).await == wanted && !has_a_version_twice_in_a_row(tenant, &policies[0]).await
}

/// Whether a version says what the one before it said: a write that was repeated for nothing.
async fn has_a_version_twice_in_a_row(tenant: &Tenant, policy: &str) -> bool {
    let versions = tenant.iam.list_policy_versions().policy_arn(policy).send().await.expect("versions").versions;
    let mut versions = versions.unwrap_or_default();
    versions.sort_by_key(|it| it.version_id.as_deref().and_then(|id| id[1..].parse::<u32>().ok()));
    let mut documents = Vec::new();
    for version in versions {
        let call = tenant.iam.get_policy_version().policy_arn(policy).set_version_id(version.version_id);
        let found = call.send().await.expect("version").policy_version.and_then(|it| it.document);
        documents.push(found);
    }
    documents.windows(2).any(|pair| pair[0] == pair[1])
}

/// The one call to RDS that changes something: the operator dies after it, or its answer is lost, and it is not asked for anew.
#[tokio::test]
async fn iam_authentication_is_switched_on_once_whatever_happens_to_the_operator() {
    let _turn = World::get().alone().await;
    let operator = Operator::of(World::get());
    for action in ["hold", "drop"] {
        let tenant = Tenant::bare(Database::Orders, "modify").await;
        tenant.create_instance(false).await;
        let start = next_request(tenant.world);
        let rule = Rule::arm(tenant.world, action, "^rds:ModifyDBInstance", 1, 1);
        let mut server = tenant.own_server();
        server["spec"]["iamAuthentication"] = json!("Enable");
        tenant.apply_server(server).await;
        until("RDS is asked", SOON, || async { (rule.met().fired > 0).then_some(()) }).await;
        if action == "hold" {
            operator.kill();
            operator.start();
        }
        drop(rule);
        tenant.server_condition("IamAuthentication", "True", "Ready").await;
        let asked = requests(tenant.world, start, next_request(tenant.world), "^rds:ModifyDBInstance");
        // Where the answer is lost the same call is repeated at once, before anything else can be pending; it changes nothing more.
        let most = if action == "drop" { 2 } else { 1 };
        assert!((1..=most).contains(&asked.len()), "{action}: {asked:?}");
        tenant.delete_instance().await;
        tenant.close().await;
    }
}
