//! What the operator itself may do in AWS: the calls that it makes, on no more than it needs. What only some installations need is chosen
//! in [`Scope`]; docs/aws.md names what is not here.

use serde_json::{Value, json};

use super::arn::PrincipalKind;

/// What the operator does in RDS, beside looking at DB instances.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "independent choices of the administrator, each a yes or no")]
pub struct RdsFeatures {
    /// `spec.source.type: DbCluster`.
    pub clusters: bool,
    /// `spec.proxies`.
    pub proxies: bool,
    /// `spec.iamAuthentication: Enable` or `EnableInMaintenanceWindow`.
    pub enable_iam: bool,
    /// Granting the green side of a blue/green deployment before the switch-over.
    pub blue_green: bool,
}

/// What the policy depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// Account of the databases, of the principals and of the policies.
    pub account: String,
    /// Region of the databases; `*` for several.
    pub region: String,
    /// What is done in RDS.
    pub rds: RdsFeatures,
    /// IAM paths of the policies, with a slash at both ends: one, and more while policies move.
    pub policy_paths: Vec<String>,
    /// Names (with path) of the principals that policies are attached to; `*` for any run of characters.
    pub principals: Vec<(PrincipalKind, String)>,
    /// Whether policies are written into principals (`spec.policy.attach: Inline`).
    pub inline_policies: bool,
    /// ARNs of secrets with administrators' logins, beside those that RDS manages.
    pub admin_secrets: Vec<String>,
    /// Names (with path) of the roles that the operator assumes to sign.
    pub assume_roles: Vec<String>,
    /// Name of the account that the operator logs in as with tokens of its own (`spec.admin.type: Iam`).
    pub admin_username: Option<String>,
    /// ARNs of the roles by which the operator acts in other accounts (`spec.aws.roleArn`).
    pub database_roles: Vec<String>,
    /// The operator's own role, which it must never be able to give rights to.
    pub own_role: Option<String>,
}

/// The policy document.
#[must_use]
pub fn document(scope: &Scope) -> Value {
    let mut statements = find_databases(scope);
    statements.extend([read_admin_secrets(scope), own_policies(scope)]);
    statements.extend(attachments(scope));
    if !scope.principals.is_empty() {
        // IAM knows no resource to limit this to; it tells numbers of the account and changes nothing.
        statements.push(statement("ReadQuotas", "Allow", &["iam:GetAccountSummary"], &["*".to_owned()]));
    }
    if let Some(username) = &scope.admin_username {
        let Scope { partition, region, account, .. } = scope;
        let resource = format!("arn:{partition}:rds-db:{region}:{account}:dbuser:*/{username}");
        statements.push(statement("LogInAsAdministrator", "Allow", &["rds-db:connect"], &[resource]));
    }
    if !scope.assume_roles.is_empty() {
        let roles: Vec<String> = scope.assume_roles.iter().map(|role| iam(scope, "role", role)).collect();
        statements.push(statement("AssumeSigningRoles", "Allow", &["sts:AssumeRole"], &roles));
    }
    if !scope.database_roles.is_empty() {
        statements.push(statement("ActInOtherAccounts", "Allow", &["sts:AssumeRole"], &scope.database_roles));
    }
    if let Some(role) = &scope.own_role {
        let actions = ["iam:AttachRolePolicy", "iam:DetachRolePolicy", "iam:PutRolePolicy"];
        statements.push(statement("NeverOneself", "Deny", &actions, &[iam(scope, "role", role)]));
    }
    json!({"Version": "2012-10-17", "Statement": statements})
}

fn find_databases(scope: &Scope) -> Vec<Value> {
    let RdsFeatures { clusters, proxies, enable_iam, blue_green } = scope.rds;
    let mut statements = vec![rds(scope, "FindDatabases", &["DescribeDBInstances"], &["db"])];
    if clusters {
        let actions = ["DescribeDBClusters", "DescribeDBClusterEndpoints"];
        statements.push(rds(scope, "FindClusters", &actions, &["cluster", "cluster-endpoint"]));
    }
    if proxies {
        let actions = ["DescribeDBProxies", "DescribeDBProxyEndpoints", "DescribeDBProxyTargets"];
        statements.push(rds(scope, "FindProxies", &actions, &["db-proxy", "db-proxy-endpoint", "target-group"]));
    }
    if blue_green {
        statements.push(rds(scope, "FindBlueGreenDeployments", &["DescribeBlueGreenDeployments"], &["deployment"]));
    }
    if enable_iam {
        let look = "DescribePendingMaintenanceActions";
        statements.push(rds(scope, "SwitchIamAuthenticationOn", &[look, "ModifyDBInstance"], &["db"]));
    }
    if enable_iam && clusters {
        let look = "DescribePendingMaintenanceActions";
        statements.push(rds(scope, "SwitchIamAuthenticationOfClustersOn", &[look, "ModifyDBCluster"], &["cluster"]));
    }
    statements
}

