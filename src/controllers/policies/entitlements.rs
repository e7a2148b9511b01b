//! Who may connect as whom.
//!
//! A principal's policies name the accounts of all objects that list it, so no object can write them alone. Each enters here what it wants; the
//! policies of a home are then brought to the union. After a restart nothing is entered yet: until an object has been looked at, what a policy
//! allows on its behalf stays.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures::{FutureExt, StreamExt, stream};
use kube::{Resource, ResourceExt};
use parking_lot::{Mutex, MutexGuard};

use super::claims::{Claim, Claims};
use super::rounds::{Ask, Rounds};
use super::wants::{self, Form, Wants};
use super::{Attachment, Granted, Parted, rendered, told};
use crate::api::{AttachmentStatus, DbServer, IamDbUser, Mode};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::controllers::server::{self, Server};
use crate::controllers::wakes::own_state;
use crate::domain::access::Access;
use crate::domain::policy::{ConnectArn, ObservedPolicies, Place, PolicyHome, Resources, Wanted};

/// Homes of one object that are brought at the same time.
const AT_ONCE: usize = 4;

/// What stands for every account in an ARN.
const EVERY_ACCOUNT: &str = "*";

/// What the objects of this process want.
#[derive(Default)]
pub struct Entitlements {
    claims: Mutex<Claims>,
    rounds: Rounds,
}

/// An object that wants something.
pub(super) struct Claimant {
    uid: String,
    /// The account that it lets principals connect as; `*` for every one.
    account: String,
    state: u64,
    /// Homes that its status remembers: principals that were listed before, even by a process that is gone.
    remembered: BTreeSet<PolicyHome>,
}

impl Claimant {
    fn of_user(user: &IamDbUser, context: &Context) -> Self {
        Self::of(user, &user.spec.username, attachments_of_user(user), context)
    }

    pub(super) fn of_server(server: &DbServer, context: &Context) -> Self {
        Self::of(server, EVERY_ACCOUNT, attachments_of_server(server), context)
    }

    fn of<K: Resource>(object: &K, account: &str, attachments: &[AttachmentStatus], context: &Context) -> Self {
        let cluster = &context.settings.cluster_id;
        let home = |it: &AttachmentStatus| {
            let principal = it.principal.parse().ok()?;
            Some(PolicyHome { principal, place: Place::parse(&it.path), cluster: cluster.clone() })
        };
        Self {
            uid: object.uid().unwrap_or_default(),
            account: account.to_owned(),
            state: own_state(object),
            remembered: attachments.iter().filter_map(home).collect(),
        }
    }
}

impl Entitlements {
    /// Brings the policies of all principals that an IamDbUser lists, or listed before, to what everybody wants.
    pub(in crate::controllers) async fn converge(&self, user: &IamDbUser, wants: &Wants, context: &Context) -> Granted {
        let claimant = Claimant::of_user(user, context);
        let namespace = user.namespace().unwrap_or_default();
        let known = user.status.as_ref().map(|status| status.policies.as_slice()).unwrap_or_default();
        let was_rendered = told::says_rendered(known, &user.name_any());
        let rendered = rendered::bring(user, &namespace, was_rendered, wants, context).await;
        let mut granted = self.bring(claimant, wants, context).await;
        granted.rendered = rendered;
        granted
    }

    /// Takes an IamDbUser out of the policies of those whom it lists no longer, and changes nothing else: while its account is not what it shall be
    /// nobody is let in by it, and who is to go does not wait for that.
    pub(in crate::controllers) async fn part(&self, user: &IamDbUser, wants: &Wants, context: &Context) -> Parted {
        let mut parted = Parted::default();
        if wants.manner.form != Form::Manage {
            return parted;
        }
        let Claimant { uid, account, remembered, .. } = Claimant::of_user(user, context);
        let former = self.claims().part(&uid, remembered, |home| wants.of_principal(home).is_none());
        for home in former {
            match self.rid(&home, &account, &wants.manner.access, context).await {
                Ok(()) => _ = parted.gone.insert(home),
                Err(problem) => parted.refused.push((home, problem)),
            }
        }
        parted
    }

