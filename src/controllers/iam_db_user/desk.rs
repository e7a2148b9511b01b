//! The administrator's desk at each server: one session that is handed from one IamDbUser to the next, and one survey of all accounts that many
//! are judged by.
//!
//! A survey tells who is well. Whoever is not sits down at the desk and reads its own accounts once more before it writes: a plan is never applied
//! to facts that another has changed meanwhile. The session stays open while somebody waits for it, and never for long.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use super::judgements::{Judgements, Need};
use super::resolve;
use crate::api::{DbServer, Reason};
use crate::controllers::context::Context;
use crate::controllers::db_server;
use crate::controllers::problem::Problem;
use crate::controllers::server::Server;
use crate::domain::account::{AccountStep, Catalogue, Definer, Question};
use crate::domain::engine::ServerFacts;
use crate::domain::names::{HostPattern, Username};
use crate::ports::{AdminSession, Fault, FaultKind};

/// How long a session is handed on. Others wait for it: the DbServer, and those of another DbServer for the same database.
const LONGEST: Duration = Duration::from_secs(3);

/// A desk for each DbServer.
#[derive(Default)]
pub struct Desks {
    desks: Mutex<HashMap<String, Arc<Desk>>>,
    pub(super) judgements: Judgements,
}

impl Desks {
    /// The desk of a DbServer. Those of DbServers that are gone, and that nobody sits at, are cleared away.
    pub(super) fn at(&self, server: &str, context: &Context) -> Arc<Desk> {
        let mut desks = self.desks.lock();
        if let Some(desk) = desks.get(server) {
            return desk.clone();
        }
        let servers = context.feeds.servers.store();
        desks.retain(|name, desk| {
            Arc::strong_count(desk) > 1 || servers.find(|it| it.metadata.name.as_deref() == Some(name)).is_some()
        });
        desks.entry(server.to_owned()).or_default().clone()
    }
}

/// One server's desk.
#[derive(Default)]
pub(super) struct Desk {
    /// How many wait for the seat.
    waiting: AtomicUsize,
    seat: Arc<tokio::sync::Mutex<Seat>>,
    survey: Mutex<Option<Arc<Survey>>>,
}

#[derive(Default)]
struct Seat {
    open: Option<Open>,
    /// Who found the server unreachable, and when: whoever waited meanwhile gets the same answer.
    unreachable: Option<(Instant, Problem)>,
}

/// A session with what it knows of the server.
struct Open {
    facts: ServerFacts,
    session: Box<dyn AdminSession>,
    since: Instant,
    definers: Option<BTreeSet<Definer>>,
}

/// All accounts that IamDbUsers ask for on a server, as they were at one instant.
pub(super) struct Survey {
    pub(super) facts: ServerFacts,
    pub(super) catalogue: Catalogue,
    /// When the read began.
    pub(super) at: Instant,
}

impl Desk {
    /// A survey that will do. None is kept longer than it could be of use to anybody.
    pub(super) fn survey(&self, need: Need, context: &Context) -> Option<Arc<Survey>> {
        let (now, longest) = (Instant::now(), context.settings.resync);
        let mut survey = self.survey.lock();
        survey.take_if(|survey| now.saturating_duration_since(survey.at) > longest);
        survey.as_ref().filter(|survey| need.is_met(survey.at, now, longest)).cloned()
    }

    /// Waits for the seat.
    pub(super) async fn sit(self: Arc<Self>) -> Chair {
        let asked = Instant::now();
        let waiting = Waiting::new(self.clone());
        let seat = self.seat.clone().lock_owned().await;
        drop(waiting);
        Chair { seat, desk: self, asked, hands_on: false }
    }
}

/// Somebody who waits for the seat. If the last one goes away without having sat down, nobody would close the session that was left for it.
struct Waiting(Arc<Desk>);

impl Waiting {
    fn new(desk: Arc<Desk>) -> Self {
        desk.waiting.fetch_add(1, Ordering::SeqCst);
        Self(desk)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.0.waiting.fetch_sub(1, Ordering::SeqCst) == 1
            && let Ok(mut seat) = self.0.seat.try_lock()
        {
            seat.open = None;
        }
    }
}

