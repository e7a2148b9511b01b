//! What a test has of its own in the world's AWS: a DB instance, IAM principals, tokens that the operator did not sign, faults.

use std::path::PathBuf;

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::api::{Api, PostParams};
use serde_json::{Value, json};

use crate::tenant::{ACCOUNT, Tenant};
use crate::world::{Database, World};

/// A fault of AWS's that is armed; dropped, no fault is. Faults meet every caller's calls, so whoever arms one runs alone.
pub struct Fault(&'static World);

impl Fault {
    pub fn arm(fault: &Value) -> Self {
        let world = World::get();
        world.ask("WORLD_AWS_CONTROL", "POST", "/_world/faults", fault);
        Self(world)
    }

    /// How many calls met it.
    pub fn fired(&self) -> usize {
        let stand = self.0.ask("WORLD_AWS_CONTROL", "GET", "/_world/faults", &Value::Null);
        stand["fired"].as_array().expect("fired").len()
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        self.0.ask("WORLD_AWS_CONTROL", "DELETE", "/_world/faults", &Value::Null);
    }
}

/// How long the sessions of some roles live, one after the other, until this goes. There is one such limit, so whoever sets it runs alone.
pub struct Lives(&'static World);

impl Lives {
    /// For all roles whose names begin so.
    pub fn limit(role: &str, seconds: &[u32]) -> Self {
        let limited = Self(World::get());
        limited.become_these(role, seconds);
        limited
    }

    /// Other lives from now on, with no moment of usual ones in between.
    pub fn become_these(&self, role: &str, seconds: &[u32]) {
        let lives = json!({"lives": seconds, "role": format!("role/{role}")});
        self.0.ask("WORLD_AWS_CONTROL", "POST", "/_world/sessions", &lives);
    }

    /// Ends it, and tells the lives of the sessions that were handed out.
    pub fn given(self) -> Vec<u64> {
        let answer = self.0.ask("WORLD_AWS_CONTROL", "POST", "/_world/sessions", &json!({}));
        answer["given"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect()
    }
}

impl Drop for Lives {
    fn drop(&mut self) {
        self.0.ask("WORLD_AWS_CONTROL", "POST", "/_world/sessions", &json!({}));
    }
}

impl Tenant {
    pub fn rds(&self) -> aws_sdk_rds::Client {
        aws_sdk_rds::Client::new(&self.world.aws())
    }

    pub fn secrets_manager(&self) -> aws_sdk_secretsmanager::Client {
        aws_sdk_secretsmanager::Client::new(&self.world.aws())
    }

    /// A DB instance of this test's own, by the tenant's name. No server stands behind it: its endpoint does not resolve.
    pub async fn create_instance(&self, iam_authentication: bool) {
        let call = self.rds().create_db_instance().db_instance_identifier(&self.name).engine("mysql");
        let call = call.engine_version("8.0.36").db_instance_class("db.t3.micro").allocated_storage(20);
        let call = call.master_username("admin").manage_master_user_password(true);
        call.enable_iam_database_authentication(iam_authentication).send().await.expect("create DB instance");
    }

    /// Takes the test's own DB instance away.
    pub async fn delete_instance(&self) {
        let call = self.rds().delete_db_instance().db_instance_identifier(&self.name).skip_final_snapshot(true);
        call.send().await.expect("delete DB instance");
    }

    /// A DB instance as RDS tells it.
    pub async fn describe(&self, identifier: &str) -> aws_sdk_rds::types::DbInstance {
        let answer = self.rds().describe_db_instances().db_instance_identifier(identifier).send().await;
        answer.expect("describe DB instance").db_instances.unwrap_or_default().pop().expect("DB instance")
    }

    /// ARN of the secret with a DB instance's master password.
    pub async fn master_secret(&self, identifier: &str) -> String {
        let instance = self.describe(identifier).await;
        instance.master_user_secret().and_then(|it| it.secret_arn()).expect("a managed password").to_owned()
    }

    /// The DbServer for the test's own DB instance.
    pub fn own_server(&self) -> Value {
        let mut server = self.server();
        server["spec"]["source"]["dbInstance"]["identifier"] = json!(self.name);
        server
    }

    /// ARNs of the policies that are attached to a principal.
    pub async fn attached(&self, principal: &str) -> Vec<String> {
        let (kind, name) = principal.rsplit_once(':').and_then(|(_, it)| it.split_once('/')).expect("a principal");
        let name = name.rsplit('/').next().expect("a name");
        let policies = match kind {
            "role" => {
                self.iam.list_attached_role_policies().role_name(name).send().await.expect("list").attached_policies
            }
            "user" => {
                self.iam.list_attached_user_policies().user_name(name).send().await.expect("list").attached_policies
            }
            _ => self.iam.list_attached_group_policies().group_name(name).send().await.expect("list").attached_policies,
        };
        policies.unwrap_or_default().into_iter().map(|policy| policy.policy_arn.expect("ARN")).collect()
    }

    /// The default document of a policy; none when there is no such policy.
    pub async fn document(&self, policy: &str) -> Option<Value> {
        let found = self.iam.get_policy().policy_arn(policy).send().await.ok()?.policy.expect("policy");
        let version = found.default_version_id.expect("version");
        let call = self.iam.get_policy_version().policy_arn(policy).version_id(version);
        let version = call.send().await.expect("get version").policy_version.expect("version");
        let text = version.document.expect("document");
        let text = percent_encoding::percent_decode_str(&text).decode_utf8().expect("text").into_owned();
        Some(serde_json::from_str(&text).expect("JSON"))
    }

    /// Resources that the attached policies of a role allow.
    pub async fn allowed(&self, role: &str) -> Vec<String> {
        self.allowed_to(&self.role_arn(role)).await
    }

    /// Resources that the attached policies of a principal allow.
    pub async fn allowed_to(&self, principal: &str) -> Vec<String> {
        let mut allowed = Vec::new();
        for policy in self.attached(principal).await {
            let document = self.document(&policy).await.expect("an attached policy");
            for statement in document["Statement"].as_array().expect("statements") {
                let resources = statement["Resource"].as_array().expect("resources");
                allowed.extend(resources.iter().map(|it| it.as_str().expect("text").to_owned()));
            }
        }
        allowed.sort();
        allowed
    }

    /// What a policy names that lets somebody connect as this user.
    pub async fn resource(&self, username: &str) -> String {
        let identifier = self.database.identifier();
        let id = if self.database == Database::Ledger {
            let answer = self.rds().describe_db_clusters().db_cluster_identifier(identifier).send().await;
            let cluster = answer.expect("describe DB cluster").db_clusters.unwrap_or_default().pop();
            cluster.expect("DB cluster").db_cluster_resource_id
        } else {
            self.describe(identifier).await.dbi_resource_id
        };
        let id = id.expect("resource id");
        format!("arn:aws:rds-db:us-east-1:{ACCOUNT}:dbuser:{id}/{username}")
    }

    /// The id by which the operator knows its cluster.
    pub async fn cluster_id(&self) -> String {
        let namespace = Api::<Namespace>::all(self.client.clone()).get("kube-system").await.expect("kube-system");
        namespace.metadata.uid.expect("uid")
    }

    /// Path and name of the first policy that the operator would make for a principal.
    pub async fn policy_name(&self, principal: &str) -> (String, String) {
        let cluster = self.cluster_id().await;
        let path = format!("/iamdb/{cluster}/");
        let home = format!("{cluster}\n{principal}\n{path}");
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, home.as_bytes());
        let (cluster_part, hash_part) = (&cluster[..8], hex::encode(&hash.as_ref()[..6]));
        (path, format!("iamdb-{cluster_part}-{hash_part}-1"))
    }

    /// A token of the independent signer's for a user name of this test, with the rights of ServiceAccount `app` unless `more` says whose.
    pub async fn mint(&self, username: &str, more: &[&str]) -> String {
        let mut arguments = vec!["--host", self.world.host(self.database), "--user", username];
        let (jwt, role) = (self.scratch(&format!("{}.jwt", self.name)), self.role_arn(&self.name));
        let jwt_text = jwt.display().to_string();
        if !more.contains(&"--access-key-id") {
            std::fs::write(&jwt, self.service_account_token("app").await).expect("write token");
            arguments.extend(["--role-arn", &role, "--web-identity-token-file", &jwt_text]);
        }
        arguments.extend(more);
        let output = self.world.command("mint").args(&arguments).output().expect("mint");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// An option file with any token.
    pub fn option_file(&self, username: &str, token: &str) -> PathBuf {
        self.option_file_for(self.world.host(self.database), self.world.var("WORLD_CA"), username, token)
    }

    /// The same for any endpoint, and the CA that its certificate is of.
    pub fn option_file_for(&self, host: &str, ca: &str, username: &str, token: &str) -> PathBuf {
        let text = format!(
            "[client]\nhost={host}\nport=3306\nuser={username}\npassword=\"{token}\"\nssl-ca={ca}\n\
             loose-ssl-mode=VERIFY_IDENTITY\nloose-ssl-verify-server-cert\nloose-enable-cleartext-plugin\n"
        );
        let path = self.scratch(&format!("{username}.cnf"));
        std::fs::write(&path, text).expect("write option file");
        path
    }

    /// The server's reason for the last login of a user since a byte of its log.
    pub fn login_reason(&self, username: &str, from: u64) -> String {
        let (lines, _) = self.world.log("WORLD_AUTH_LOG", from);
        let last = lines.iter().rfind(|line| line["user"] == username).expect("a login");
        last["reason"].as_str().expect("a reason").to_owned()
    }

    async fn service_account_token(&self, name: &str) -> String {
        let spec = TokenRequestSpec { audiences: vec!["sts.amazonaws.com".into()], ..TokenRequestSpec::default() };
        let request = TokenRequest { spec, ..TokenRequest::default() };
        let accounts = Api::<ServiceAccount>::namespaced(self.client.clone(), &self.name);
        let answer = accounts.create_token_request(name, &PostParams::default(), &request).await.expect("token");
        answer.status.expect("token").token
    }
}
