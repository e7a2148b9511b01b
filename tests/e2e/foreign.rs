//! What others made, in every place where the operator writes: it must be left as it is.

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use kube::{Client, ResourceExt};
use serde_json::json;

use crate::world::{Database, World};

/// The examples' role.
const ROLE: &str = "shop-app";

/// A Secret of the app team's own, and one of somebody else's.
const SECRETS: [(&str, &str); 2] = [("shop", "mail"), ("default", "mail")];

/// Foreign objects, and how they were.
pub struct Foreign {
    world: &'static World,
    iam: aws_sdk_iam::Client,
    policy: String,
    before: Vec<String>,
}

impl Foreign {
    /// Makes them, and notes how they are.
    pub async fn make(world: &'static World, client: &Client) -> Self {
        let iam = aws_sdk_iam::Client::new(&world.aws());
        let name = format!("mail-{}", std::process::id());
        let document = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "ses:SendEmail", "Resource": "*"}]});
        let made = iam.create_policy().policy_name(name).policy_document(document.to_string()).send().await;
        let policy = made.expect("create policy").policy.and_then(|it| it.arn).expect("an ARN");
        iam.attach_role_policy().role_name(ROLE).policy_arn(&policy).send().await.expect("attach policy");
        for (namespace, secret) in SECRETS {
            let object = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": secret}, "stringData": {"password": "mine"}});
            let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
            secrets.patch(secret, &PatchParams::apply("test"), &Patch::Apply(&object)).await.expect("apply Secret");
        }
        let mut foreign = Self { world, iam, policy, before: Vec::new() };
        foreign.before = foreign.look(client).await;
        foreign
    }

    /// Each is as it was.
    pub async fn is_untouched(&self, client: &Client) {
        assert_eq!(self.look(client).await, self.before);
    }

    async fn look(&self, client: &Client) -> Vec<String> {
        let mut seen = Vec::new();
        for (namespace, name) in SECRETS {
            let secret = Api::<Secret>::namespaced(client.clone(), namespace).get(name).await.expect("get Secret");
            seen.push(format!("Secret {namespace}/{name} {:?} {:?}", secret.uid(), secret.resource_version()));
        }
        let attached = self.iam.list_attached_role_policies().role_name(ROLE).send().await.expect("list policies");
        let is_attached = attached.attached_policies().iter().any(|it| it.policy_arn() == Some(&self.policy));
        let policy = self.iam.get_policy().policy_arn(&self.policy).send().await.expect("get policy");
        seen.push(format!("policy {:?} {is_attached}", policy.policy().and_then(|it| it.default_version_id())));
        for database in Database::BOTH {
            // The order of rows is that of their text: it does not depend on what else is there.
            for table in ["user", "db", "tables_priv", "procs_priv"] {
                let sql = format!("SELECT * FROM mysql.{table} WHERE User NOT LIKE 'app\\_%'");
                let rows = self.world.root_sql(database, &sql);
                let mut rows: Vec<_> = rows.lines().map(str::to_owned).collect();
                rows.sort();
                seen.push(format!("{database:?} {table} {rows:?}"));
            }
        }
        seen
    }

    pub async fn remove(self, client: &Client) {
        self.iam.detach_role_policy().role_name(ROLE).policy_arn(&self.policy).send().await.expect("detach policy");
        self.iam.delete_policy().policy_arn(&self.policy).send().await.expect("delete policy");
        for (namespace, name) in SECRETS {
            let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
            secrets.delete(name, &DeleteParams::default()).await.expect("delete Secret");
        }
    }
}