    /// Takes an IamDbUser out of all policies. Tells whether it did: where a server is only looked at, or is not known, they stay.
    pub(in crate::controllers) async fn withdraw(&self, user: &IamDbUser, context: &Context) -> Result<bool, Problem> {
        let claimant = Claimant::of_user(user, context);
        let found = server::find(context, &user.spec.server_ref.name).ok();
        let found = found.and_then(|object| Some((Server::of(&object)?.access, object.spec.mode)));
        self.take_out(claimant, found, context).await
    }

    /// Forgets an object that is gone.
    pub(in crate::controllers) fn forget<K: Resource>(&self, object: &K) {
        let claim = self.claims().remove(&object.uid().unwrap_or_default());
        for home in claim.iter().flat_map(Claim::homes) {
            self.rounds.forget(home);
        }
    }

    pub(super) async fn bring(&self, claimant: Claimant, wants: &Wants, context: &Context) -> Granted {
        let attachments = match wants.manner.form {
            Form::Manage => self.write(claimant, wants, context).await,
            Form::Observe => self.look(&claimant, wants, context).await,
            Form::Render => {
                let nothing = Wants { homes: [].into(), ..wants.clone() };
                self.write(claimant, &nothing, context).await
            }
        };
        Granted { attachments, rendered: None }
    }

    /// Writes what is wanted, then takes away what was wanted before. Policies that move to another place are taken away only where the new ones
    /// are there: nobody is without access meanwhile.
    async fn write(&self, claimant: Claimant, wants: &Wants, context: &Context) -> Vec<Attachment> {
        let Claimant { uid, account, state, remembered } = claimant;
        let mut claim = Claim {
            wants: wants.homes.clone(),
            tags: wants.manner.tags.clone(),
            limit: Some(wants.manner.limit),
            state,
            ..Claim::default()
        };
        let (is_news, former) = {
            let mut claims = self.claims();
            let before = claims.remove(&uid).unwrap_or_default();
            let former: BTreeSet<PolicyHome> =
                before.homes().cloned().chain(remembered).filter(|home| !wants.homes.contains_key(home)).collect();
            claim.keeps = wants.kept(&former);
            let is_news = before != claim;
            claims.enter(&uid, claim.clone());
            (is_news, former)
        };
        let manner = &wants.manner;
        let mut attachments = self.bring_all(wants, &Ask::to_write(is_news, context), context).await;
        if former.is_empty() {
            return attachments;
        }
        let gone = leavable(former, &mut attachments);
        claim.keeps.retain(|home, _| !gone.contains(home));
        self.claims().enter(&uid, claim);
        for home in gone {
            // A principal that is no longer listed matters only while taking it off fails.
            if let Err(problem) = self.rid(&home, &account, &manner.access, context).await {
                attachments.push(Attachment { home, result: Err(problem), drift: Vec::new() });
            }
        }
        attachments
    }

    /// Tells what differs from what is wanted, and changes nothing.
    async fn look(&self, claimant: &Claimant, wants: &Wants, context: &Context) -> Vec<Attachment> {
        // Who was let in before and is no longer listed stays, too, and must be remembered.
        let former: Vec<&PolicyHome> =
            claimant.remembered.iter().filter(|home| !wants.homes.contains_key(*home)).collect();
        let all: Resources = wants.homes.values().flatten().cloned().collect();
        let kept = former.iter().map(|home| ((*home).clone(), all.clone()));
        let claim = Claim {
            keeps: wants.homes.clone().into_iter().chain(kept).collect(),
            state: claimant.state,
            ..Claim::default()
        };
        let is_news = self.claims().enter(&claimant.uid, claim.clone()) != Some(claim);
        let ask = Ask { may_write: false, ..Ask::to_write(is_news, context) };
        let mut attachments = self.bring_all(wants, &ask, context).await;
        attachments.extend(former.into_iter().cloned().map(Attachment::left));
        attachments
    }

    async fn bring_all(&self, wants: &Wants, ask: &Ask, context: &Context) -> Vec<Attachment> {
        let each =
            wants.homes.iter().map(|(home, resources)| self.bring_one(home, resources, wants, ask, context).boxed());
        let each: Vec<_> = each.collect(); // a stream that makes them as it goes is not Send
        stream::iter(each).buffered(AT_ONCE).collect().await
    }

