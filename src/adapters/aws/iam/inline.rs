//! Policies in principals themselves. What marks one as ours is its name.

use aws_sdk_iam::Client;
use aws_sdk_iam::config::http::HttpResponse;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use futures::future::try_join_all;

use super::super::classify;
use super::apply::gone_is_done;
use super::observe::decoded;
use crate::domain::arn::PrincipalKind;
use crate::domain::policy::{self, ObservedPolicies, ObservedPolicy, PolicyHome, Resources};
use crate::ports::{Fault, FaultKind};

const LIST: &str = "list inline policies";
const GET: &str = "get inline policy";
const PUT: &str = "put inline policy";
const REMOVE: &str = "delete inline policy";

/// Reads the policies of a home, and how much room those of others take: IAM counts all of a principal's together.
pub(super) async fn policies(client: &Client, home: &PolicyHome) -> Result<ObservedPolicies, Fault> {
    let names = names(client, home).await?;
    let documents = try_join_all(names.iter().map(|name| document(client, home, name))).await?;
    let mut observed = ObservedPolicies::default();
    for (name, document) in names.iter().zip(documents) {
        let Some(document) = document else { continue };
        match home.number_of_name(name) {
            Some(number) => {
                let resources = policy::parse(&document);
                observed
                    .policies
                    .insert(number, ObservedPolicy { is_ours: true, resources, ..ObservedPolicy::default() });
                observed.attached.insert(number);
            }
            None => observed.foreign_inline += policy::size(&document),
        }
    }
    Ok(observed)
}

/// Names of all inline policies; a principal that does not exist has none.
async fn names(client: &Client, home: &PolicyHome) -> Result<Vec<String>, Fault> {
    let name = home.principal.name();
    let listed = match home.principal.kind() {
        PrincipalKind::Role => {
            told(LIST, client.list_role_policies().role_name(name).into_paginator().items().send().collect().await)
        }
        PrincipalKind::User => {
            told(LIST, client.list_user_policies().user_name(name).into_paginator().items().send().collect().await)
        }
        PrincipalKind::Group => {
            told(LIST, client.list_group_policies().group_name(name).into_paginator().items().send().collect().await)
        }
    };
    Ok(classify::missing_is_none(listed)?.unwrap_or_default())
}

/// One document; none when it went meanwhile.
async fn document(client: &Client, home: &PolicyHome, policy: &str) -> Result<Option<String>, Fault> {
    let name = home.principal.name();
    let answer = match home.principal.kind() {
        PrincipalKind::Role => {
            let call = client.get_role_policy().role_name(name).policy_name(policy);
            told(GET, call.send().await.map(|answer| answer.policy_document))
        }
        PrincipalKind::User => {
            let call = client.get_user_policy().user_name(name).policy_name(policy);
            told(GET, call.send().await.map(|answer| answer.policy_document))
        }
        PrincipalKind::Group => {
            let call = client.get_group_policy().group_name(name).policy_name(policy);
            told(GET, call.send().await.map(|answer| answer.policy_document))
        }
    };
    let Some(document) = classify::missing_is_none(answer)? else { return Ok(None) };
    decoded(&document).map(Some).ok_or_else(|| Fault::new(FaultKind::Unreadable, GET))
}

pub(super) async fn put(client: &Client, home: &PolicyHome, number: usize, resources: &Resources) -> Result<(), Fault> {
    let (name, policy, document) = (home.principal.name(), home.name(number), policy::document(resources));
    match home.principal.kind() {
        PrincipalKind::Role => {
            let call = client.put_role_policy().role_name(name).policy_name(policy).policy_document(document);
            told(PUT, call.send().await.map(drop))
        }
        PrincipalKind::User => {
            let call = client.put_user_policy().user_name(name).policy_name(policy).policy_document(document);
            told(PUT, call.send().await.map(drop))
        }
        PrincipalKind::Group => {
            let call = client.put_group_policy().group_name(name).policy_name(policy).policy_document(document);
            told(PUT, call.send().await.map(drop))
        }
    }
}

pub(super) async fn remove(client: &Client, home: &PolicyHome, number: usize) -> Result<(), Fault> {
    let (name, policy) = (home.principal.name(), home.name(number));
    match home.principal.kind() {
        PrincipalKind::Role => {
            gone_is_done(REMOVE, client.delete_role_policy().role_name(name).policy_name(policy).send().await)
        }
        PrincipalKind::User => {
            gone_is_done(REMOVE, client.delete_user_policy().user_name(name).policy_name(policy).send().await)
        }
        PrincipalKind::Group => {
            gone_is_done(REMOVE, client.delete_group_policy().group_name(name).policy_name(policy).send().await)
        }
    }
}

fn told<T, E>(operation: &'static str, answer: Result<T, SdkError<E, HttpResponse>>) -> Result<T, Fault>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    answer.map_err(|error| classify::fault(operation, &error))
}
