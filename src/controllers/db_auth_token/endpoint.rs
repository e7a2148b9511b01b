//! From the endpoint that a DbAuthToken names to what is signed for, and to what clients dial. Pure.

use crate::api::{self, AliasTarget, DbServer, EndpointType, NamedEndpoint, Reason};
use crate::controllers::problem::Problem;
use crate::controllers::server::Server;
use crate::domain::binding::Alias;
use crate::domain::endpoint::Endpoint;

/// The endpoint that the token is signed for, as RDS names it.
pub(super) fn signed(asked: &api::Endpoint, server: &Server) -> Result<Endpoint, Problem> {
    let (endpoints, name) = (&server.endpoints, asked.name.as_deref().unwrap_or_default());
    let named = |list: &[NamedEndpoint]| place(list, name);
    let found = match asked.kind {
        EndpointType::Writer => return Ok(server.writer.clone()),
        EndpointType::Reader => endpoints.reader.as_ref().map(|it| (it.host.clone(), it.port)),
        EndpointType::Custom => named(&endpoints.custom),
        EndpointType::Instance => named(&endpoints.instances),
        EndpointType::Replica => {
            endpoints.replicas.iter().find(|it| it.name == name).map(|it| (it.host.clone(), it.port))
        }
        EndpointType::Proxy => {
            let (proxy, further) = name.split_once('/').map_or((name, None), |(proxy, it)| (proxy, Some(it)));
            let proxy = endpoints.proxies.iter().find(|it| it.name == proxy);
            proxy.and_then(|proxy| match further {
                None => Some((proxy.host.clone(), proxy.port)),
                Some(further) => place(&proxy.endpoints, further),
            })
        }
        EndpointType::Unknown => {
            return Err(Problem::of_spec(Reason::NotSupportedYet, "spec.endpoint.type is not known to this version"));
        }
    };
    let (host, port) = found.ok_or_else(|| {
        let message = format!("spec.endpoint: the DbServer has no endpoint {:?} {name}", asked.kind);
        Problem::of_spec(Reason::NotFound, message.trim_end())
    })?;
    Endpoint::new(&host, port)
        .map_err(|_| Problem::of_spec(Reason::NotAllowed, "spec.endpoint: its host is not under a domain of RDS"))
}

fn place(list: &[NamedEndpoint], name: &str) -> Option<(String, u16)> {
    list.iter().find(|it| it.name == name).map(|it| (it.host.clone(), it.port))
}