    async fn bring_one(
        &self,
        home: &PolicyHome,
        resources: &Resources,
        wants: &Wants,
        ask: &Ask,
        context: &Context,
    ) -> Attachment {
        let outcome = self.rounds.bring(home, &wants.manner.access, *ask, &self.wished(context), context).await;
        let drift = if ask.may_write { Vec::new() } else { outcome.drift(resources) };
        Attachment { home: home.clone(), result: outcome.grants(resources), drift }
    }

    /// Takes an object out of all policies, unless its server is only looked at. Tells whether it did.
    pub(super) async fn take_out(
        &self,
        claimant: Claimant,
        server: Option<(Access, Mode)>,
        context: &Context,
    ) -> Result<bool, Problem> {
        let Claimant { uid, account, state, remembered } = claimant;
        let before = self.claims().enter(&uid, Claim { state, ..Claim::default() }).unwrap_or_default();
        let Some((access, Mode::Enforce)) = server else {
            return Ok(false);
        };
        // The status says it before anything is attached, so nothing else can be.
        let homes: BTreeSet<PolicyHome> = before.homes().cloned().chain(remembered).collect();
        // All of them, whatever one says: nobody keeps a right because another cannot be taken.
        let mut first = Ok(());
        for home in &homes {
            first = first.and(self.rid(home, &account, &access, context).await);
        }
        first.map(|()| true)
    }

    /// Writes a home in which an account is wanted no longer, and tells why it is still there.
    async fn rid(&self, home: &PolicyHome, account: &str, access: &Access, context: &Context) -> Result<(), Problem> {
        let ask = Ask::to_write(true, context);
        self.rounds.bring(home, access, ask, &self.wished(context), context).await.is_rid(account)
    }

    fn claims(&self) -> MutexGuard<'_, Claims> {
        self.claims.lock()
    }

    fn wished<'a>(&'a self, context: &'a Context) -> Wished<'a> {
        Wished { entitlements: self, context }
    }
}

impl Ask {
    /// A home that many objects share is looked at a few times in each resync, not by each of them.
    fn to_write(is_news: bool, context: &Context) -> Self {
        Self { is_news, may_write: true, freshness: context.settings.resync / 2 }
    }
}

/// What everybody wants of a home, at the moment at which it is asked.
pub(super) struct Wished<'a> {
    entitlements: &'a Entitlements,
    context: &'a Context,
}

impl Wished<'_> {
    /// What a home shall have, and how long a document may be. What its policies allow on behalf of those that have not been looked at yet is part
    /// of it, and their tags are left as they are.
    pub(super) fn of(&self, home: &PolicyHome, observed: &ObservedPolicies) -> (Wanted, Option<usize>) {
        let claims = self.entitlements.claims();
        let wish = claims.of_home(home);
        let unasked = self.unasked(&claims, home);
        let stays = |arn: &&ConnectArn| wish.keeps.contains(*arn) || unasked.iter().any(|object| object.may_want(arn));
        let mut resources = wish.wants;
        resources.extend(observed.named().filter(stays).cloned());
        let tags = if unasked.is_empty() { Some(wish.tags) } else { None };
        (Wanted { resources, tags }, wish.limit)
    }

    /// Those objects that have something in a home and have not been looked at by this process.
    fn unasked(&self, claims: &Claims, home: &PolicyHome) -> Vec<Unasked> {
        let feeds = &self.context.feeds;
        let users = feeds.users.store().state_filter(|user| {
            !claims.knows(user.metadata.uid.as_deref().unwrap_or_default(), home)
                && was_attached(attachments_of_user(user), home)
        });
        let servers = feeds.servers.store().state_filter(|server| {
            !claims.knows(server.metadata.uid.as_deref().unwrap_or_default(), home)
                && was_attached(attachments_of_server(server), home)
        });
        let meant_by = |server: &DbServer| Some(wants::meant_by(&Server::of(server)?));
        let of_user = |user: &Arc<IamDbUser>| Unasked {
            account: user.spec.username.clone(),
            servers: server::find(self.context, &user.spec.server_ref.name).ok().and_then(|it| meant_by(&it)),
        };
        let of_server =
            |server: &Arc<DbServer>| Unasked { account: EVERY_ACCOUNT.to_owned(), servers: meant_by(server) };
        users.iter().map(of_user).chain(servers.iter().map(of_server)).collect()
    }
}