/// The seat at a desk, while somebody has it. It takes the session along when it goes, unless it is left for others.
pub(super) struct Chair {
    seat: OwnedMutexGuard<Seat>,
    desk: Arc<Desk>,
    asked: Instant,
    hands_on: bool,
}

impl Drop for Chair {
    fn drop(&mut self) {
        if !self.hands_on {
            self.seat.open = None;
        }
    }
}

impl Chair {
    /// What the server says of itself, on a session that is open from now on.
    pub(super) async fn facts(
        &mut self,
        definition: &DbServer,
        server: &Server,
        context: &Context,
    ) -> Result<ServerFacts, Problem> {
        if let Some(open) = self.seat.open.take_if(|open| open.since.elapsed() > LONGEST) {
            open.session.close().await;
        }
        if let Some(open) = &self.seat.open {
            return Ok(open.facts.clone());
        }
        if let Some((at, problem)) = &self.seat.unreachable
            && *at >= self.asked
        {
            return Err(problem.clone());
        }
        match open(definition, server, context).await {
            Ok(open) => Ok(self.seat.open.insert(open).facts.clone()),
            Err(problem) => {
                if problem.reason == Reason::Unreachable {
                    self.seat.unreachable = Some((Instant::now(), problem.clone()));
                }
                Err(problem)
            }
        }
    }

    /// Reads all accounts that IamDbUsers of this DbServer ask for, for everybody's use.
    pub(super) async fn read_survey(&mut self, name: &str, context: &Context) -> Result<Arc<Survey>, Problem> {
        let (question, at) = (resolve::question(name, context), Instant::now());
        let open = self.open()?;
        let catalogue = open.session.observe(&question).await?;
        let survey = Arc::new(Survey { facts: open.facts.clone(), catalogue, at });
        *self.desk.survey.lock() = Some(survey.clone());
        Ok(survey)
    }

    pub(super) async fn observe(&mut self, question: &Question) -> Result<Catalogue, Problem> {
        Ok(self.open()?.session.observe(question).await?)
    }

    /// Who something runs as; read once a session, since all views are looked at for it.
    pub(super) async fn definers(&mut self) -> Result<BTreeSet<Definer>, Problem> {
        let open = self.open()?;
        if open.definers.is_none() {
            open.definers = open.session.observe(&Question::definers()).await?.definers;
        }
        Ok(open.definers.clone().unwrap_or_default())
    }

    /// Takes a step, and returns what people are to be told of it. Sessions that cannot be ended hold up nothing, and a login that may not see who is
    /// a DEFINER is told so by the server: the account is locked then.
    pub(super) async fn apply(&mut self, username: &Username, step: &AccountStep) -> Result<Option<Told>, Fault> {
        let session = &mut self.open()?.session;
        match (session.apply(username, step).await, step) {
            (Ok(()), AccountStep::Adopt { host, .. }) => Ok(Some(adopted(username, host))),
            (Err(fault), AccountStep::EndSessions { host, .. }) => Ok(Some(sessions_left(username, host, &fault))),
            (Err(fault), AccountStep::Drop { host }) if fault.kind == FaultKind::Definer => {
                session.apply(username, &AccountStep::Lock { host: host.clone() }).await?;
                Ok(Some(locked_instead(username, host)))
            }
            (outcome, _) => outcome.map(|()| None),
        }
    }

    /// Gets up. A session that is well is left for whoever waits.
    pub(super) async fn leave(mut self, is_well: bool) {
        self.hands_on = is_well && self.desk.waiting.load(Ordering::SeqCst) > 0;
        if !self.hands_on
            && let Some(open) = self.seat.open.take()
        {
            open.session.close().await;
        }
    }

    fn open(&mut self) -> Result<&mut Open, Fault> {
        self.seat.open.as_mut().ok_or_else(closed)
    }
}

/// What people are to be told once.
pub(super) type Told = (Reason, String);

fn adopted(username: &Username, host: &HostPattern) -> Told {
    (Reason::Adopted, format!("'{username}'@'{host}' was there before and logs in with IAM tokens only now"))
}

