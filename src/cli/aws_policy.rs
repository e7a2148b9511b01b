//! `iamdb aws-policy`: the operator's own IAM policy.

use crate::domain::arn::PrincipalKind;
use crate::domain::operator_rights::{RdsFeatures, Scope, document};
use crate::domain::policy::default_path;

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Give the --role, --user and --group that the tenancy rules list under principals and that spec.policy.fullAccess names, \
                  with spec.policy.grantProxyRoles the --role of the proxies, and the --assume-role that the rules list under assumeRoles; \
                  * stands for any run of characters."
)]
pub(super) struct Args {
    /// Account of the databases and of the principals.
    #[arg(long)]
    account: String,
    /// Region of the databases; * for several.
    #[arg(long, default_value = "*")]
    region: String,
    /// Partition: aws, aws-cn or aws-us-gov.
    #[arg(long, default_value = "aws")]
    partition: String,
    #[command(flatten)]
    rds: Rds,
    /// Id of the cluster: the uid of its namespace kube-system, or what the operator is given.
    #[arg(long, required_unless_present = "policy_path")]
    cluster_id: Option<String>,
    /// IAM path of the policies, where DbServers set spec.policy.path [default: /iamdb/CLUSTER-ID/]. While policies move, give the former and the
    /// new one.
    #[arg(long)]
    policy_path: Vec<String>,
    /// Roles that policies are attached to, by name with path.
    #[arg(long)]
    role: Vec<String>,
    /// Users that policies are attached to, by name with path.
    #[arg(long)]
    user: Vec<String>,
    /// Groups that policies are attached to, by name with path.
    #[arg(long)]
    group: Vec<String>,
    /// Policies are written into the principals themselves, where DbServers set spec.policy.attach to Inline. IAM cannot limit what is written.
    #[arg(long)]
    inline: bool,
    /// ARN of a secret with an administrator's login (spec.admin.type SecretsManager).
    #[arg(long)]
    admin_secret: Vec<String>,
    /// Roles that the operator assumes to sign tokens, by name with path.
    #[arg(long)]
    assume_role: Vec<String>,
    /// Name of the account that the operator logs in as by tokens of its own (spec.admin.type Iam).
    #[arg(long)]
    admin_username: Option<String>,
    /// ARN of a role in another account that owns databases (spec.aws.roleArn). That role needs what this command prints for its account.
    #[arg(long)]
    database_role: Vec<String>,
    /// The operator's own role: it is denied to give itself rights.
    #[arg(long)]
    own_role: Option<String>,
}

/// What the operator does in RDS, beside looking at DB instances.
#[derive(Debug, clap::Args)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
struct Rds {
    /// DB clusters are looked at (spec.source.type DbCluster).
    #[arg(long)]
    clusters: bool,
    /// RDS Proxies are looked at (spec.proxies).
    #[arg(long)]
    proxies: bool,
    /// IAM authentication is switched on (spec.iamAuthentication Enable). AWS has no smaller right for this than to modify.
    #[arg(long)]
    enable_iam: bool,
    /// Blue/green deployments are looked at, so that a switch-over locks nobody out.
    #[arg(long)]
    blue_green: bool,
}

impl Args {
    pub(super) fn run(self) -> Result<(), String> {
        let text = serde_json::to_string_pretty(&document(&self.scope())).map_err(|error| error.to_string())?;
        super::print(&text)
    }

    fn scope(self) -> Scope {
        let by_default = || vec![default_path(&self.cluster_id.unwrap_or_default())];
        let policy_paths = Some(self.policy_path).filter(|paths| !paths.is_empty()).unwrap_or_else(by_default);
        let of = |kind, names: Vec<String>| names.into_iter().map(move |name| (kind, name));
        Scope {
            partition: self.partition,
            account: self.account,
            region: self.region,
            rds: RdsFeatures {
                clusters: self.rds.clusters,
                proxies: self.rds.proxies,
                enable_iam: self.rds.enable_iam,
                blue_green: self.rds.blue_green,
            },
            policy_paths,
            principals: of(PrincipalKind::Role, self.role)
                .chain(of(PrincipalKind::User, self.user))
                .chain(of(PrincipalKind::Group, self.group))
                .collect(),
            inline_policies: self.inline,
            admin_secrets: self.admin_secret,
            assume_roles: self.assume_role,
            admin_username: self.admin_username,
            database_roles: self.database_role,
            own_role: self.own_role,
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        args: Args,
    }

    fn paths(arguments: &[&str]) -> Vec<String> {
        let arguments = [&["aws-policy", "--account", "123456789012"][..], arguments].concat();
        Command::try_parse_from(arguments).unwrap().args.scope().policy_paths
    }

    #[test]
    fn the_path_is_that_of_the_cluster_or_all_that_are_given() {
        assert_eq!(paths(&["--cluster-id", "c1"]), ["/iamdb/c1/"]);
        let both = ["--policy-path", "/iamdb/c1/", "--policy-path", "/team/"];
        assert_eq!(paths(&both), ["/iamdb/c1/", "/team/"]);
    }
}
