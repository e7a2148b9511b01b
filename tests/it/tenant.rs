//! A tenant of the world: a namespace, a DbServer with rules for it, a ServiceAccount and the role that it may assume.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use iamdb::api::{DbAuthToken, DbServer, IamDbUser};
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::effects::Since;
use crate::world::{Database, SOON, World, patiently, until};

/// Account of the world.
pub const ACCOUNT: &str = "123456789012";

/// A namespace with all that it takes to get at a database.
pub struct Tenant {
    pub world: &'static World,
    pub client: Client,
    /// Name of the namespace, the DbServer, the role, and everything else that needs one.
    pub name: String,
    pub database: Database,
    pub iam: aws_sdk_iam::Client,
    scratch: tempfile::TempDir,
}

impl Tenant {
    /// Makes the namespace, the ServiceAccount `app`, the role that it may assume, and a DbServer whose one rule is for them.
    pub async fn new(database: Database, test: &str) -> Self {
        let tenant = Self::bare(database, test).await;
        tenant.apply_server(tenant.server()).await;
        tenant
    }

    /// The same without a DbServer.
    pub async fn bare(database: Database, test: &str) -> Self {
        let world = World::get();
        let client = world.kube().await;
        let unique: String = uuid().chars().filter(char::is_ascii_hexdigit).take(6).collect();
        let name = format!("t-{test}-{unique}");
        let iam = aws_sdk_iam::Client::new(&world.aws());
        let scratch = tempfile::tempdir().expect("scratch folder");
        let tenant = Self { world, client, name, database, iam, scratch };
        let namespace = json!({"metadata": {"name": tenant.name, "labels": {"tenant": tenant.name}}});
        Api::<Namespace>::all(tenant.client.clone())
            .create(&PostParams::default(), &serde_json::from_value(namespace).expect("namespace"))
            .await
            .expect("create namespace");
        tenant.create_role(&tenant.name, "app").await;
        tenant.create_service_account("app", &tenant.role_arn(&tenant.name)).await;
        tenant
    }

    /// ARN of a role of the world's account.
    #[allow(clippy::unused_self, reason = "it is asked of the tenant that makes the role")]
    pub fn role_arn(&self, role: &str) -> String {
        format!("arn:aws:iam::{ACCOUNT}:role/{role}")
    }

    /// A role that a ServiceAccount of the namespace may assume by its token.
    pub async fn create_role(&self, role: &str, service_account: &str) {
        self.create_role_with(role, &self.web_identity_trust(service_account)).await;
    }

