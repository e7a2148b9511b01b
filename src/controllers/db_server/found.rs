//! From what RDS tells, or the administrator wrote down, to a server that can be used. Pure.

use crate::api::{Endpoints, HostPort, NamedEndpoint, Reason, ReplicaStatus, StaticSource};
use crate::controllers::problem::Problem;
use crate::domain::arn::Arn;
use crate::domain::endpoint::Endpoint;
use crate::domain::engine::Engine;
use crate::domain::rds_state::{self, State};
use crate::ports::{Address, Pending, RdsServer, ServerName};

/// A server, from whatever source.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// What RDS lists it under; none for one that is described by hand.
    pub(super) name: Option<ServerName>,
    pub(super) arn: Option<String>,
    pub(super) partition: String,
    pub(super) account_id: String,
    pub(super) resource_id: String,
    pub(super) engine: String,
    pub(super) engine_version: Option<String>,
    pub(super) endpoints: Endpoints,
    /// What RDS says; unknown for a server that is described by hand.
    pub(super) iam_authentication: Option<bool>,
    pub(super) pending: Pending,
    pub(super) master_username: Option<String>,
    pub(super) master_secret_arn: Option<String>,
    pub(super) ca_identifier: Option<String>,
    /// Ids that it may get at any moment.
    pub(super) upcoming: Vec<String>,
    /// What RDS says that it does; nothing for one that is described by hand.
    pub(super) state: Option<State>,
    /// What is not as it shall be, although the server is known.
    pub(super) shortfalls: Vec<Problem>,
    /// What the administrator should know although nothing is wrong.
    pub(super) note: Option<&'static str>,
}

impl Found {
    /// Whether logins can be expected to work.
    pub(super) fn serves(&self) -> bool {
        self.state.is_none_or(|state| state.serves)
    }
}

/// How people call it.
pub(super) fn called(name: &ServerName) -> String {
    match name {
        ServerName::Instance(name) => format!("DB instance {name}"),
        ServerName::Cluster(name) => format!("DB cluster {name}"),
    }
}

/// A server that RDS described, where it is one that can be used.
pub(super) fn in_rds(name: &ServerName, server: RdsServer) -> Result<Found, Problem> {
    let called = called(name);
    if let Some(cluster) = &server.member_of {
        let message = format!("{called} is a member of cluster {cluster}: name the cluster instead");
        return Err(Problem::standing(Reason::UseDbCluster, message));
    }
    known_engine(&server.engine)?;
    let unreadable = |_| Problem::passing(Reason::UnexpectedError, "RDS answered with an ARN that cannot be read");
    let arn: Arn = server.arn.parse().map_err(unreadable)?;
    let state = rds_state::of_server(&server.state);
    let Some(writer) = &server.writer else {
        let message = format!("{called} has no endpoint yet; RDS says it is {}", state.word);
        return Err(Problem::passing(Reason::Resolving, message));
    };
    let down = || Problem::passing(Reason::Resolving, format!("{called} is {}", state.word));
    Ok(Found {
        name: Some(name.clone()),
        arn: Some(server.arn.clone()),
        partition: arn.partition().to_owned(),
        account_id: arn.account().to_owned(),
        resource_id: server.resource_id,
        engine: server.engine,
        engine_version: Some(server.engine_version),
        endpoints: Endpoints {
            writer: Some(host_port(writer)?),
            reader: server.reader.as_ref().map(host_port).transpose()?,
            custom: server.custom.iter().filter_map(named).collect(),
            instances: server.instances.iter().filter_map(named).collect(),
            replicas: server.replicas.into_iter().filter_map(replica).collect(),
            proxies: Vec::new(),
        },
        iam_authentication: Some(server.iam_authentication),
        pending: server.pending,
        master_username: Some(server.master_username),
        master_secret_arn: server.master_secret_arn,
        ca_identifier: server.ca_identifier,
        upcoming: Vec::new(),
        state: Some(state),
        shortfalls: if state.serves { Vec::new() } else { vec![down()] },
        note: None,
    })
}

/// All that describing would tell, as the administrator wrote it down: for operators without describe rights.
pub(super) fn by_hand(region: &str, fixed: &StaticSource) -> Result<Found, Problem> {
    known_engine(&fixed.engine)?;
    let host_port = |it: &HostPort| host_port(&(it.host.clone(), it.port));
    Ok(Found {
        name: None,
        arn: None,
        partition: partition_of(region).to_owned(),
        account_id: fixed.account_id.clone(),
        resource_id: fixed.resource_id.clone(),
        engine: fixed.engine.clone(),
        engine_version: None,
        endpoints: Endpoints {
            writer: Some(host_port(&fixed.writer)?),
            reader: fixed.reader.as_ref().map(host_port).transpose()?,
            ..Endpoints::default()
        },
        iam_authentication: None,
        pending: Pending::default(),
        master_username: None,
        master_secret_arn: None,
        ca_identifier: None,
        upcoming: Vec::new(),
        state: None,
        shortfalls: Vec::new(),
        note: None,
    })
}

/// The partition that a Region is in.
fn partition_of(region: &str) -> &'static str {
    if region.starts_with("cn-") {
        "aws-cn"
    } else if region.starts_with("us-gov-") {
        "aws-us-gov"
    } else {
        "aws"
    }
}

fn known_engine(engine: &str) -> Result<(), Problem> {
    if Engine::of_rds(engine).is_some() {
        return Ok(());
    }
    Err(Problem::standing(Reason::NotSupportedYet, format!("the engine {engine} is neither MySQL nor MariaDB")))
}

