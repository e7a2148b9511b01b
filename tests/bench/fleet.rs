//! The objects that are measured: one DbServer described by hand, namespaces with a ServiceAccount each, accounts that somebody else makes, and
//! tokens. So there is no database and no IAM in the figures, and STS is asked once a ServiceAccount.

use std::cell::Cell;
use std::fmt::Debug;
use std::ops::Range;
use std::time::Duration;

use aws_sdk_iam::operation::create_role::CreateRoleError;
use futures::{StreamExt, stream};
use iamdb::api::{DbAuthToken, DbServer, IamDbUser};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret, ServiceAccount};
use kube::Resource;
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::plane::Plane;

/// Secrets that share a token.
const OF_A_KEY: usize = 5;

/// Requests of the benchmark's own that are under way at the same time.
const CONCURRENCY: usize = 32;

const ACCOUNT: &str = "123456789012";
const ROLE: &str = "iamdb-bench";

/// How tokens are spread.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Name of the DbServer and of its CA bundle.
    server: &'static str,
    namespaces: usize,
    /// Tokens of a namespace, which are signed by one identity.
    tokens: usize,
}

impl Shape {
    /// So many tokens, 50 in a namespace.
    pub const fn wide(tokens: usize) -> Self {
        Self { server: "iamdb-bench", namespaces: tokens.div_ceil(50), tokens: 50 }
    }

    /// All in one namespace, on a server of their own.
    pub const fn crowd(tokens: usize) -> Self {
        Self { server: "iamdb-crowd", namespaces: 1, tokens }
    }

    /// Accounts of a namespace.
    const fn users(self) -> usize {
        self.tokens / OF_A_KEY
    }
}

/// Tokens, and what they need.
pub struct Fleet<'p> {
    plane: &'p Plane,
    shape: Shape,
    /// Tokens of each namespace that were made or promised.
    made: Cell<usize>,
}

impl<'p> Fleet<'p> {
    /// Everything but the tokens.
    pub async fn prepare(plane: &'p Plane, shape: Shape) -> Self {
        let fleet = Self { plane, shape, made: Cell::new(shape.tokens) };
        fleet.make_role().await;
        fleet.order_ca(false).await;
        let server = serde_json::from_value::<DbServer>(server(shape.server)).expect("DbServer");
        let servers = Api::<DbServer>::all(plane.client.clone());
        let apply = PatchParams::apply(ROLE).force();
        servers.patch(shape.server, &apply, &Patch::Apply(&server)).await.expect("DbServer");
        let namespaces = Api::<Namespace>::all(plane.client.clone());
        each(0..fleet.namespaces(), async |at| {
            let name = fleet.namespace(at);
            create(&namespaces, json!({"metadata": {"name": name}})).await;
            let role = format!("arn:aws:iam::{ACCOUNT}:role/{ROLE}");
            let account = json!({"metadata": {"name": "app", "annotations": {"eks.amazonaws.com/role-arn": role}}});
            create(&Api::<ServiceAccount>::namespaced(plane.client.clone(), &name), account).await;
            for user in 0..shape.users() {
                let account = account_of(shape.server, user);
                create(&Api::<IamDbUser>::namespaced(plane.client.clone(), &name), account).await;
            }
        })
        .await;
        fleet
    }

