//! RDS Proxies.

use async_trait::async_trait;
use aws_sdk_rds::Client;
use aws_sdk_rds::types::{DbProxy, DbProxyEndpoint, DbProxyTarget};
use futures::future::try_join;

use super::super::classify;
use super::super::clients::{Identities, Regional};
use super::unreadable;
use crate::domain::access::Access;
use crate::ports::{Fault, Proxies, Proxy};

const PROXY: &str = "describe DB proxy";
const ENDPOINTS: &str = "describe DB proxy endpoints";
const TARGETS: &str = "describe DB proxy targets";

/// RDS Proxies of every Region.
#[derive(Debug)]
pub struct RdsProxies {
    clients: Regional<Client>,
}

impl RdsProxies {
    pub(in super::super) fn new(identities: &Identities) -> Self {
        Self { clients: Regional::new(identities, Client::new) }
    }
}

#[async_trait]
impl Proxies for RdsProxies {
    async fn describe(&self, access: &Access, name: &str) -> Result<Option<Proxy>, Fault> {
        let client = self.clients.client(access);
        let answer = client.describe_db_proxies().db_proxy_name(name).send().await;
        let answer = classify::missing_is_none(answer.map_err(|error| classify::fault(PROXY, &error)))?;
        let Some(answer) = answer else { return Ok(None) };
        let [proxy] = answer.db_proxies() else { return Err(unreadable(PROXY, "DBProxies")) };
        let endpoints = async {
            let answer = client.describe_db_proxy_endpoints().db_proxy_name(name).send().await;
            let answer = answer.map_err(|error| classify::fault(ENDPOINTS, &error))?;
            Ok(answer.db_proxy_endpoints.unwrap_or_default())
        };
        let targets = async {
            let answer = client.describe_db_proxy_targets().db_proxy_name(name).send().await;
            let answer = answer.map_err(|error| classify::fault(TARGETS, &error))?;
            Ok(answer.targets.unwrap_or_default())
        };
        let (endpoints, targets) = try_join(endpoints, targets).await?;
        read(proxy, &endpoints, &targets).map(Some)
    }
}

fn read(proxy: &DbProxy, endpoints: &[DbProxyEndpoint], targets: &[DbProxyTarget]) -> Result<Proxy, Fault> {
    // Policies name the last part of the ARN, which is not the proxy's name.
    let id = proxy.db_proxy_arn().and_then(|arn| arn.rsplit(':').next()).filter(|id| id.starts_with("prx-"));
    let further = endpoints
        .iter()
        .filter(|endpoint| endpoint.is_default() != Some(true))
        .filter_map(|endpoint| Some((endpoint.db_proxy_endpoint_name()?.to_owned(), endpoint.endpoint()?.to_owned())));
    let mut endpoints: Vec<(String, String)> =
        further.filter(|(_, host)| Some(host.as_str()) != proxy.endpoint()).collect();
    endpoints.sort();
    // A cluster is named as such, and beside each of its members.
    let names = targets.iter().flat_map(|target| [target.rds_resource_id(), target.tracked_cluster_id()]);
    let mut targets: Vec<String> = names.flatten().map(str::to_owned).collect();
    targets.sort();
    targets.dedup();
    let state = proxy.status().ok_or_else(|| unreadable(PROXY, "Status"))?;
    Ok(Proxy {
        state: state.as_str().to_owned(),
        resource_id: id.ok_or_else(|| unreadable(PROXY, "DBProxyArn"))?.to_owned(),
        by_iam: proxy.default_auth_scheme() == Some("IAM_AUTH"),
        role_arn: proxy.role_arn().map(str::to_owned),
        host: proxy.endpoint().map(str::to_owned),
        endpoints,
        targets,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_rds::types::DbProxyStatus;

    use super::*;
    use crate::ports::FaultKind;

    fn proxy() -> aws_sdk_rds::types::builders::DbProxyBuilder {
        DbProxy::builder()
            .db_proxy_name("orders-proxy")
            .db_proxy_arn("arn:aws:rds:us-east-1:123456789012:db-proxy:prx-0abc")
            .status(DbProxyStatus::Available)
            .endpoint("orders-proxy.proxy-x.us-east-1.rds.amazonaws.com")
            .role_arn("arn:aws:iam::123456789012:role/proxy")
    }

    #[test]
    fn a_proxy_is_known_by_the_last_part_of_its_arn() {
        let seen = read(&proxy().default_auth_scheme("IAM_AUTH").build(), &[], &[]).unwrap();
        assert_eq!((seen.resource_id.as_str(), seen.state.as_str(), seen.by_iam), ("prx-0abc", "available", true));
        assert!(!read(&proxy().build(), &[], &[]).unwrap().by_iam);
        let strange = proxy().db_proxy_arn("arn:aws:rds:us-east-1:123456789012:db-proxy:orders-proxy").build();
        let fault = read(&strange, &[], &[]).unwrap_err();
        assert_eq!((fault.kind, fault.code.as_deref()), (FaultKind::Unreadable, Some("DBProxyArn")));
    }

    #[test]
    fn the_default_endpoint_is_no_further_endpoint_and_targets_are_named_once() {
        let endpoint = |name: &str, host: &str| {
            DbProxyEndpoint::builder().db_proxy_endpoint_name(name).endpoint(host).is_default(name == "default").build()
        };
        let endpoints = [
            endpoint("ro", "ro.endpoint.proxy-x.us-east-1.rds.amazonaws.com"),
            endpoint("default", "any.rds.amazonaws.com"),
            endpoint("same", "orders-proxy.proxy-x.us-east-1.rds.amazonaws.com"),
        ];
        let member = |name: &str| DbProxyTarget::builder().rds_resource_id(name).tracked_cluster_id("ledger").build();
        let seen = read(&proxy().build(), &endpoints, &[member("ledger-1"), member("ledger-2")]).unwrap();
        assert_eq!(seen.endpoints, [("ro".to_owned(), "ro.endpoint.proxy-x.us-east-1.rds.amazonaws.com".to_owned())]);
        assert_eq!(seen.targets, ["ledger", "ledger-1", "ledger-2"]);
    }
}
