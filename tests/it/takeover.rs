//! What the admission policies hold whom to: the operator's own account, should somebody get hold of it, and tenants, who must not reach through
//! the operator for what they have no right to.
//!
//! The world applies the chart's policies, so every other test runs under them, too.

use std::fmt::Debug;

use iamdb::api::{DbAuthToken, IamDbUser};
use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{ConfigMap, Secret, ServiceAccount};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding};
use kube::api::{Api, DeleteParams, ListParams, Patch, PatchParams, PostParams};
use kube::{Client, Resource};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::effects::SERVICE_ACCOUNT;
use crate::tenant::Tenant;
use crate::world::{Database, OPERATOR_NAMESPACE, SOON, World, until};

/// The message of a refusal by one of the policies.
fn refused<T: Debug>(answer: Result<T, kube::Error>, by: &str) -> String {
    match answer {
        Err(kube::Error::Api(status)) if status.message.contains("ValidatingAdmissionPolicy") => {
            assert!(status.message.contains(&format!("'iamdb-operator-{by}'")), "{}", status.message);
            status.message.clone()
        }
        other => panic!("not refused by a policy, but {other:?}"),
    }
}

fn object<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("an object")
}

async fn create<K>(api: &Api<K>, value: Value) -> Result<K, kube::Error>
where
    K: kube::Resource + Clone + DeserializeOwned + serde::Serialize + Debug,
{
    api.create(&PostParams::default(), &object(value)).await
}

async fn merge<K>(api: &Api<K>, name: &str, patch: Value) -> Result<K, kube::Error>
where
    K: kube::Resource + Clone + DeserializeOwned + Debug,
{
    api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await
}

/// Gives a person rights in a tenant's namespace.
async fn grant(tenant: &Tenant, user: &str, rights: Value) {
    let name = user.replace(':', "-");
    let roles = Api::<Role>::namespaced(tenant.client.clone(), &tenant.name);
    let bindings = Api::<RoleBinding>::namespaced(tenant.client.clone(), &tenant.name);
    let apply = PatchParams::apply("test").force();
    let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": name}, "rules": rights});
    roles.patch(&name, &apply, &Patch::Apply(&role)).await.expect("role");
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": name},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    });
    bindings.patch(&name, &apply, &Patch::Apply(&binding)).await.expect("binding");
}

/// The apiserver learns of rights by a watch: tries until they are there.
async fn once_allowed<T: Debug, F: Future<Output = Result<T, kube::Error>>>(what: &str, act: impl Fn() -> F) -> T {
    until(what, SOON, || async { act().await.ok() }).await
}

fn own_secret(name: &str) -> Value {
    let labels = json!({"app.kubernetes.io/managed-by": "iamdb-operator", "iamdb.dev/owner-uid": "1"});
    json!({"metadata": {"name": name, "labels": labels}, "type": "servicebinding.io/mysql"})
}

#[tokio::test]
async fn the_operators_account_writes_no_secret_but_its_own() {
    let world = World::get();
    let _turn = world.together().await;
    let tenant = Tenant::bare(Database::Orders, "takeover").await;
    let secrets = Api::<Secret>::namespaced(world.kube_as(SERVICE_ACCOUNT).await, &tenant.name);

    create(&secrets, own_secret("own")).await.expect("its own Secret");
    merge(&secrets, "own", json!({"stringData": {"key": "value"}})).await.expect_err("it has no right to patch");
    let mut own = secrets.get("own").await.expect("its own Secret");
    own.string_data = Some([("key".to_owned(), "value".to_owned())].into());
    let mut own = secrets.replace("own", &PostParams::default(), &own).await.expect("its own Secret");
    own.metadata.labels = None;
    let unlabelled = secrets.replace("own", &PostParams::default(), &own).await;
    assert!(refused(unlabelled, "own-secrets").contains("only what carries its label"));
    secrets.delete("own", &DeleteParams::default()).await.expect("its own Secret");

    let with = |key: &str, value: Value| {
        let mut secret = own_secret("made");
        *secret.pointer_mut(key).expect("a field") = value;
        secret
    };
    let bare = json!({"iamdb.dev/owner-uid": "1"});
    assert!(
        refused(create(&secrets, with("/metadata/labels", bare)).await, "own-secrets").contains("carries its label")
    );
    for kind in ["Opaque", "kubernetes.io/service-account-token", "bootstrap.kubernetes.io/token"] {
        let mut secret = with("/type", json!(kind));
        secret["metadata"]["annotations"] = json!({"kubernetes.io/service-account.name": "default"});
        let answer = create(&secrets, secret).await;
        assert!(refused(answer, "own-secrets").contains("servicebinding.io/mysql"), "{kind}");
    }

    let foreign = json!({"metadata": {"name": "foreign"}, "type": "servicebinding.io/mysql"});
    create(&tenant.secrets(), foreign).await.expect("a foreign Secret");
    let mut relabelled = secrets.get("foreign").await.expect("a foreign Secret");
    relabelled.metadata.labels = object(own_secret("foreign")["metadata"]["labels"].clone());
    let answer = secrets.replace("foreign", &PostParams::default(), &relabelled).await;
    assert!(refused(answer, "own-secrets").contains("its own before"));
    let answer = secrets.delete("foreign", &DeleteParams::default()).await.map(|_| ());
    assert!(refused(answer, "own-secrets").contains("its own before"));
    tenant.close().await;
}