    /// Lets a ServiceAccount of the namespace assume a role by its token.
    pub fn web_identity_trust(&self, service_account: &str) -> Value {
        json!({"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity",
            "Principal": {"Federated": format!("arn:aws:iam::{ACCOUNT}:oidc-provider/kubernetes.default.svc")},
            "Condition": {"StringEquals": {
                "kubernetes.default.svc:sub": format!("system:serviceaccount:{}:{service_account}", self.name),
                "kubernetes.default.svc:aud": "sts.amazonaws.com"}}}]})
    }

    /// A role with this trust policy.
    pub async fn create_role_with(&self, role: &str, trust: &Value) {
        let call = self.iam.create_role().role_name(role).assume_role_policy_document(trust.to_string());
        call.send().await.expect("create role");
    }

    /// A ServiceAccount whose annotation names a role.
    pub async fn create_service_account(&self, name: &str, role_arn: &str) {
        let account = json!({"metadata": {"name": name, "annotations": {"eks.amazonaws.com/role-arn": role_arn}}});
        Api::<ServiceAccount>::namespaced(self.client.clone(), &self.name)
            .create(&PostParams::default(), &serde_json::from_value(account).expect("ServiceAccount"))
            .await
            .expect("create ServiceAccount");
    }

    /// The DbServer, to be changed before it is applied.
    pub fn server(&self) -> Value {
        json!({
            "apiVersion": "iamdb.dev/v1alpha1", "kind": "DbServer", "metadata": {"name": self.name},
            "spec": {
                "region": "us-east-1",
                "source": self.source(),
                "admin": {"type": "MasterUserSecret"},
                "ca": {"type": "ConfigMap", "configMap": {"name": "world-ca", "key": "ca.crt"}},
                "tenancy": [{
                    "name": "tenant", "namespaces": {"names": [self.name]},
                    "usernames": ["*"], "databases": ["*"],
                    "privileges": ["SELECT", "INSERT", "UPDATE", "DELETE", "CREATE", "DROP"],
                    "hosts": ["%", "10.%"],
                    "principals": [format!("arn:aws:iam::{ACCOUNT}:role/*"), format!("arn:aws:iam::{ACCOUNT}:user/*"), format!("arn:aws:iam::{ACCOUNT}:group/*")],
                    "assumeRoles": [format!("arn:aws:iam::{ACCOUNT}:role/{}*", self.name)],
                }],
            }
        })
    }

    fn source(&self) -> Value {
        let identifier = json!({"identifier": self.database.identifier()});
        match self.database {
            Database::Orders | Database::Billing | Database::Catalog => {
                json!({"type": "DbInstance", "dbInstance": identifier})
            }
            Database::Ledger => json!({"type": "DbCluster", "dbCluster": identifier}),
        }
    }

    /// A user name of this test's own.
    pub fn username(&self, purpose: &str) -> String {
        let unique = &self.name[self.name.len() - 6..];
        format!("{purpose}_{unique}")
    }

    /// An IamDbUser with SELECT on the database, for the role of ServiceAccount `app`; to be changed before it is applied.
    pub fn user(&self, name: &str) -> Value {
        json!({
            "apiVersion": "iamdb.dev/v1alpha1", "kind": "IamDbUser", "metadata": {"name": name, "namespace": self.name},
            "spec": {
                "serverRef": {"name": self.name},
                "username": self.username(name),
                "grants": [{"database": self.database.identifier(), "objectType": "Schema", "object": "*", "privileges": ["SELECT"]}],
                "principals": {"serviceAccounts": [{"name": "app"}]},
            }
        })
    }

    /// A DbAuthToken for an IamDbUser, signed by ServiceAccount `app`; to be changed before it is applied.
    pub fn token(&self, name: &str, user: &str) -> Value {
        json!({
            "apiVersion": "iamdb.dev/v1alpha1", "kind": "DbAuthToken", "metadata": {"name": name, "namespace": self.name},
            "spec": {
                "userRef": {"name": user},
                "database": self.database.identifier(),
                "identity": {"type": "ServiceAccount", "serviceAccount": {"name": "app"}},
                "secret": {"name": format!("{name}-db"), "formats": ["Binding", "MyCnf"], "mountPath": self.mount(name).display().to_string()},
            }
        })
    }

    /// Applies a DbServer as kubectl would.
    pub async fn apply_server(&self, server: Value) {
        self.try_apply_server(server).await.expect("apply DbServer");
    }

    pub async fn try_apply_server(&self, server: Value) -> Result<DbServer, kube::Error> {
        apply(&Api::all(self.client.clone()), server).await
    }

    /// Applies a namespaced object as kubectl would.
    pub async fn apply<K>(&self, object: Value) -> K
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        self.try_apply(object).await.expect("apply")
    }

    pub async fn try_apply<K>(&self, object: Value) -> Result<K, kube::Error>
    where
        K: Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>
            + Clone
            + DeserializeOwned
            + std::fmt::Debug,
    {
        apply(&Api::namespaced(self.client.clone(), &self.name), object).await
    }

    pub fn servers(&self) -> Api<DbServer> {
        Api::all(self.client.clone())
    }

    pub fn users(&self) -> Api<IamDbUser> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    pub fn tokens(&self) -> Api<DbAuthToken> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    pub fn secrets(&self) -> Api<Secret> {
        Api::namespaced(self.client.clone(), &self.name)
    }

    /// Applies a user and a token for it, and waits until both are ready.
    pub async fn ready_pair(&self, user: &str, token: &str) {
        self.apply::<IamDbUser>(self.user(user)).await;
        self.apply::<DbAuthToken>(self.token(token, user)).await;
        self.user_ready(user).await;
        self.token_ready(token).await;
    }

    pub async fn server_reason(&self, status: &str, reason: &str) -> String {
        self.server_condition("Ready", status, reason).await
    }

    /// Waits until a condition of the DbServer is this, and returns its message.
    pub async fn server_condition(&self, condition: &str, status: &str, reason: &str) -> String {
        condition_of(&self.servers(), &self.name, condition, status, reason).await
    }

    pub async fn user_ready(&self, name: &str) -> String {
        self.user_reason(name, "True", "Ready").await
    }

    /// Waits until Ready of an IamDbUser is this, and returns its message.
    pub async fn user_reason(&self, name: &str, status: &str, reason: &str) -> String {
        condition_of(&self.users(), name, "Ready", status, reason).await
    }

    pub async fn token_ready(&self, name: &str) -> String {
        self.token_reason(name, "True", "Ready").await
    }

    pub async fn token_reason(&self, name: &str, status: &str, reason: &str) -> String {
        condition_of(&self.tokens(), name, "Ready", status, reason).await
    }

    /// Waits until a condition of a DbAuthToken is this, and returns its message.
    pub async fn token_condition(&self, name: &str, condition: &str, status: &str, reason: &str) -> String {
        condition_of(&self.tokens(), name, condition, status, reason).await
    }

    /// Asks the operator to look at an IamDbUser now rather than at the next resync.
    pub async fn look_at(&self, user: &str) {
        annotate(&self.users(), user, "iamdb.dev/look-at").await;
    }

    /// The same, and waits until the account has been read for it.
    pub async fn looked_at(&self, user: &str) {
        let (since, username) = (Since::now(self.world), self.username(user));
        self.look_at(user).await;
        let is_read = |it: &String| it.starts_with("SELECT ") && it.contains(&username);
        until(&format!("a look at {username}"), SOON, || async {
            since.statements(self.world, self.database).iter().any(is_read).then_some(())
        })
        .await;
    }

    /// What a look at a user changes of its account.
    pub async fn changed_by_a_look(&self, user: &str) -> Vec<String> {
        let since = Since::now(self.world);
        self.looked_at(user).await;
        tokio::time::sleep(Duration::from_millis(700)).await; // a change comes after the look
        since.changes(self.world, self.database, &self.username(user))
    }

    /// Asks for a look at the DbServer.
    pub async fn look_at_server(&self) {
        annotate(&self.servers(), &self.name, "iamdb.dev/look-at").await;
    }

    /// Asks for a new token.
    pub async fn rotate(&self, token: &str) {
        annotate(&self.tokens(), token, "iamdb.dev/rotate-requested-at").await;
    }

    /// Asks for a new token and waits for it.
    pub async fn rotated(&self, token: &str, patience: Duration) {
        let secret = format!("{token}-db");
        tokio::time::sleep(Duration::from_millis(1_100)).await; // tokens of one second are one token
        let password = || async { self.secrets().get_opt(&secret).await.expect("get")?.data?.remove("password") };
        let before = password().await;
        self.rotate(token).await;
        let is_new = || async { password().await.filter(|it| Some(it) != before.as_ref()).map(drop) };
        until("a new token", patience, is_new).await;
    }

    /// Changes an object by hand.
    pub async fn merge<K>(&self, api: &Api<K>, name: &str, patch: Value) -> K
    where
        K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
    {
        api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.expect("patch")
    }

    /// Folder where a token's Secret would be mounted.
    pub fn mount(&self, token: &str) -> PathBuf {
        self.scratch(token)
    }

    /// A path that goes with the tenant.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Lays a Secret out as the kubelet does, and returns the option file in it.
    pub async fn lay_out(&self, token: &str) -> PathBuf {
        let secret = self.secret(token).await;
        let folder = self.mount(token);
        std::fs::create_dir_all(&folder).expect("mount folder");
        for (key, value) in secret {
            std::fs::write(folder.join(key), value).expect("write key");
        }
        folder.join("my.cnf")
    }

    /// The data of a token's Secret.
    pub async fn secret(&self, token: &str) -> BTreeMap<String, Vec<u8>> {
        let secret = self.secret_object(token).await;
        secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect()
    }

    /// A token's Secret.
    pub async fn secret_object(&self, token: &str) -> Secret {
        let name = format!("{token}-db");
        until(&format!("Secret {name}"), SOON, || async { self.secrets().get_opt(&name).await.expect("get Secret") })
            .await
    }

    /// Logs in with a token's files alone.
    pub async fn log_in(&self, token: &str, sql: &str) -> Result<String, String> {
        let option_file = self.lay_out(token).await;
        self.world.client_sql(self.database, &option_file, sql)
    }

    /// Row of an account in the catalogue: host, plugin, string, ssl_type; empty when there is none.
    pub fn account(&self, username: &str) -> String {
        let sql = format!(
            "SELECT Host, plugin, authentication_string, ssl_type FROM mysql.user WHERE BINARY User = '{username}' ORDER BY Host"
        );
        self.world.root_sql(self.database, &sql)
    }

    /// Deletes the tenant's role, with whatever the operator attaches meanwhile.
    pub async fn delete_role(&self) {
        let arn = self.role_arn(&self.name);
        until("the role is deleted", SOON, || async {
            for policy in self.attached(&arn).await {
                let _ = self.iam.detach_role_policy().role_name(&self.name).policy_arn(&policy).send().await;
            }
            self.iam.delete_role().role_name(&self.name).send().await.ok()
        })
        .await;
    }

    /// Deletes an object and waits until it is gone.
    pub async fn delete<K>(&self, api: Api<K>, name: &str)
    where
        K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
    {
        api.delete(name, &DeleteParams::default()).await.expect("delete");
        until(&format!("{name} is gone"), SOON, || async {
            api.get_opt(name).await.expect("get").is_none().then_some(())
        })
        .await;
    }

    /// Deletes the tenant, and waits until nothing of it is left: deletion that ends is part of every test.
    pub async fn close(self) {
        let users = self.users().list(&ListParams::default()).await.expect("list IamDbUsers");
        let usernames: Vec<_> = users.iter().map(|user| user.spec.username.clone()).collect();
        for user in users {
            self.delete(self.users(), &user.name_any()).await;
        }
        let namespaces = Api::<Namespace>::all(self.client.clone());
        if namespaces.get_opt(&self.name).await.expect("get Namespace").is_some() {
            self.delete(namespaces, &self.name).await;
        }
        if self.servers().get_opt(&self.name).await.expect("get DbServer").is_some() {
            self.delete(self.servers(), &self.name).await;
        }
        for username in usernames.iter().filter(|username| username.ends_with(&self.name[self.name.len() - 6..])) {
            assert_eq!(self.account(username), "", "account {username} is left");
        }
    }
}