    /// Waits until the operator has looked at every user: a token waits for its user.
    pub async fn until_users_are_known(&self) {
        let users = Api::<IamDbUser>::all(self.plane.client.clone());
        while users.list(&ListParams::default()).await.expect("users").iter().any(|user| user.status.is_none()) {
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Makes the tokens.
    pub async fn make_tokens(&self) {
        each(0..self.tokens(), async |at| self.make_token(at).await).await;
    }

    /// Tokens that it does not have yet: one more of each of so many identities, or of as many as there are.
    pub fn newcomers(&self, identities: usize) -> Range<usize> {
        let begin = self.made.replace(self.made.get() + 1) * self.namespaces();
        begin..begin + identities.min(self.namespaces())
    }

    /// Namespace and name of a token, and of its Secret.
    pub fn place(&self, at: usize) -> (String, String) {
        (self.namespace(at % self.namespaces()), format!("t-{at}"))
    }

    /// Makes one token.
    pub async fn make_token(&self, at: usize) {
        let (namespace, name) = self.place(at);
        let api = Api::<DbAuthToken>::namespaced(self.plane.client.clone(), &namespace);
        let token = json!({
            "metadata": {"name": name},
            "spec": {
                "userRef": {"name": format!("u-{}", at / self.namespaces() % self.shape.users())},
                "database": "orders",
                "identity": {"type": "ServiceAccount", "serviceAccount": {"name": "app"}},
                "secret": {"name": name},
            }
        });
        create(&api, token).await;
    }

    /// Changes the CA bundle, and with it every Secret, but for its size: two certificates change places.
    pub async fn order_ca(&self, turned: bool) {
        let read = |name: &str| std::fs::read_to_string(self.plane.world.var(name)).expect("a CA");
        let (one, other) = (read("WORLD_CA"), read("WORLD_OTHER_CA"));
        let text = if turned { format!("{other}\n{one}") } else { format!("{one}\n{other}") };
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": self.shape.server}, "data": {"ca.crt": text}});
        let api = Api::<ConfigMap>::namespaced(self.plane.client.clone(), "iamdb-system");
        api.patch(self.shape.server, &PatchParams::apply(ROLE).force(), &Patch::Apply(&map)).await.expect("CA");
    }

    /// One of its Secrets.
    pub async fn a_secret(&self) -> Secret {
        let api = Api::<Secret>::namespaced(self.plane.client.clone(), &self.namespace(0));
        let ours = ListParams::default().labels("app.kubernetes.io/managed-by=iamdb-operator").limit(1);
        api.list(&ours).await.expect("Secrets").items.pop().expect("a Secret")
    }

    /// Removes it; the operator has to run, because users are waited for.
    pub async fn remove(self) {
        let client = &self.plane.client;
        each(0..self.namespaces(), async |at| {
            let (name, all) = (self.namespace(at), ListParams::default());
            let tokens = Api::<DbAuthToken>::namespaced(client.clone(), &name);
            tokens.delete_collection(&DeleteParams::default(), &all).await.expect("delete tokens");
            let users = Api::<IamDbUser>::namespaced(client.clone(), &name);
            users.delete_collection(&DeleteParams::default(), &all).await.expect("delete users");
            while !users.list_metadata(&all.clone().limit(1)).await.expect("users").items.is_empty() {
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        })
        .await;
        self.plane.remove_namespaces((0..self.namespaces()).map(|at| self.namespace(at)).collect()).await;
    }

    /// How many tokens it has from the beginning.
    pub const fn tokens(&self) -> usize {
        self.shape.namespaces * self.shape.tokens
    }

    /// How many namespaces it has, and identities that sign.
    pub const fn namespaces(&self) -> usize {
        self.shape.namespaces
    }

    fn namespace(&self, at: usize) -> String {
        format!("bench-{}-{}-{at:03}", self.namespaces(), self.tokens())
    }

    async fn make_role(&self) {
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/kubernetes.default.svc")},
            "Condition": {"StringLike": {"kubernetes.default.svc:sub": "system:serviceaccount:bench-*:app"}}}]});
        let iam = aws_sdk_iam::Client::new(&self.plane.world.aws());
        let made = iam.create_role().role_name(ROLE).assume_role_policy_document(trust.to_string()).send().await;
        let is_there = made
            .as_ref()
            .err()
            .and_then(|it| it.as_service_error())
            .is_some_and(CreateRoleError::is_entity_already_exists_exception);
        assert!(made.is_ok() || is_there, "create role: {made:?}");
    }
}

fn server(name: &str) -> Value {
    let host = format!("{name}.cworld000001.us-east-1.rds.amazonaws.com");
    let resource_id = format!("db-{:0<26}", name.replace('-', "").to_uppercase());
    json!({
        "apiVersion": "iamdb.dev/v1alpha1", "kind": "DbServer", "metadata": {"name": name},
        "spec": {
            "region": "us-east-1",
            "source": {"type": "Static", "static": {
                "accountId": ACCOUNT, "resourceId": resource_id, "engine": "mysql",
                "writer": {"host": host, "port": 3306}}},
            "ca": {"type": "ConfigMap", "configMap": {"name": name, "key": "ca.crt"}},
            "tenancy": [{"name": "all", "namespaces": {"selector": {}}, "usernames": ["*"]}],
        }
    })
}

fn account_of(server: &str, user: usize) -> Value {
    json!({
        "metadata": {"name": format!("u-{user}")},
        "spec": {
            "serverRef": {"name": server},
            "username": format!("app_{user}"),
            "management": {"account": "External", "policy": "External"},
        }
    })
}

/// Does something many times, as many at once as an apiserver likes.
pub async fn each(range: std::ops::Range<usize>, what: impl AsyncFn(usize)) {
    let what = &what;
    stream::iter(range).for_each_concurrent(CONCURRENCY, |at| what(at)).await;
}

/// Makes an object.
pub async fn create<K>(api: &Api<K>, object: Value)
where
    K: Resource + Clone + Debug + DeserializeOwned + serde::Serialize,
{
    let object: K = serde_json::from_value(object).expect("an object");
    api.create(&PostParams::default(), &object).await.expect("create");
}