#[tokio::test]
async fn the_operators_account_puts_back_a_label_that_was_taken_off_its_secret() {
    let world = World::get();
    let _turn = world.together().await;
    let tenant = Tenant::bare(Database::Orders, "takeover").await;
    let secrets = Api::<Secret>::namespaced(world.kube_as(SERVICE_ACCOUNT).await, &tenant.name);
    let owner = tenant.apply::<DbAuthToken>(tenant.token("owner", "nobody")).await;
    let mut secret = own_secret("own");
    secret["metadata"]["ownerReferences"] = json!([owner.controller_owner_ref(&()).expect("it is there")]);
    create(&secrets, secret.clone()).await.expect("its own Secret");
    let bare = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": null, "iamdb.dev/owner-uid": null}}});
    let mut bare: Secret = merge(&tenant.secrets(), "own", bare).await.expect("labels off");
    bare.metadata.labels = object(secret["metadata"]["labels"].clone());
    secrets.replace("own", &PostParams::default(), &bare).await.expect("labels on");
    tenant.close().await;
}

#[tokio::test]
async fn the_operators_account_writes_no_config_map_but_its_own() {
    let world = World::get();
    let _turn = world.together().await;
    let tenant = Tenant::bare(Database::Orders, "takeover").await;
    // RBAC gives it none at all; so that the policy has something to hold, here it does.
    grant(&tenant, SERVICE_ACCOUNT, json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"]}])).await;
    let config_maps = Api::<ConfigMap>::namespaced(world.kube_as(SERVICE_ACCOUNT).await, &tenant.name);
    let own = json!({"metadata": {"name": "own", "labels": {"app.kubernetes.io/managed-by": "iamdb-operator"}}});
    once_allowed("its own ConfigMap", || create(&config_maps, own.clone())).await;
    config_maps.delete("own", &DeleteParams::default()).await.expect("its own ConfigMap");

    let foreign = json!({"metadata": {"name": "foreign"}});
    assert!(refused(create(&config_maps, foreign).await, "own-configmaps").contains("carries its label"));
    let relabel = json!({"metadata": {"labels": {"app.kubernetes.io/managed-by": "iamdb-operator"}}});
    // The one that Kubernetes itself puts into every namespace.
    let root = "kube-root-ca.crt";
    until("Kubernetes' own", SOON, || async { config_maps.get_opt(root).await.expect("get") }).await;
    assert!(refused(merge(&config_maps, root, relabel).await, "own-configmaps").contains("its own before"));
    let answer = config_maps.delete(root, &DeleteParams::default()).await.map(|_| ());
    assert!(refused(answer, "own-configmaps").contains("its own before"));
    tenant.close().await;
}

#[tokio::test]
async fn the_operators_account_gets_tokens_for_sts_alone_and_of_tenants_alone() {
    async fn request(client: &Client, namespace: &str, audiences: &[&str]) -> Result<TokenRequest, kube::Error> {
        let audiences = audiences.iter().map(|it| (*it).to_owned()).collect();
        let spec = TokenRequestSpec { audiences, ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let accounts = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
        accounts.create_token_request("default", &PostParams::default(), &request).await
    }
    let world = World::get();
    let _turn = world.together().await;
    let tenant = Tenant::bare(Database::Orders, "takeover").await;
    let client = world.kube_as(SERVICE_ACCOUNT).await;
    let sts: &[&str] = &["sts.amazonaws.com"];
    once_allowed("a tenant's token for STS", || request(&client, &tenant.name, sts)).await;
    for audiences in
        [&[][..], &["https://kubernetes.default.svc"], &["sts.amazonaws.com", "https://kubernetes.default.svc"]]
    {
        let message = refused(request(&client, &tenant.name, audiences).await, "own-tokens");
        assert!(message.contains("for sts.amazonaws.com only"), "{audiences:?}: {message}");
    }
    for namespace in ["kube-system", OPERATOR_NAMESPACE] {
        let message = refused(request(&client, namespace, sts).await, "own-tokens");
        assert!(message.contains("nor of its own namespace"), "{namespace}: {message}");
    }
    tenant.close().await;
}

#[tokio::test]
async fn who_names_a_service_account_must_be_allowed_to_create_its_tokens() {
    let world = World::get();
    let _turn = world.together().await;
    let tenant = Tenant::new(Database::Orders, "takeover").await;
    let (developer, other) = (format!("developer-{}", tenant.name), format!("other-{}", tenant.name));
    let kinds = json!({"apiGroups": ["iamdb.dev"], "resources": ["dbauthtokens"], "verbs": ["*"]});
    let tokens_of_app = json!({"apiGroups": [""], "resources": ["serviceaccounts/token"], "resourceNames": ["app"], "verbs": ["create"]});
    // In this order: once the developer is known to be allowed, so is the other.
    grant(&tenant, &other, json!([kinds])).await;
    grant(&tenant, &developer, json!([kinds, tokens_of_app])).await;
    let api = |client: Client| Api::<DbAuthToken>::namespaced(client, &tenant.name);
    let (of_developer, of_other) = (api(world.kube_as(&developer).await), api(world.kube_as(&other).await));

    once_allowed("a token as app", || create(&of_developer, tenant.token("app", "app"))).await;
    let message = refused(create(&of_other, tenant.token("else", "app")).await, "identity");
    assert!(message.contains("you may not create tokens of the ServiceAccount app"), "{message}");
    // Who has no right to the identity may change the rest.
    let patch = json!({"spec": {"rotation": {"renewBefore": "8m"}}});
    merge(&of_other, "app", patch).await.expect("the identity stays as it was");
    let patch = json!({"spec": {"identity": {"serviceAccount": {"name": "admin"}}}});
    let message = refused(merge(&of_developer, "app", patch).await, "identity");
    assert!(message.contains("ServiceAccount admin"), "{message}");
    tenant.close().await;
}

#[tokio::test]
async fn marks_of_ownership_are_set_by_the_operator_alone() {
    let world = World::get();
    let _turn = world.together().await;
    let tenant = Tenant::bare(Database::Orders, "takeover").await;
    let developer = format!("developer-{}", tenant.name);
    grant(&tenant, &developer, json!([{"apiGroups": [""], "resources": ["secrets", "configmaps"], "verbs": ["*"]}]))
        .await;
    let client = world.kube_as(&developer).await;
    let secrets = Api::<Secret>::namespaced(client.clone(), &tenant.name);
    let with = |metadata: Value| json!({"metadata": metadata});
    let plain = with(json!({"name": "plain", "labels": {"app.kubernetes.io/managed-by": "Helm"}}));
    once_allowed("a Secret of one's own", || create(&secrets, plain.clone())).await;
    for metadata in [
        json!({"labels": {"iamdb.dev/owner-uid": "1"}}),
        json!({"labels": {"iamdb.dev/expires-at": ""}}),
        json!({"labels": {"iamdb.dev/admin-credentials": "true"}}),
        json!({"labels": {"app.kubernetes.io/managed-by": "iamdb-operator"}}),
        json!({"annotations": {"iamdb.dev/inputs": "1"}}),
    ] {
        let message = refused(merge(&secrets, "plain", with(metadata.clone())).await, "marks");
        assert!(message.contains("by iamdb-operator alone"), "{metadata}: {message}");
        let mut named = metadata.clone();
        named["name"] = json!("other");
        refused(create(&secrets, with(named.clone())).await, "marks");
        let config_maps = Api::<ConfigMap>::namespaced(client.clone(), &tenant.name);
        refused(create(&config_maps, with(named)).await, "marks");
    }
    // What carries marks may be changed beside them, and they may be taken off.
    create(&tenant.secrets(), own_secret("own")).await.expect("as the operator makes it");
    merge(&secrets, "own", json!({"metadata": {"labels": {"team": "shop"}}})).await.expect("a label of one's own");
    merge(&secrets, "own", json!({"metadata": {"labels": {"iamdb.dev/owner-uid": null}}})).await.expect("a mark off");
    tenant.close().await;
}

#[tokio::test]
async fn where_use_is_required_a_user_needs_it_on_the_server() {
    let world = World::get();
    let _turn = world.together().await;
    let tenant = Tenant::new(Database::Orders, "takeover").await;
    let developer = format!("developer-{}", tenant.name);
    grant(&tenant, &developer, json!([{"apiGroups": ["iamdb.dev"], "resources": ["iamdbusers"], "verbs": ["*"]}]))
        .await;
    let users = Api::<IamDbUser>::namespaced(world.kube_as(&developer).await, &tenant.name);
    let all = ListParams::default();
    once_allowed("the right to IamDbUsers", || users.list(&all)).await;
    let message = refused(create(&users, tenant.user("app")).await, "use");
    assert!(message.contains(&format!("you may not use the DbServer {}", tenant.name)), "{message}");

    let right = json!([{"apiGroups": ["iamdb.dev"], "resources": ["dbservers"], "resourceNames": [tenant.name], "verbs": ["use"]}]);
    let role = json!({"metadata": {"name": developer}, "rules": right});
    let binding = json!({
        "metadata": {"name": developer},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": developer},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": developer}],
    });
    let (roles, bindings) =
        (Api::<ClusterRole>::all(tenant.client.clone()), Api::<ClusterRoleBinding>::all(tenant.client.clone()));
    create(&roles, role).await.expect("role");
    create(&bindings, binding).await.expect("binding");
    once_allowed("an IamDbUser of that server", || create(&users, tenant.user("app"))).await;
    bindings.delete(&developer, &DeleteParams::default()).await.expect("binding");
    roles.delete(&developer, &DeleteParams::default()).await.expect("role");
    tenant.close().await;
}
