//! Replicas and the one that acts: a leader that dies, ends, is stopped or cut off is replaced, and two never act at the same time.
//!
//! The world's operator stands still here ([`crate::replica`]).

use std::time::{Duration, Instant};

use iamdb::api::{DbAuthToken, IamDbUser};
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::ServiceAccount;
use kube::ResourceExt;
use kube::api::Api;
use serde_json::json;

use crate::forward::Rule;
use crate::replica::{LEASE, Replica, Stage};
use crate::tenant::Tenant;
use crate::world::{Database, OPERATOR_NAMESPACE, SOON, until};

/// What the duration of a lease, and the look that finds it over, may take, by the apiserver's clock.
const AFTER_A_DEATH: Duration = Duration::from_secs(17);

/// What a rotation may take that is asked for.
const A_ROTATION: Duration = Duration::from_secs(30);

/// What it may take after an orderly end, by the apiserver's clock.
const AFTER_A_RELEASE: Duration = Duration::from_secs(5);

/// What a replica may take until it has read a hundred objects.
const A_START: Duration = Duration::from_secs(2);

#[tokio::test]
async fn a_leader_that_is_killed_is_replaced_within_its_lease() {
    let stage = Stage::set().await;
    let (first, second) = stage.two_replicas("killed").await;
    let tenant = stage.tenant().await;
    tenant.rotated("app", A_ROTATION).await;
    first.signal("-KILL");
    let vacant = stage.vacancy(&first, &second).await;
    eprintln!("killed: replaced {vacant:?} after its last renewal");
    assert!(vacant.is_positive() && vacant.unsigned_abs() < AFTER_A_DEATH, "nobody led for {vacant:?}");
    tenant.rotated("app", A_ROTATION).await;
    tenant.close().await;
}

#[tokio::test]
async fn a_leader_that_ends_in_order_gives_the_lead_back() {
    let stage = Stage::set().await;
    let (mut first, mut second) = stage.two_replicas("ended").await;
    first.signal("-TERM");
    assert!(first.ended().await, "it ended in order");
    let vacant = stage.vacancy(&first, &second).await;
    eprintln!("ended: replaced after {vacant:?}");
    assert!(vacant.is_positive() && vacant.unsigned_abs() < AFTER_A_RELEASE, "nobody led for {vacant:?}");
    // When the last one goes nobody leads, and nobody has to wait.
    second.signal("-TERM");
    assert!(second.ended().await, "it ended in order");
    assert_eq!(stage.leader().await, "");
    // With the operator's account the Lease goes, too: whoever uninstalls it leaves none.
    let owners = stage.lease().await.and_then(|lease| lease.metadata.owner_references).unwrap_or_default();
    let accounts = Api::<ServiceAccount>::namespaced(stage.client.clone(), OPERATOR_NAMESPACE);
    let account = accounts.get(LEASE).await.expect("the operator's ServiceAccount");
    let owners: Vec<_> = owners.into_iter().map(|it| (it.kind, it.name, Some(it.uid))).collect();
    assert_eq!(owners, [("ServiceAccount".to_owned(), account.name_any(), account.metadata.uid)]);
}

#[tokio::test]
async fn a_replica_that_ends_amid_its_claim_gives_back_what_it_was_given() {
    let stage = Stage::set().await;
    for is_answered in [true, false] {
        let rule = Rule::arm(stage.world, "hold", "^(POST|PUT) .*/leases", 1, 1);
        let mut replica = stage.replica(&format!("amid-{is_answered}"), 8181, true, &[]).await;
        until("its claim is accepted, and it does not know", SOON, || async { (rule.met().fired > 0).then_some(()) })
            .await;
        assert_eq!(stage.leader().await, replica.name);
        replica.signal("-TERM");
        tokio::time::sleep(Duration::from_millis(500)).await; // the signal comes before the answer
        let unanswered = (!is_answered).then_some(rule);
        assert!(replica.ended().await, "it ended in order");
        drop(unanswered);
        assert_eq!(stage.leader().await, "", "its claim was answered: {is_answered}");
    }
}

#[tokio::test]
async fn a_replica_is_ready_within_two_seconds_beside_a_hundred_objects() {
    const OF_EACH_KIND: usize = 50;
    let stage = Stage::set().await;
    let tenant = Tenant::new(Database::Orders, "hundred").await;
    for n in 0..OF_EACH_KIND {
        // Nothing is to be done for them: this is about what is read.
        let (mut user, mut token) = (tenant.user(&format!("u{n}")), tenant.token(&format!("t{n}"), &format!("u{n}")));
        user["spec"]["suspend"] = json!(true);
        token["spec"]["suspend"] = json!(true);
        tenant.apply::<IamDbUser>(user).await;
        tenant.apply::<DbAuthToken>(token).await;
    }
    // Where the machine stands still during one start, it may not during the next.
    let mut starts = Vec::new();
    let _replica = loop {
        let replica = stage.replica("hundred", 8181, true, &[]).await;
        starts.push(replica.ready_after);
        eprintln!("ready after {:?}", replica.ready_after);
        if replica.ready_after < A_START {
            break replica;
        }
        assert!(starts.len() < 3, "ready after {starts:?}");
    };
    tenant.close().await;
}