fn host_port((host, port): &Address) -> Result<HostPort, Problem> {
    let refused =
        |_| Problem::standing(Reason::NotAllowed, format!("the endpoint {host} is not under a domain of RDS"));
    Endpoint::new(host, *port).map_err(refused)?;
    Ok(HostPort { host: host.clone(), port: *port })
}

/// What is no endpoint of RDS's is left out: nobody can ask for it then.
pub(super) fn named((name, address): &(String, Address)) -> Option<NamedEndpoint> {
    let HostPort { host, port } = host_port(address).ok()?;
    Some(NamedEndpoint { name: name.clone(), host, port })
}

fn replica(replica: crate::ports::Replica) -> Option<ReplicaStatus> {
    let HostPort { host, port } = host_port(&replica.address).ok()?;
    Some(ReplicaStatus { name: replica.name, resource_id: replica.resource_id, host, port })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::ports::Replica;

    /// An instance `orders` that is well.
    pub(in super::super) fn orders() -> RdsServer {
        RdsServer {
            state: "available".into(),
            arn: "arn:aws:rds:us-east-1:123456789012:db:orders".into(),
            resource_id: "db-ORDERS".into(),
            engine: "mysql".into(),
            engine_version: "8.0.36".into(),
            writer: Some(("orders.x.us-east-1.rds.amazonaws.com".into(), 3306)),
            reader: None,
            iam_authentication: true,
            pending: Pending::default(),
            master_username: "admin".into(),
            master_secret_arn: None,
            ca_identifier: None,
            member_of: None,
            custom: Vec::new(),
            instances: Vec::new(),
            replicas: Vec::new(),
        }
    }

    /// What RDS lists it under.
    pub(in super::super) fn name() -> ServerName {
        ServerName::Instance("orders".into())
    }

    fn fixed(host: &str, engine: &str) -> StaticSource {
        serde_json::from_value(serde_json::json!({
            "accountId": "123456789012", "resourceId": "cluster-ABC", "engine": engine,
            "writer": {"host": host, "port": 3306},
        }))
        .unwrap()
    }

    #[test]
    fn a_server_described_by_hand_needs_nobody_to_be_asked() {
        let found = by_hand("us-gov-west-1", &fixed("x.cluster-a.us-gov-west-1.rds.amazonaws.com", "aurora-mysql"));
        let found = found.unwrap();
        assert_eq!((found.partition.as_str(), found.resource_id.as_str()), ("aws-us-gov", "cluster-ABC"));
        assert_eq!(partition_of("cn-north-1"), "aws-cn");
        assert_eq!(partition_of("eu-west-1"), "aws");
    }

    #[test]
    fn no_description_leads_out_of_rds() {
        for host in ["169.254.169.254", "localhost", "db.example.com"] {
            assert_eq!(by_hand("us-east-1", &fixed(host, "mysql")).unwrap_err().reason, Reason::NotAllowed, "{host}");
            let strange = (host.to_owned(), 3306);
            let lists = |it: &mut RdsServer| {
                it.custom = vec![("c".into(), strange.clone())];
                it.instances = vec![("i".into(), strange.clone())];
                let (name, resource_id) = ("r".into(), "db-R".into());
                it.replicas = vec![Replica { name, resource_id, address: strange.clone() }];
            };
            let mut server = orders();
            lists(&mut server);
            let endpoints = in_rds(&name(), server).unwrap().endpoints;
            assert_eq!((endpoints.custom.len(), endpoints.instances.len(), endpoints.replicas.len()), (0, 0, 0));
            let led_astray = RdsServer { reader: Some(strange.clone()), ..orders() };
            assert_eq!(in_rds(&name(), led_astray).unwrap_err().reason, Reason::NotAllowed, "{host}");
        }
        let problem = by_hand("us-east-1", &fixed("x.rds.amazonaws.com", "postgres")).unwrap_err();
        assert_eq!(problem.reason, Reason::NotSupportedYet);
    }

    #[test]
    fn a_member_of_a_cluster_is_refused_and_the_cluster_named() {
        let member = RdsServer { member_of: Some("ledger".into()), ..orders() };
        let problem = in_rds(&name(), member).unwrap_err();
        assert_eq!(problem.reason, Reason::UseDbCluster);
        assert!(problem.message.contains("cluster ledger"));
    }

    #[test]
    fn a_server_that_does_not_serve_is_known_and_its_state_told() {
        for (state, told) in
            [("stopped", "DB instance orders is stopped"), ("upgrading", "DB instance orders is upgrading")]
        {
            let found = in_rds(&name(), RdsServer { state: state.into(), ..orders() }).unwrap();
            assert_eq!(found.resource_id, "db-ORDERS");
            assert_eq!((found.shortfalls[0].reason, found.shortfalls[0].message.as_str()), (Reason::Resolving, told));
        }
        assert!(in_rds(&name(), RdsServer { state: "backing-up".into(), ..orders() }).unwrap().shortfalls.is_empty());
        let new = RdsServer { state: "creating".into(), writer: None, ..orders() };
        let problem = in_rds(&ServerName::Cluster("ledger".into()), new).unwrap_err();
        assert_eq!(problem.reason, Reason::Resolving);
        assert_eq!(problem.message, "DB cluster ledger has no endpoint yet; RDS says it is creating");
        let strange = RdsServer { state: "canary".into(), writer: None, ..orders() };
        assert!(!in_rds(&name(), strange).unwrap_err().message.contains("canary"));
    }
}
