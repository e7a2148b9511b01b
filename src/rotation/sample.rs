//! An order, and a world in which nothing answers, for the tests of this module.

use std::collections::{BTreeMap, BTreeSet};
use std::future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use kube::client::Body;
use tokio::sync::Semaphore;

use super::marks::Marks;
use super::order::{Identity, Order, Owner, SecretRef, Verify};
use crate::domain::access::Access;
use crate::domain::arn::Principal;
use crate::domain::assume::Assume;
use crate::domain::binding::Binding;
use crate::domain::digest::Digest;
use crate::domain::endpoint::Endpoint;
use crate::domain::engine::Engine;
use crate::domain::schedule;
use crate::domain::secret::Secret;
use crate::domain::token::{Connect, Credentials};
use crate::ports::{Clock, Fault, FaultKind, Login, LoginProbe, LoginTarget, OwnIdentity, Sessions};

pub(super) const MARKS: Marks = Marks {
    secret_type: "t",
    owner_kind: ("v1", "DbAuthToken"),
    managed_by: ("by", "us"),
    owner_uid: "owner",
    expires_at_label: "expires",
    expires_at: "expires",
    issued_at: "issued",
    inputs: "inputs",
    applied: "applied",
};

/// Something that goes into a Secret.
pub(super) fn inputs(what: usize) -> Digest {
    Digest::of([what.to_string().as_str()])
}

/// An order of the object `secret` for a Secret of that name.
pub(super) fn order(user: &str, secret: &str) -> Order {
    Order {
        secret: SecretRef { namespace: "shop".into(), name: secret.into() },
        owner: Owner { name: secret.into(), uid: secret.into() },
        identity: role("app").into(),
        binding: Binding {
            connect: Connect {
                region: "us-east-1".into(),
                endpoint: Endpoint::new("orders.abc.us-east-1.rds.amazonaws.com", 3306).unwrap(),
                username: user.into(),
            }
            .into(),
            alias: None,
            engine: Engine::MySql,
            database: None,
            ca: None,
            formats: BTreeSet::new(),
            mount_path: "/x".into(),
        },
        renew_before: schedule::RENEW_BEFORE,
        labels: BTreeMap::new(),
        annotations: BTreeMap::new(),
        verify: Verify::Never,
        ca: "".into(),
        hosts: Vec::new(),
        inputs: inputs(1),
    }
}

/// A role that the operator assumes.
pub(super) fn role(name: &str) -> Identity {
    let arn = format!("arn:aws:iam::123456789012:role/{name}").parse().unwrap();
    Identity::Role { region: "us-east-1".into(), assume: Assume::new(arn, "c1", "shop", false) }
}

/// An apiserver that cannot be reached.
pub(super) fn no_apiserver() -> kube::Client {
    let refuse = |_: http::Request<Body>| {
        future::ready(Err::<http::Response<Body>, _>(io::Error::other("there is no apiserver here")))
    };
    kube::Client::new(tower::service_fn(refuse), "default")
}

/// Everything else that does not answer. Whoever asks for credentials hangs until the gate lets one through, and is refused then.
pub(super) struct Silence {
    pub(super) gate: Semaphore,
    asked: AtomicUsize,
}

impl Silence {
    pub(super) fn new() -> Self {
        Self { gate: Semaphore::new(0), asked: AtomicUsize::new(0) }
    }

    /// How often credentials were asked for.
    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Waits until credentials were asked for so often.
    pub(super) async fn was_asked(&self, times: usize) {
        while self.asked() < times {
            tokio::task::yield_now().await;
        }
    }

    async fn refuse(&self) -> Result<Credentials, Fault> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        Err(Fault::new(FaultKind::Unreachable, "assume role"))
    }
}

#[async_trait]
impl Sessions for Silence {
    async fn by_web_identity(&self, _: &str, _: &Principal, _: &Secret, _: Duration) -> Result<Credentials, Fault> {
        self.refuse().await
    }

    async fn by_role(&self, _: &str, _: &Assume, _: Option<&Credentials>, _: Duration) -> Result<Credentials, Fault> {
        self.refuse().await
    }
}

#[async_trait]
impl OwnIdentity for Silence {
    async fn credentials(&self) -> Result<Credentials, Fault> {
        self.refuse().await
    }

    async fn credentials_for(&self, _: &Access) -> Result<Credentials, Fault> {
        self.refuse().await
    }
}

#[async_trait]
impl LoginProbe for Silence {
    async fn log_in(&self, _: &LoginTarget, _: Engine) -> Result<Login, Fault> {
        Err(Fault::new(FaultKind::Unreachable, "log in"))
    }
}

impl Clock for Silence {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }
}
