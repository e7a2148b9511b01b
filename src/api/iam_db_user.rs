//! `IamDbUser`: an account with its grants in the database, and the `rds-db:connect` policy that lets principals use it.

mod status;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::db_server::NamespaceSet;
use super::duration::Duration;

pub use status::{AccountState, AccountStatus, AttachmentState, AttachmentStatus, IamDbUserStatus, PolicyStatus};

/// A database account that logs in with IAM tokens, its grants, and who may use it.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "iamdb.dev",
    version = "v1alpha1",
    kind = "IamDbUser",
    plural = "iamdbusers",
    shortname = "idu",
    category = "iamdb",
    namespaced,
    status = "IamDbUserStatus",
    derive = "PartialEq",
    doc = "A database account that logs in with IAM tokens, its grants, and who may use it.",
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].status"),
    printcolumn(name = "Reason", type_ = "string", json_path = ".status.conditions[?(@.type=='Ready')].reason"),
    printcolumn(name = "Server", type_ = "string", json_path = ".spec.serverRef.name"),
    printcolumn(name = "User", type_ = "string", json_path = ".spec.username"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    validation = Rule::new("self.spec.serverRef == oldSelf.spec.serverRef").message("spec.serverRef is immutable"),
    validation = Rule::new("self.spec.username == oldSelf.spec.username").message("spec.username is immutable")
)]
#[serde(rename_all = "camelCase")]
pub struct IamDbUserSpec {
    /// The DbServer that the account is on. Immutable.
    pub server_ref: ServerRef,
    /// Name of the account. Case is kept and matters: in the database, in the policy and in the token. Immutable.
    #[schemars(length(min = 1, max = 32), regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$"))]
    pub username: String,
    /// Host patterns; one account is made for each. The account of a host that leaves is dropped, or locked where the deletion policy is not Drop. If it
    /// stays and a wider host lets its clients in, it is kept as the spec says.
    #[serde(default = "any_host")]
    #[schemars(length(min = 1, max = 16), inner(length(min = 1, max = 255), regex(pattern = r"^[a-z0-9.:/_%-]+$")))]
    // Not a set: server-side apply would add to the default instead of replacing it.
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub hosts: Vec<String>,
    /// Exactly the grants that the account shall have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 128))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["database".into(), "objectType".into(), "object".into()]))]
    pub grants: Vec<Grant>,
    /// Whether grants beyond the spec are taken away.
    #[serde(default)]
    pub grant_policy: GrantPolicy,
    /// MySQL roles that the account is granted, and that are its default roles. A tenancy rule must list each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(min = 1, max = 32), regex(pattern = r"^[A-Za-z0-9_][A-Za-z0-9_.-]{0,31}$"))
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub roles: Vec<String>,
    /// Limits of the account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limits: Option<Limits>,
    /// Whether the account is locked: nobody can log in as it. Sessions that are open stay open.
    #[serde(default)]
    pub locked: bool,
    /// Who makes what: this operator, or somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub management: Option<Management>,
    /// What to do when the account is there already and is not ours.
    #[serde(default)]
    pub existing_user: ExistingUser,
    /// Who may connect as this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principals: Option<Principals>,
    /// How far the policy reaches: this server, or every server of the account and Region that has an account of this name.
    #[serde(default)]
    pub scope: Scope,
    /// Whether the policy also names the DbServer's proxies. Default: those that can serve this account. Written out as true, one that cannot is
    /// an error: a standard proxy needs a database user with a password, so `management.account: External`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_proxies: Option<bool>,
    /// Which other namespaces may have tokens for this account. Each also needs a tenancy rule of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_consumers: Option<TokenConsumers>,
    /// What becomes of the account when this object goes. Default: the DbServer's, else Drop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_policy: Option<DeletionPolicy>,
    /// Whether open sessions end when the account is dropped or locked. Neither ends them by itself.
    #[serde(default = "yes")]
    pub end_sessions: bool,
    /// What deletion does while the database cannot be reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_unreachable: Option<OnUnreachable>,
    /// Leaves everything as it is until this is taken back. Deletion goes on all the same.
    #[serde(default)]
    pub suspend: bool,
}

fn any_host() -> Vec<String> {
    vec!["%".to_owned()]
}

fn yes() -> bool {
    true
}

/// Which other namespaces may have tokens for an account.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
pub struct TokenConsumers {
    /// The namespaces.
    pub namespaces: NamespaceSet,
}

/// Names a DbServer.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct ServerRef {
    /// Name of the DbServer.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
}

/// Privileges on one schema, table or stored routine.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = Rule::new("(self.objectType == 'Schema') == (self.object == '*')")
        .message("object must be * when objectType is Schema, and a name otherwise")
)]
pub struct Grant {
    /// The database, literally: `_` stands for itself.
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^[A-Za-z0-9_$-]{1,64}$"))]
    pub database: String,
    /// What kind of thing the privileges are on.
    #[serde(default)]
    pub object_type: ObjectType,
    /// Name of the table or routine; `*` for a schema.
    #[serde(default = "any_object")]
    #[schemars(length(min = 1, max = 64), regex(pattern = r"^(\*|[A-Za-z0-9_$-]{1,64})$"))]
    pub object: String,
    /// The privileges.
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub privileges: Vec<Privilege>,
}

