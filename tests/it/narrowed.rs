//! The operator's account with the rights of another mode than the default, and whether an operator used exactly those.

use std::collections::BTreeSet;
use std::process::Stdio;

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec};
use k8s_openapi::api::rbac::v1::{ClusterRole, Role, RoleBinding};
use kube::api::{Api, DeleteParams, PostParams};
use serde_json::{Value, json};

use crate::effects::SERVICE_ACCOUNT;
use crate::replica::{Replica, Stage};
use crate::tenant::apply;
use crate::world::{OPERATOR_NAMESPACE, SOON, World, until};
use crate::z_rights::{Right, asked, is_refused, needed, told_to_go};

/// Name of the roles, as the chart has it.
const NAME: &str = "iamdb-operator";

/// What the chart's values make of the rights.
pub struct Mode {
    /// Where the operator acts; everywhere, where none is named.
    pub namespaces: Vec<String>,
    pub watch_secrets: bool,
}

impl Mode {
    /// How the operator is told, of another namespace beside, which has no Role.
    fn arguments(&self, further: Option<&str>) -> Vec<String> {
        let mut arguments = vec![format!("--watch-secrets={}", self.watch_secrets)];
        if !self.namespaces.is_empty() {
            let names: Vec<_> = self.namespaces.iter().map(String::as_str).chain(further).collect();
            arguments.push(format!("--namespaces={}", names.join(",")));
        }
        arguments
    }

    /// Each of the namespaces; none stands for all of them.
    fn places(&self) -> Vec<Option<&str>> {
        let scope: Vec<_> = self.namespaces.iter().map(|name| Some(name.as_str())).collect();
        if scope.is_empty() { vec![None] } else { scope }
    }

    /// The chart's lists of rules, and the namespace that each is for; none stands for all of them.
    fn lists(&self) -> Vec<(&'static str, Option<&str>)> {
        let mut lists = vec![("cluster", None), ("own", Some(OPERATOR_NAMESPACE))];
        for place in self.places() {
            lists.extend(["namespaces", "events", "tokens"].map(|list| (list, place)));
            lists.extend(self.watch_secrets.then_some(("secrets-watch", place)));
        }
        if !self.namespaces.is_empty() {
            lists.push(("events", Some("default")));
        }
        lists
    }
}

/// The rights of a mode. When they go, those that the tests run with are back.
pub struct Narrowed<'s> {
    world: &'static World,
    stage: &'s Stage,
    mode: &'s Mode,
}

impl<'s> Narrowed<'s> {
    pub async fn to(stage: &'s Stage, mode: &'s Mode) -> Self {
        let world = stage.world;
        let narrowed = Self { world, stage, mode };
        let mut places: BTreeSet<Option<&str>> = mode.lists().iter().map(|(_, place)| *place).collect();
        places.remove(&Some(OPERATOR_NAMESPACE)); // that Role is the same in every mode
        for place in places {
            narrowed.grant(place).await;
        }
        narrowed.is_told("secrets", None, false).await;
        for place in mode.places() {
            narrowed.is_told("iamdbusers", place, true).await;
        }
        narrowed
    }

    /// Waits until the apiserver says that the operator may list something, or may not.
    async fn is_told(&self, resource: &str, namespace: Option<&str>, is_allowed: bool) {
        let group = if resource == "iamdbusers" { "iamdb.dev" } else { "" };
        let attributes = ResourceAttributes {
            verb: Some("list".into()),
            group: Some(group.into()),
            resource: Some(resource.into()),
            namespace: namespace.map(str::to_owned),
            ..ResourceAttributes::default()
        };
        let spec = SubjectAccessReviewSpec {
            user: Some(SERVICE_ACCOUNT.into()),
            resource_attributes: Some(attributes),
            ..SubjectAccessReviewSpec::default()
        };
        let review = SubjectAccessReview { spec, ..SubjectAccessReview::default() };
        let reviews = Api::<SubjectAccessReview>::all(self.stage.client.clone());
        until(&format!("to list {resource} in {namespace:?} is allowed: {is_allowed}"), SOON, || async {
            let answer = reviews.create(&PostParams::default(), &review).await.expect("review");
            answer.status.filter(|status| status.allowed == is_allowed).map(drop)
        })
        .await;
    }

    /// Starts an operator in this mode, and waits until it is ready. What it asks for is judged here, and not with the rights of the default.
    pub async fn replica(&self, name: &str, port: u16, further: Option<&str>) -> Replica {
        let arguments = self.mode.arguments(further);
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let replica = self.stage.replica(name, port, true, &arguments).await;
        self.world.judge_apart(&replica.token_id);
        replica
    }