fn sessions_left(username: &Username, host: &HostPattern, fault: &Fault) -> Told {
    (Reason::SessionsLeft, format!("open sessions of '{username}'@'{host}' go on: {fault}"))
}

pub(super) fn locked_instead(username: &Username, host: &HostPattern) -> Told {
    let note = format!("'{username}'@'{host}' is the DEFINER of something: it is locked and stays, with its mark");
    (Reason::ReferencedAsDefiner, note)
}

fn closed() -> Fault {
    Fault::new(FaultKind::Unreachable, "use the administrator's session").with_code("session-ended")
}

async fn open(definition: &DbServer, server: &Server, context: &Context) -> Result<Open, Problem> {
    let (facts, session) = db_server::open(definition, server, context).await?;
    if facts.engine != server.engine {
        session.close().await;
        return Err(Problem::standing(Reason::UnexpectedError, "the server is of another engine than RDS says"));
    }
    Ok(Open { facts, session, since: Instant::now(), definers: None })
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;

    use super::*;
    use crate::domain::engine::Engine;

    /// A server that refuses these steps, and what was asked of it.
    struct Refusing {
        kind: FaultKind,
        refuses: fn(&AccountStep) -> bool,
        asked: Arc<Mutex<Vec<AccountStep>>>,
    }

    #[async_trait]
    impl AdminSession for Refusing {
        async fn observe(&mut self, _: &Question) -> Result<Catalogue, Fault> {
            Ok(Catalogue::default())
        }

        async fn apply(&mut self, _: &Username, step: &AccountStep) -> Result<(), Fault> {
            self.asked.lock().push(step.clone());
            if (self.refuses)(step) { Err(Fault::new(self.kind, "take a step")) } else { Ok(()) }
        }

        async fn close(self: Box<Self>) {}
    }

    /// What becomes of a step that such a server is asked for, and all that it was asked for.
    async fn taken(
        step: AccountStep,
        kind: FaultKind,
        refuses: fn(&AccountStep) -> bool,
    ) -> (Result<Option<Reason>, Fault>, Vec<AccountStep>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let facts = ServerFacts {
            engine: Engine::MySql,
            partial_revokes: false,
            folds_names: false,
            read_only: false,
            plugin_active: true,
        };
        let session = Box::new(Refusing { kind, refuses, asked: asked.clone() });
        let mut chair = Arc::new(Desk::default()).sit().await;
        chair.seat.open = Some(Open { facts, session, since: Instant::now(), definers: None });
        let told = chair.apply(&Username::parse("app").unwrap(), &step).await;
        let asked = asked.lock().clone();
        (told.map(|told| told.map(|(reason, _)| reason)), asked)
    }

    #[tokio::test]
    async fn who_turns_out_to_be_a_definer_is_locked_instead_of_dropped() {
        let host = || HostPattern::parse("%").unwrap();
        let (told, asked) =
            taken(AccountStep::Drop { host: host() }, FaultKind::Definer, |it| matches!(it, AccountStep::Drop { .. }))
                .await;
        assert_eq!(told, Ok(Some(Reason::ReferencedAsDefiner)));
        assert_eq!(asked, [AccountStep::Drop { host: host() }, AccountStep::Lock { host: host() }]);
        let (told, _) = taken(AccountStep::Drop { host: host() }, FaultKind::Definer, |_| true).await;
        assert!(told.is_err(), "it could not be locked either");
        let (told, asked) = taken(AccountStep::Drop { host: host() }, FaultKind::Unreachable, |_| true).await;
        assert!(told.is_err() && asked.len() == 1, "{told:?} {asked:?}");
    }

    #[tokio::test]
    async fn sessions_that_cannot_be_ended_are_told_and_hold_up_nothing() {
        let ending = AccountStep::EndSessions { host: HostPattern::parse("%").unwrap(), beside: BTreeSet::new() };
        let (told, _) = taken(ending.clone(), FaultKind::LacksPrivilege, |_| true).await;
        assert_eq!(told, Ok(Some(Reason::SessionsLeft)));
        let (told, _) = taken(ending, FaultKind::LacksPrivilege, |_| false).await;
        assert_eq!(told, Ok(None));
    }
}