fn any_object() -> String {
    "*".to_owned()
}

/// What a grant is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ObjectType {
    /// All of a database.
    #[default]
    Schema,
    /// One table or view.
    Table,
    /// One stored procedure.
    Procedure,
    /// One stored function.
    Function,
    /// A type that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// The privileges that can be granted: those of a schema, and none that reaches beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize, JsonSchema)]
#[allow(missing_docs, reason = "the names are MySQL's own; its manual says what each allows")]
pub enum Privilege {
    #[serde(rename = "SELECT")]
    Select,
    #[serde(rename = "INSERT")]
    Insert,
    #[serde(rename = "UPDATE")]
    Update,
    #[serde(rename = "DELETE")]
    Delete,
    #[serde(rename = "CREATE")]
    Create,
    #[serde(rename = "DROP")]
    Drop,
    #[serde(rename = "REFERENCES")]
    References,
    #[serde(rename = "INDEX")]
    Index,
    #[serde(rename = "ALTER")]
    Alter,
    #[serde(rename = "CREATE TEMPORARY TABLES")]
    CreateTemporaryTables,
    #[serde(rename = "LOCK TABLES")]
    LockTables,
    #[serde(rename = "EXECUTE")]
    Execute,
    #[serde(rename = "CREATE VIEW")]
    CreateView,
    #[serde(rename = "SHOW VIEW")]
    ShowView,
    #[serde(rename = "CREATE ROUTINE")]
    CreateRoutine,
    #[serde(rename = "ALTER ROUTINE")]
    AlterRoutine,
    #[serde(rename = "EVENT")]
    Event,
    #[serde(rename = "TRIGGER")]
    Trigger,
    /// A privilege that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// How far a policy reaches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Scope {
    /// This server.
    #[default]
    Server,
    /// Every server of the account and Region, of every engine; a tenancy rule must allow it.
    AccountRegion,
    /// A choice that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Whether grants beyond the spec are taken away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum GrantPolicy {
    /// The account holds exactly the grants of the spec.
    #[default]
    Authoritative,
    /// The account holds at least the grants of the spec; what is granted besides stays.
    Additive,
    /// A choice that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Limits of an account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Limits {
    /// Sessions that may be open at once; 0 for the server's own limit.
    #[serde(default)]
    #[schemars(range(max = 100_000))]
    pub max_user_connections: u32,
}

/// Who makes what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct Management {
    /// Who makes the account and its grants.
    #[serde(default)]
    pub account: Manager,
    /// Who makes the policy.
    #[serde(default)]
    pub policy: Manager,
}

/// Who makes something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum Manager {
    /// This operator.
    #[default]
    Managed,
    /// Somebody else; the operator neither looks at it nor touches it.
    External,
    /// A choice that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// What to do about an account that is there already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum ExistingUser {
    /// Leave it alone and say so.
    #[default]
    Fail,
    /// Make it an IAM account of ours, where a tenancy rule lists it under `adopt`. A password that it has stops working.
    Adopt,
    /// A choice that this version does not know.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// Who may connect as an account.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Principals {
    /// ARNs of IAM roles, users and groups in the database's account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 64),
        inner(
            length(min = 20, max = 2048),
            regex(pattern = r"^arn:aws[a-z-]*:iam::[0-9]{12}:(role|user|group)/[A-Za-z0-9_+=,.@/-]+$")
        )
    )]
    #[x_kube(merge_strategy = ListMerge::Set)]
    pub arns: Vec<String>,
    /// ServiceAccounts: the role that their IRSA annotation names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into(), "namespace".into()]))]
    pub service_accounts: Vec<ServiceAccountRef>,
}

/// A ServiceAccount whose IRSA annotation names a role. A tenancy rule must list that role.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct ServiceAccountRef {
    /// Name of the ServiceAccount.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Its namespace; empty for the object's own.
    #[serde(default)]
    #[schemars(length(max = 63))]
    pub namespace: String,
}

/// What becomes of an account when its object goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum DeletionPolicy {
    /// The account is dropped.
    Drop,
    /// The account is locked and stays, with its mark of ownership.
    Lock,
    /// The account stays, with its mark of ownership.
    Retain,
    /// A choice that this version does not know; nothing is dropped.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}

/// What deletion does while the database cannot be reached.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub struct OnUnreachable {
    /// Leave the account behind, or wait.
    #[serde(default)]
    pub action: UnreachableAction,
    /// How long deletion tries before the account is left behind. Default: 1h.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Duration>,
}

/// Whether deletion waits for a database that cannot be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
pub enum UnreachableAction {
    /// After a while the account is left behind, with an Event.
    #[default]
    Orphan,
    /// Deletion waits without end, and says so.
    Wait,
    /// A choice that this version does not know; deletion waits.
    #[serde(other)]
    #[schemars(skip)]
    Unknown,
}