fn rds(scope: &Scope, sid: &str, actions: &[&str], kinds: &[&str]) -> Value {
    let Scope { partition, region, account, .. } = scope;
    let actions: Vec<String> = actions.iter().map(|action| format!("rds:{action}")).collect();
    let resources: Vec<String> =
        kinds.iter().map(|kind| format!("arn:{partition}:rds:{region}:{account}:{kind}:*")).collect();
    statement(sid, "Allow", &actions, &resources)
}

/// RDS names the secrets that it manages `rds!...`.
fn read_admin_secrets(scope: &Scope) -> Value {
    let Scope { partition, region, account, .. } = scope;
    let mut resources = vec![format!("arn:{partition}:secretsmanager:{region}:{account}:secret:rds!*")];
    resources.extend(scope.admin_secrets.iter().cloned());
    statement("ReadMasterUserSecrets", "Allow", &["secretsmanager:GetSecretValue"], &resources)
}

fn own_policies(scope: &Scope) -> Value {
    let actions = [
        "iam:CreatePolicy",
        "iam:CreatePolicyVersion",
        "iam:DeletePolicy",
        "iam:DeletePolicyVersion",
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
        "iam:ListPolicyVersions",
        "iam:TagPolicy",
        "iam:UntagPolicy",
    ];
    statement("OwnPolicies", "Allow", &actions, &own_policy_arns(scope))
}

/// For each kind of principal: looking at it is free, attaching and detaching holds for policies under our path alone. What is written into a
/// principal IAM cannot limit, so the right to that is given only where it is asked for.
fn attachments(scope: &Scope) -> Vec<Value> {
    let mut statements = Vec::new();
    for (kind, word) in [(PrincipalKind::Role, "Role"), (PrincipalKind::User, "User"), (PrincipalKind::Group, "Group")]
    {
        let of_kind = scope.principals.iter().filter(|(it, _)| *it == kind);
        let arns: Vec<String> = of_kind.map(|(_, name)| iam(scope, &word.to_lowercase(), name)).collect();
        if arns.is_empty() {
            continue;
        }
        let look = [format!("iam:Get{word}"), format!("iam:ListAttached{word}Policies")];
        statements.push(statement(&format!("LookAt{word}s"), "Allow", &look, &arns));
        let attach = [format!("iam:Attach{word}Policy"), format!("iam:Detach{word}Policy")];
        let mut attach = statement(&format!("Attach{word}s"), "Allow", &attach, &arns);
        attach["Condition"] = json!({"ArnLike": {"iam:PolicyARN": own_policy_arns(scope)}});
        statements.push(attach);
        if scope.inline_policies {
            let inline = [
                format!("iam:List{word}Policies"),
                format!("iam:Get{word}Policy"),
                format!("iam:Put{word}Policy"),
                format!("iam:Delete{word}Policy"),
            ];
            statements.push(statement(&format!("WriteInto{word}s"), "Allow", &inline, &arns));
        }
    }
    statements
}

fn own_policy_arns(scope: &Scope) -> Vec<String> {
    let under = |path: &String| iam(scope, "policy", &format!("{}*", path.trim_start_matches('/')));
    scope.policy_paths.iter().map(under).collect()
}

fn iam(scope: &Scope, kind: &str, name: &str) -> String {
    let Scope { partition, account, .. } = scope;
    format!("arn:{partition}:iam::{account}:{kind}/{name}")
}