#[tokio::test]
async fn a_leader_that_was_stopped_for_a_while_acts_no_more() {
    let stage = Stage::set().await;
    let (mut first, second) = stage.two_replicas("stopped").await;
    let tenant = stage.tenant().await;
    // It waits for answers after which it would write at once, and they are there when it goes on: a ServiceAccount that names no role is asked for.
    let pattern = format!("^GET /api/v1/namespaces/{}/serviceaccounts/default", tenant.name);
    let rule = Rule::arm(stage.world, "hold", &pattern, 1, 0);
    let mut late = tenant.token("late", "app");
    late["spec"]["identity"]["serviceAccount"]["name"] = json!("default");
    tenant.apply::<DbAuthToken>(late).await;
    tenant.rotate("app").await;
    until("it waits for answers", SOON, || async { (rule.met().fired > 0).then_some(()) }).await;
    first.signal("-STOP");
    drop(rule);
    let busy = stage.keep_busy(&tenant, async {
        tokio::time::sleep(Duration::from_secs(30)).await;
        first.signal("-CONT");
        let resumed = Instant::now();
        assert!(!first.ended().await, "it ended because the lease is lost");
        eprintln!("stopped: ended {:?} after it was resumed", resumed.elapsed());
        stage.acts(&second).await;
    });
    busy.await;
    stage.assert_one_after_the_other(&first, &second);
    tenant.token_reason("late", "False", "IdentityDenied").await;
    tenant.close().await;
}

#[tokio::test]
async fn a_leader_that_is_cut_off_ends_before_another_acts() {
    let stage = Stage::set().await;
    let (mut first, second) = stage.two_replicas("cut-off").await;
    let tenant = stage.tenant().await;
    let cut = stage.keep_busy(&tenant, async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        stage.world.ask("WORLD_FORWARD", "POST", "/pause", &json!({"target": "apiserver"}));
        let cut = Instant::now();
        assert!(!first.ended().await, "it ended because the lease is lost");
        let ended = cut.elapsed();
        stage.vacancy(&first, &second).await;
        eprintln!("cut off: ended after {ended:?}, replaced after {:?}", cut.elapsed());
        let (last, claimed) = (first.last_words(stage.world), second.claims(stage.world, stage.audit));
        assert!(claimed.iter().all(|at| *at > last), "it ended at {last}, and another claimed the lead at {claimed:?}");
        // What was on its way when its sender ended is lost, as in a network that stays cut.
        for request in ["/close", "/resume"] {
            stage.world.ask("WORLD_FORWARD", "POST", request, &json!({"target": "apiserver"}));
        }
        stage.acts(&second).await;
    });
    cut.await;
    stage.assert_one_after_the_other(&first, &second);
    tenant.close().await;
}

impl Stage {
    /// One that leads, by way of the forwarder, and one that waits, with a connection of its own. Both are ready.
    async fn two_replicas(&self, test: &str) -> (Replica, Replica) {
        let first = self.replica(&format!("{test}-first"), 8181, true, &[]).await;
        until("the first leads", SOON, || async { (self.leader().await == first.name).then_some(()) }).await;
        let second = self.replica(&format!("{test}-second"), 8182, false, &[]).await;
        assert_eq!(self.leader().await, first.name);
        (first, second)
    }

    /// A tenant with a user and a token `app`.
    async fn tenant(&self) -> Tenant {
        let tenant = Tenant::new(Database::Orders, "leader").await;
        tenant.ready_pair("app", "app").await;
        tenant
    }

    /// Waits until the second leads, and tells how long after the first one's last claim or release it made its own, by the apiserver's clock.
    async fn vacancy(&self, first: &Replica, second: &Replica) -> SignedDuration {
        until("the other leads", SOON, || async { (self.leader().await == second.name).then_some(()) }).await;
        until("it knows", SOON, || async { second.leads().then_some(()) }).await;
        let claims = |of: &Replica| of.claims(self.world, self.audit);
        let claimed = until("its claim is in the log", SOON, || async { claims(second).into_iter().min() }).await;
        let last = claims(first).into_iter().max().expect("a claim of the first");
        claimed.duration_since(last)
    }

    /// Waits until a replica acts, and then for a moment, in which what another one does comes to light.
    async fn acts(&self, replica: &Replica) {
        let has_acted = || async { (!replica.effects(self.world, self.audit).is_empty()).then_some(()) };
        until("it acts", SOON, has_acted).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
    }

    /// Asks for rotations all the time while something happens, so that there is always something to do.
    async fn keep_busy(&self, tenant: &Tenant, happens: impl Future<Output = ()>) {
        let ask = async {
            loop {
                tenant.rotate("app").await;
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        };
        tokio::select! {
            () = happens => {}
            () = ask => {}
        }
    }

    /// Both acted, and the second began after the first had ended.
    fn assert_one_after_the_other(&self, first: &Replica, second: &Replica) {
        let (of_first, of_second) = (first.effects(self.world, self.audit), second.effects(self.world, self.audit));
        let last = of_first.iter().max().expect("the first acted");
        let next = of_second.iter().min().expect("the second acted");
        eprintln!("{} and {} effects, {:?} between them", of_first.len(), of_second.len(), next.duration_since(*last));
        assert!(last < next, "the first acted until {last}, the second from {next} on");
    }
}