/// An object that this process has not looked at.
struct Unasked {
    /// `*` for every one.
    account: String,
    /// Servers that it can be about; none while that is not known.
    servers: Option<BTreeSet<String>>,
}

impl Unasked {
    fn may_want(&self, arn: &ConnectArn) -> bool {
        arn.user() == self.account && self.servers.as_ref().is_none_or(|servers| servers.contains(arn.server()))
    }
}

/// Of what an object had elsewhere, what may go now. What waits for the new policies of its principal stays attached, and must be remembered.
fn leavable(former: BTreeSet<PolicyHome>, attachments: &mut Vec<Attachment>) -> BTreeSet<PolicyHome> {
    let has_arrived =
        |home: &PolicyHome| attachments.iter().all(|it| it.home.principal != home.principal || it.result.is_ok());
    let (gone, kept): (BTreeSet<_>, BTreeSet<_>) = former.into_iter().partition(has_arrived);
    attachments.extend(kept.into_iter().map(Attachment::left));
    gone
}

/// Whether the status names the principal there: then what a policy allows by now is kept, whatever came of the last look.
fn was_attached(attachments: &[AttachmentStatus], home: &PolicyHome) -> bool {
    attachments.iter().any(|it| told::is_at(it, home))
}

fn attachments_of_user(user: &IamDbUser) -> &[AttachmentStatus] {
    user.status.as_ref().map(|status| status.attachments.as_slice()).unwrap_or_default()
}

pub(super) fn attachments_of_server(server: &DbServer) -> &[AttachmentStatus] {
    server.status.as_ref().map(|status| status.attachments.as_slice()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;
    use crate::controllers::report::Verdict;

    fn home(role: &str, place: &str) -> PolicyHome {
        let principal = format!("arn:aws:iam::123456789012:role/{role}").parse().unwrap();
        PolicyHome { principal, place: Place::parse(place), cluster: "c".into() }
    }

    #[test]
    fn what_was_not_looked_at_keeps_what_may_be_its_own_and_nothing_of_another_server() {
        let arn =
            |place: &str| ConnectArn::parse(&format!("arn:aws:rds-db:us-east-1:123456789012:dbuser:{place}")).unwrap();
        let unasked = |servers: Option<&[&str]>| Unasked {
            account: "app".into(),
            servers: servers.map(|servers| servers.iter().map(|&id| id.to_owned()).collect()),
        };
        let known = unasked(Some(&["db-BILLING", "*"]));
        assert!(known.may_want(&arn("db-BILLING/app")) && known.may_want(&arn("*/app")));
        assert!(!known.may_want(&arn("db-ORDERS/app")), "another's is taken off");
        assert!(!known.may_want(&arn("db-BILLING/other")));
        assert!(unasked(None).may_want(&arn("db-ORDERS/app")), "where it is is not known yet");
    }

    #[test]
    fn what_waits_to_be_moved_is_remembered() {
        let refused = || Problem::standing(Reason::QuotaExceeded, "full");
        let attachment = |role, result| Attachment { home: home(role, "/new/"), result, drift: Vec::new() };
        let mut attachments = vec![attachment("a", Ok(vec!["p".into()])), attachment("b", Err(refused()))];
        let former = ["a", "b", "unlisted"].map(|role| home(role, "/old/"));
        let gone = leavable(former.clone().into(), &mut attachments);
        let [of_a, of_b, unlisted] = former;
        assert_eq!(gone, [of_a, unlisted].into(), "the new ones are there, or none is wanted");
        assert_eq!(attachments.len(), 3);
        assert!(attachments[2].home == of_b && attachments[2].result == Ok(Vec::new()));
        let granted = Granted { attachments, rendered: None };
        assert!(told::state(&granted).iter().any(|it| it.principal.ends_with("/b") && it.path == "/old/"));
        assert!(matches!(told::verdict(&granted), Verdict::Bad(problem) if problem == refused()), "it is not well");
    }
}