/// What clients dial instead, where the token names an alias of the DbServer.
pub(super) fn alias(asked: &api::Endpoint, server: &DbServer) -> Result<Option<Alias>, Problem> {
    let Some(name) = &asked.alias else { return Ok(None) };
    let alias = server.spec.aliases.iter().find(|alias| alias.name == *name);
    let alias = alias.ok_or_else(|| {
        Problem::of_spec(Reason::NotFound, format!("spec.endpoint.alias: the DbServer has no alias {name}"))
    })?;
    let is_for = match alias.target {
        AliasTarget::Writer => EndpointType::Writer,
        AliasTarget::Reader => EndpointType::Reader,
        AliasTarget::Unknown => EndpointType::Unknown,
    };
    if is_for != asked.kind {
        let message = format!("spec.endpoint.alias: {name} stands for {is_for:?}, the token is for {:?}", asked.kind);
        return Err(Problem::of_spec(Reason::NotFound, message));
    }
    Ok(Some(Alias { host: alias.host.clone(), port: alias.port }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn definition() -> DbServer {
        let endpoint =
            |name: &str| json!({"name": name, "host": format!("{name}.abc.us-east-1.rds.amazonaws.com"), "port": 3306});
        let proxy = json!({
            "name": "app", "resourceId": "prx-1", "scheme": "EndToEndIam",
            "host": "app.proxy-abc.us-east-1.rds.amazonaws.com", "port": 3306,
            "endpoints": [endpoint("readonly")],
        });
        let replica =
            json!({"name": "copy", "resourceId": "db-2", "host": "copy.abc.us-east-1.rds.amazonaws.com", "port": 3307});
        serde_json::from_value(json!({
            "apiVersion": "iamdb.dev/v1alpha1", "kind": "DbServer", "metadata": {"name": "orders"},
            "spec": {
                "region": "us-east-1",
                "source": {"type": "DbCluster", "dbCluster": {"identifier": "orders"}},
                "aliases": [{"name": "tunnel", "for": "Writer", "host": "db.internal", "port": 13306}],
            },
            "status": {
                "resourceId": "cluster-1", "accountId": "123456789012", "partition": "aws", "engine": "aurora-mysql",
                "endpoints": {
                    "writer": {"host": "orders.abc.us-east-1.rds.amazonaws.com", "port": 3306},
                    "reader": {"host": "orders-ro.abc.us-east-1.rds.amazonaws.com", "port": 3306},
                    "custom": [endpoint("reports"), {"name": "odd", "host": "169.254.169.254", "port": 3306}],
                    "instances": [endpoint("one")],
                    "replicas": [replica],
                    "proxies": [proxy],
                },
            },
        }))
        .unwrap()
    }

    fn asked(value: Value) -> api::Endpoint {
        serde_json::from_value(value).unwrap()
    }

    fn host(value: Value) -> Result<String, Reason> {
        let server = Server::of(&definition()).unwrap();
        signed(&asked(value), &server).map(|endpoint| endpoint.to_string()).map_err(|problem| problem.reason)
    }

    #[test]
    fn every_kind_of_endpoint_is_found_by_its_name() {
        for (endpoint, expected) in [
            (json!({}), "orders.abc.us-east-1.rds.amazonaws.com:3306"),
            (json!({"type": "Reader"}), "orders-ro.abc.us-east-1.rds.amazonaws.com:3306"),
            (json!({"type": "Custom", "name": "reports"}), "reports.abc.us-east-1.rds.amazonaws.com:3306"),
            (json!({"type": "Instance", "name": "one"}), "one.abc.us-east-1.rds.amazonaws.com:3306"),
            (json!({"type": "Replica", "name": "copy"}), "copy.abc.us-east-1.rds.amazonaws.com:3307"),
            (json!({"type": "Proxy", "name": "app"}), "app.proxy-abc.us-east-1.rds.amazonaws.com:3306"),
            (json!({"type": "Proxy", "name": "app/readonly"}), "readonly.abc.us-east-1.rds.amazonaws.com:3306"),
        ] {
            assert_eq!(host(endpoint.clone()).as_deref(), Ok(expected), "{endpoint}");
        }
    }

    #[test]
    fn what_is_not_there_or_not_rds_is_not_signed_for() {
        for (endpoint, reason) in [
            (json!({"type": "Custom", "name": "one"}), Reason::NotFound),
            (json!({"type": "Proxy", "name": "app/other"}), Reason::NotFound),
            (json!({"type": "Custom", "name": "odd"}), Reason::NotAllowed),
            (json!({"type": "Someday"}), Reason::NotSupportedYet),
        ] {
            assert_eq!(host(endpoint.clone()), Err(reason), "{endpoint}");
        }
    }

    #[test]
    fn an_alias_stands_for_the_endpoint_that_it_is_for_and_no_other() {
        let of = |value| alias(&asked(value), &definition()).map_err(|problem| problem.reason);
        assert_eq!(of(json!({})), Ok(None));
        assert_eq!(of(json!({"alias": "tunnel"})), Ok(Some(Alias { host: "db.internal".into(), port: 13306 })));
        assert_eq!(of(json!({"type": "Reader", "alias": "tunnel"})), Err(Reason::NotFound));
        assert_eq!(of(json!({"alias": "other"})), Err(Reason::NotFound));
    }
}