fn statement(sid: &str, effect: &str, actions: &[impl AsRef<str>], resources: &[String]) -> Value {
    let actions: Vec<&str> = actions.iter().map(AsRef::as_ref).collect();
    json!({"Sid": sid, "Effect": effect, "Action": actions, "Resource": resources})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope() -> Scope {
        Scope {
            partition: "aws".into(),
            account: "123456789012".into(),
            region: "us-east-1".into(),
            rds: RdsFeatures::default(),
            policy_paths: vec!["/iamdb/c1/".into()],
            principals: vec![(PrincipalKind::Role, "shop-*".into())],
            inline_policies: false,
            admin_secrets: vec![],
            assume_roles: vec![],
            admin_username: None,
            database_roles: vec![],
            own_role: Some("iamdb-operator".into()),
        }
    }

    fn sids(document: &Value) -> Vec<&str> {
        document["Statement"].as_array().unwrap().iter().map(|it| it["Sid"].as_str().unwrap()).collect()
    }

    #[test]
    fn only_what_is_switched_on_is_allowed() {
        let small = document(&scope());
        assert_eq!(
            sids(&small),
            [
                "FindDatabases",
                "ReadMasterUserSecrets",
                "OwnPolicies",
                "LookAtRoles",
                "AttachRoles",
                "ReadQuotas",
                "NeverOneself"
            ]
        );
        let more = Scope {
            principals: vec![(PrincipalKind::User, "jane".into()), (PrincipalKind::Group, "dba".into())],
            assume_roles: vec!["sign-*".into()],
            rds: RdsFeatures { clusters: true, proxies: true, enable_iam: true, blue_green: true },
            admin_username: Some("iamdb_admin".into()),
            database_roles: vec!["arn:aws:iam::210987654321:role/iamdb".into()],
            own_role: None,
            ..scope()
        };
        assert_eq!(
            sids(&document(&more)),
            [
                "FindDatabases",
                "FindClusters",
                "FindProxies",
                "FindBlueGreenDeployments",
                "SwitchIamAuthenticationOn",
                "SwitchIamAuthenticationOfClustersOn",
                "ReadMasterUserSecrets",
                "OwnPolicies",
                "LookAtUsers",
                "AttachUsers",
                "LookAtGroups",
                "AttachGroups",
                "ReadQuotas",
                "LogInAsAdministrator",
                "AssumeSigningRoles",
                "ActInOtherAccounts"
            ]
        );
    }

    #[test]
    fn attaching_is_limited_by_principal_and_by_policy() {
        let document = document(&scope());
        let attach = document["Statement"].as_array().unwrap().iter().find(|it| it["Sid"] == "AttachRoles").unwrap();
        assert_eq!(attach["Resource"], json!(["arn:aws:iam::123456789012:role/shop-*"]));
        assert_eq!(
            attach["Condition"],
            json!({"ArnLike": {"iam:PolicyARN": ["arn:aws:iam::123456789012:policy/iamdb/c1/*"]}})
        );
    }

    #[test]
    fn policies_that_move_are_written_and_attached_under_both_paths() {
        let both = ["/iamdb/c1/", "/team/"].map(str::to_owned).to_vec();
        let document = document(&Scope { policy_paths: both, ..scope() });
        let statement =
            |sid: &str| document["Statement"].as_array().unwrap().iter().find(|it| it["Sid"] == sid).unwrap();
        let arns = ["iamdb/c1", "team"].map(|path| format!("arn:aws:iam::123456789012:policy/{path}/*"));
        assert_eq!(statement("OwnPolicies")["Resource"], json!(arns));
        assert_eq!(statement("AttachRoles")["Condition"]["ArnLike"]["iam:PolicyARN"], json!(arns));
    }

    #[test]
    fn writing_into_principals_is_allowed_only_where_it_is_asked_for() {
        assert!(!sids(&document(&scope())).contains(&"WriteIntoRoles"));
        let inline = document(&Scope { inline_policies: true, ..scope() });
        assert!(sids(&inline).contains(&"WriteIntoRoles") && !sids(&inline).contains(&"WriteIntoUsers"));
        let own = inline["Statement"].as_array().unwrap().iter().find(|it| it["Sid"] == "NeverOneself").unwrap();
        assert!(own["Action"].to_string().contains("iam:PutRolePolicy"));
    }

    #[test]
    fn instances_alone_need_no_right_to_modify() {
        let rds = RdsFeatures { clusters: true, proxies: true, blue_green: true, enable_iam: false };
        assert!(!document(&Scope { rds, ..scope() }).to_string().contains("rds:Modify"));
        let rds = RdsFeatures { enable_iam: true, ..RdsFeatures::default() };
        assert!(!document(&Scope { rds, ..scope() }).to_string().contains("DBCluster"));
    }

    #[test]
    fn nothing_is_allowed_on_everything() {
        let rds = RdsFeatures { clusters: true, proxies: true, enable_iam: true, blue_green: true };
        let all = document(&Scope { rds, ..scope() });
        for statement in all["Statement"].as_array().unwrap().iter().filter(|it| it["Sid"] != "ReadQuotas") {
            for resource in statement["Resource"].as_array().unwrap() {
                assert_ne!(resource, "*", "{statement}");
            }
            for action in statement["Action"].as_array().unwrap() {
                assert!(!action.as_str().unwrap().contains('*'), "{statement}");
            }
        }
    }
}