/// Gives an annotation a value that it never had.
async fn annotate<K>(api: &Api<K>, name: &str, annotation: &str)
where
    K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
{
    let patch = json!({"metadata": {"annotations": {annotation: uuid()}}});
    api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await.expect("annotate");
}

/// Applies an object as kubectl would.
pub async fn apply<K>(api: &Api<K>, object: Value) -> Result<K, kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let name = object["metadata"]["name"].as_str().expect("a name").to_owned();
    api.patch(&name, &PatchParams::apply("test").force(), &Patch::Apply(&object)).await
}

/// Waits until a condition is this, and returns its message.
async fn condition_of<K>(api: &Api<K>, name: &str, condition: &str, status: &str, reason: &str) -> String
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + serde::Serialize + std::fmt::Debug,
{
    let last = parking_lot::Mutex::new(Value::Null);
    let wanted = format!("{} {name} {condition}={status} {reason}", K::kind(&()));
    let look = || async {
        let object = serde_json::to_value(api.get_opt(name).await.expect("get")?).expect("JSON");
        let conditions = object["status"]["conditions"].as_array().into_iter().flatten();
        let found = conditions.into_iter().find(|it| it["type"] == condition)?;
        *last.lock() = found.clone();
        let is_current = found["observedGeneration"] == object["metadata"]["generation"];
        let is_wanted = is_current && found["status"] == status && found["reason"] == reason;
        is_wanted.then(|| found["message"].as_str().unwrap_or_default().to_owned())
    };
    patiently(SOON, look).await.unwrap_or_else(|| panic!("not within {SOON:?}: {wanted}; it is {}", last.lock()))
}

/// What time it is.
#[allow(clippy::disallowed_methods, reason = "tests are outside, where the time comes from")]
pub fn now() -> jiff::Timestamp {
    jiff::Timestamp::now()
}

/// A text that nobody used before.
pub fn uuid() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/uuid").expect("uuid").trim().to_owned()
}

/// An instant that an annotation of a Secret names.
pub fn instant(secret: &Secret, annotation: &str) -> jiff::Timestamp {
    secret.annotations()[annotation].parse().expect("an instant")
}
