//! The proxies of a DbServer: which of those that it names can be used, and how they log in to the database.

use futures::future::try_join_all;

use super::resolve::is_outage;
use crate::api::{Endpoints, NamedEndpoint, ProxyRef, ProxyScheme, ProxyStatus, Reason};
use crate::controllers::context::Context;
use crate::controllers::problem::Problem;
use crate::domain::access::Access;
use crate::domain::endpoint::Endpoint;
use crate::domain::rds_state;
use crate::ports::{Fault, Proxy, ServerName};

/// Proxies of the MySQL family listen here, whatever port the database has.
const PORT: u16 = 3306;

/// What was found of the proxies that a DbServer names.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) known: Vec<ProxyStatus>,
    pub(super) shortfalls: Vec<Problem>,
}

/// Looks at all proxies. `before` is what was known of them.
pub(super) async fn look<'p>(
    wanted: &'p [ProxyRef],
    server: Option<&ServerName>,
    access: &Access,
    before: Option<&Endpoints>,
    context: &Context,
) -> Result<Looked, Problem> {
    let describe = |wanted: &'p ProxyRef| async move {
        match context.proxies.describe(access, &wanted.identifier).await {
            Err(fault) if is_outage(&fault) => Err(fault),
            answer => Ok((wanted, answer)),
        }
    };
    let answers = try_join_all(wanted.iter().map(describe)).await?;
    let mut looked = Looked::default();
    for (wanted, answer) in answers {
        let (known, shortfall) = match answer {
            Ok(proxy) => judge(wanted, proxy, server, &access.region),
            Err(fault) => unanswered(wanted, fault, before),
        };
        looked.known.extend(known);
        looked.shortfalls.extend(shortfall);
    }
    Ok(looked)
}

/// No answer is no news: what was known of the proxy still stands.
fn unanswered(wanted: &ProxyRef, fault: Fault, before: Option<&Endpoints>) -> (Option<ProxyStatus>, Option<Problem>) {
    let known = before.and_then(|before| before.proxies.iter().find(|it| it.name == wanted.name)).cloned();
    let problem = Problem::from(fault);
    let message = format!("proxy {}: {}", wanted.name, problem.message);
    (known, Some(Problem { message, ..problem }))
}

/// The proxy as clients may use it, and what is wrong with it.
fn judge(
    wanted: &ProxyRef,
    found: Option<Proxy>,
    server: Option<&ServerName>,
    region: &str,
) -> (Option<ProxyStatus>, Option<Problem>) {
    let ProxyRef { name, identifier } = wanted;
    let Some(proxy) = found else {
        let message = format!("proxy {name}: RDS knows no DB proxy {identifier} in {region}");
        return (None, Some(Problem::passing(Reason::NotFound, message)));
    };
    if let Some(ServerName::Instance(server) | ServerName::Cluster(server)) = server
        && !proxy.targets.iter().any(|target| target.eq_ignore_ascii_case(server))
    {
        let message =
            format!("proxy {name}: DB proxy {identifier} passes connections to another database than {server}");
        return (None, Some(Problem::passing(Reason::NotFound, message)));
    }
    let state = rds_state::of_proxy(&proxy.state);
    let down = || Problem::passing(Reason::Resolving, format!("proxy {name}: DB proxy {identifier} is {}", state.word));
    let Some(host) = proxy.host.filter(|host| Endpoint::new(host, PORT).is_ok()) else {
        return (None, Some(down()));
    };
    let endpoints = proxy.endpoints.into_iter().filter(|(_, host)| Endpoint::new(host, PORT).is_ok());
    let status = ProxyStatus {
        name: name.clone(),
        resource_id: proxy.resource_id,
        scheme: if proxy.by_iam { ProxyScheme::EndToEndIam } else { ProxyScheme::Standard },
        role_arn: proxy.role_arn.filter(|_| proxy.by_iam),
        host,
        port: PORT,
        endpoints: endpoints.map(|(name, host)| NamedEndpoint { name, host, port: PORT }).collect(),
    };
    (Some(status), (!state.serves).then(down))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::FaultKind;

    fn wanted() -> ProxyRef {
        ProxyRef { name: "app".into(), identifier: "orders-proxy".into() }
    }

    fn proxy() -> Proxy {
        Proxy {
            state: "available".into(),
            resource_id: "prx-1".into(),
            by_iam: false,
            role_arn: Some("arn:aws:iam::123456789012:role/proxy".into()),
            host: Some("orders-proxy.proxy-x.us-east-1.rds.amazonaws.com".into()),
            endpoints: vec![
                ("ro".into(), "ro.endpoint.proxy-x.us-east-1.rds.amazonaws.com".into()),
                ("evil".into(), "evil.example.com".into()),
            ],
            targets: vec!["Orders".into()],
        }
    }

    fn judged(found: Option<Proxy>) -> (Option<ProxyStatus>, Option<Problem>) {
        judge(&wanted(), found, Some(&ServerName::Instance("orders".into())), "us-east-1")
    }

    #[test]
    fn a_proxy_tells_its_scheme_and_its_further_endpoints() {
        let (known, shortfall) = judged(Some(proxy()));
        let known = known.unwrap();
        assert_eq!(shortfall, None);
        assert_eq!((known.scheme, known.role_arn, known.port), (ProxyScheme::Standard, None, 3306));
        assert_eq!(known.endpoints.len(), 1, "what is not under a domain of RDS is left out");
        let (known, _) = judged(Some(Proxy { by_iam: true, ..proxy() }));
        let known = known.unwrap();
        assert_eq!((known.scheme, known.role_arn.is_some()), (ProxyScheme::EndToEndIam, true));
    }

    #[test]
    fn a_proxy_that_cannot_be_used_is_told_by_name() {
        for (found, reason, part) in [
            (None, Reason::NotFound, "RDS knows no DB proxy orders-proxy in us-east-1"),
            (
                Some(Proxy { targets: vec!["billing".into()], ..proxy() }),
                Reason::NotFound,
                "another database than orders",
            ),
            (Some(Proxy { host: None, state: "creating".into(), ..proxy() }), Reason::Resolving, "is creating"),
        ] {
            let (known, shortfall) = judged(found);
            let shortfall = shortfall.unwrap();
            assert_eq!((known, shortfall.reason), (None, reason));
            assert!(shortfall.message.starts_with("proxy app: ") && shortfall.message.contains(part));
        }
        let (known, shortfall) = judged(Some(Proxy { state: "suspended".into(), ..proxy() }));
        assert!(known.is_some(), "it keeps its id and its endpoints");
        assert_eq!(shortfall.unwrap().message, "proxy app: DB proxy orders-proxy is suspended");
    }

    #[test]
    fn what_was_known_of_a_proxy_stands_while_rds_does_not_answer() {
        let (known, _) = judged(Some(proxy()));
        let before = Endpoints { proxies: known.into_iter().collect(), ..Endpoints::default() };
        let (kept, shortfall) = unanswered(&wanted(), Fault::new(FaultKind::Denied, "try"), Some(&before));
        assert_eq!(kept.as_ref(), before.proxies.first());
        assert_eq!(shortfall.unwrap().reason, Reason::AccessDenied);
    }

    #[test]
    fn the_targets_of_a_server_described_by_hand_are_not_judged() {
        assert!(judge(&wanted(), Some(proxy()), None, "us-east-1").0.is_some());
    }
}
