//! The objects that are measured: one DbServer described by hand, namespaces with a ServiceAccount each, accounts that somebody else makes, and
//! tokens. So there is no database and no IAM in the figures, and STS is asked once a ServiceAccount.

use std::fmt::Debug;
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

/// Tokens of a namespace, which are signed by one identity.
pub const TOKENS: usize = 50;

/// Accounts of a namespace; so five Secrets share a token.
pub const USERS: usize = 10;

/// Requests of the benchmark's own that are under way at the same time.
const CONCURRENCY: usize = 32;

const ACCOUNT: &str = "123456789012";
const NAME: &str = "iamdb-bench";

/// So many tokens, and what they need.
pub struct Fleet<'p> {
    plane: &'p Plane,
    tokens: usize,
}

impl<'p> Fleet<'p> {
    /// Everything but the tokens.
    pub async fn prepare(plane: &'p Plane, tokens: usize) -> Self {
        let fleet = Self { plane, tokens };
        fleet.make_role().await;
        fleet.order_ca(false).await;
        let server = serde_json::from_value::<DbServer>(server()).expect("DbServer");
        let servers = Api::<DbServer>::all(plane.client.clone());
        servers.patch(NAME, &PatchParams::apply(NAME).force(), &Patch::Apply(&server)).await.expect("DbServer");
        let namespaces = Api::<Namespace>::all(plane.client.clone());
        each(0..fleet.namespaces(), async |at| {
            let name = fleet.namespace(at);
            create(&namespaces, json!({"metadata": {"name": name}})).await;
            let role = format!("arn:aws:iam::{ACCOUNT}:role/{NAME}");
            let account = json!({"metadata": {"name": "app", "annotations": {"eks.amazonaws.com/role-arn": role}}});
            create(&Api::<ServiceAccount>::namespaced(plane.client.clone(), &name), account).await;
            for user in 0..USERS {
                create(&Api::<IamDbUser>::namespaced(plane.client.clone(), &name), account_of(user)).await;
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
        each(0..self.tokens, async |at| self.make_token(at).await).await;
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
                "userRef": {"name": format!("u-{}", at / self.namespaces() % USERS)},
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
        let map =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": {"ca.crt": text}});
        let api = Api::<ConfigMap>::namespaced(self.plane.client.clone(), "iamdb-system");
        api.patch(NAME, &PatchParams::apply(NAME).force(), &Patch::Apply(&map)).await.expect("CA");
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

    /// How many namespaces it has, and identities that sign.
    pub const fn namespaces(&self) -> usize {
        self.tokens.div_ceil(TOKENS)
    }

    fn namespace(&self, at: usize) -> String {
        format!("bench-{}-{at:03}", self.tokens)
    }

    async fn make_role(&self) {
        let trust = json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/kubernetes.default.svc")},
            "Condition": {"StringLike": {"kubernetes.default.svc:sub": "system:serviceaccount:bench-*:app"}}}]});
        let iam = aws_sdk_iam::Client::new(&self.plane.world.aws());
        let made = iam.create_role().role_name(NAME).assume_role_policy_document(trust.to_string()).send().await;
        let is_there = made
            .as_ref()
            .err()
            .and_then(|it| it.as_service_error())
            .is_some_and(CreateRoleError::is_entity_already_exists_exception);
        assert!(made.is_ok() || is_there, "create role: {made:?}");
    }
}

fn server() -> Value {
    let host = format!("{NAME}.cworld000001.us-east-1.rds.amazonaws.com");
    json!({
        "apiVersion": "iamdb.dev/v1alpha1", "kind": "DbServer", "metadata": {"name": NAME},
        "spec": {
            "region": "us-east-1",
            "source": {"type": "Static", "static": {
                "accountId": ACCOUNT, "resourceId": "db-BENCH00000000000000000001", "engine": "mysql",
                "writer": {"host": host, "port": 3306}}},
            "ca": {"type": "ConfigMap", "configMap": {"name": NAME, "key": "ca.crt"}},
            "tenancy": [{"name": "all", "namespaces": {"selector": {}}, "usernames": ["*"]}],
        }
    })
}

fn account_of(user: usize) -> Value {
    json!({
        "metadata": {"name": format!("u-{user}")},
        "spec": {
            "serverRef": {"name": NAME},
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