    /// Gives what the mode gives in a namespace, or in all of them.
    pub async fn grant(&self, place: Option<&str>) {
        let lists = self.mode.lists().into_iter().filter(|(_, it)| *it == place);
        let rules: Vec<Value> = lists.flat_map(|(list, _)| rules(self.world, list)).collect();
        let version = "rbac.authorization.k8s.io/v1";
        let client = self.stage.client.clone();
        let Some(namespace) = place else {
            let role =
                json!({"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": NAME}, "rules": rules});
            apply(&Api::<ClusterRole>::all(client), role).await.expect("apply");
            return;
        };
        let metadata = json!({"name": format!("{NAME}-scope"), "namespace": namespace});
        let role = json!({"apiVersion": version, "kind": "Role", "metadata": metadata, "rules": rules});
        apply(&Api::<Role>::namespaced(client.clone(), namespace), role).await.expect("apply");
        let binding = json!({
            "apiVersion": version, "kind": "RoleBinding", "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": format!("{NAME}-scope")},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": OPERATOR_NAMESPACE}],
        });
        apply(&Api::<RoleBinding>::namespaced(client, namespace), binding).await.expect("apply");
    }

    /// Takes it away again in a namespace.
    pub async fn revoke(&self, namespace: &str) {
        let bindings = Api::<RoleBinding>::namespaced(self.stage.client.clone(), namespace);
        bindings.delete(&format!("{NAME}-scope"), &DeleteParams::default()).await.expect("delete the binding");
    }

    /// What the replicas asked for is what the mode allows: nothing was refused, nothing came from elsewhere than these roles, nothing is unused.
    pub fn assert_exact(&self, replicas: &[&Replica]) {
        let requests: Vec<Value> =
            replicas.iter().flat_map(|replica| replica.requests(self.world, self.stage.audit)).collect();
        let refused: Vec<_> =
            requests.iter().filter(|it| is_refused(it) && !told_to_go(it)).map(|it| (asked(it), place(it))).collect();
        assert!(refused.is_empty(), "{refused:#?}");
        let granted: BTreeSet<(Right, Option<String>)> = self
            .mode
            .lists()
            .into_iter()
            .flat_map(|(list, place)| {
                let place = place.map(str::to_owned);
                crate::z_rights::rights_of(&rules(self.world, list)).into_iter().map(move |it| (it, place.clone()))
            })
            .collect();
        let is_granted = |it: &Value| granted.contains(&(asked(it), None)) || granted.contains(&(asked(it), place(it)));
        let beyond: BTreeSet<_> =
            requests.iter().filter(|it| !is_granted(it)).map(|it| (asked(it), place(it))).collect();
        assert!(beyond.is_empty(), "allowed by something else than the mode's roles: {beyond:#?}");
        let used: BTreeSet<Right> = requests.iter().flat_map(needed).collect();
        let rights: BTreeSet<Right> = granted.into_iter().map(|(right, _)| right).collect();
        let unused: Vec<_> = rights.difference(&used).collect();
        assert!(unused.is_empty(), "nothing needs {unused:#?}");
    }
}

impl Drop for Narrowed<'_> {
    fn drop(&mut self) {
        let kubectl = |arguments: &[&str]| {
            let mut command = self.world.command("kubectl");
            let status = command.args(arguments).current_dir(self.world.root()).stdout(Stdio::null()).status();
            status.is_ok_and(|status| status.success())
        };
        let both = "role/iamdb-operator-scope rolebinding/iamdb-operator-scope";
        for namespace in self.mode.namespaces.iter().map(String::as_str).chain(["default"]) {
            let mut arguments = vec!["delete", "--ignore-not-found", "--namespace", namespace];
            arguments.extend(both.split(' '));
            kubectl(&arguments);
        }
        kubectl(&["apply", "--server-side", "--force-conflicts", "--filename", "tests/world/rbac"]);
        // The world's operator is not to start before the apiserver goes by the rights that were given back.
        let again = ["auth", "can-i", "list", "secrets", "--all-namespaces", "--quiet", "--as", SERVICE_ACCOUNT];
        let _ = (0..50).find(|_| kubectl(&again));
    }
}

/// The namespace of a request; none where it is for all of them, or for what has none.
fn place(line: &Value) -> Option<String> {
    line["objectRef"]["namespace"].as_str().map(str::to_owned)
}

/// One of the chart's lists of rules.
fn rules(world: &World, list: &str) -> Vec<Value> {
    let path = world.root().join(format!("charts/iamdb-operator/files/rights/{list}.yaml"));
    serde_saphyr::from_str(&std::fs::read_to_string(path).expect("rules")).expect("rules")
}
