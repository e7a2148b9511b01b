//! What IAM tells: which policies of a home there are, what they allow, and which are attached.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_iam::Client;
use aws_sdk_iam::config::http::HttpResponse;
use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_iam::types::{AttachedPolicy, PolicyVersion};
use futures::future::{try_join, try_join_all};
use percent_encoding::percent_decode_str;

use super::super::classify;
use crate::domain::arn::{Principal, PrincipalKind};
use crate::domain::policy::{self, ObservedPolicies, ObservedPolicy, PolicyHome, Resources, Tags, is_ours};
use crate::ports::{Fault, FaultKind};

const LIST_ATTACHED: &str = "list attached policies";
const GET_POLICY: &str = "get policy";
const LIST_VERSIONS: &str = "list policy versions";
const GET_VERSION: &str = "get policy version";
const GET_PRINCIPAL: &str = "get principal";

/// How far the search goes through absent numbers to reach an attached one: AWS lets nobody attach more policies than this.
const ATTACHABLE: usize = 25;

/// Reads the policies of a home. A number counts as absent only when IAM says so of this very policy; the search for them
/// ends at the first absent number beyond those that are attached: plans leave no gap below one that is not.
pub(super) async fn policies(client: &Client, home: &PolicyHome) -> Result<ObservedPolicies, Fault> {
    let attached = attached(client, home).await?;
    let known = try_join_all(attached.iter().map(|&number| policy(client, home, number))).await?;
    let mut policies: BTreeMap<_, _> =
        attached.iter().zip(known).filter_map(|(&number, policy)| Some((number, policy?))).collect();
    let beyond = attached.last().map_or(1, |&last| last.min(ATTACHABLE) + 1);
    for number in (1..).filter(|number| !attached.contains(number)) {
        match policy(client, home, number).await? {
            Some(policy) => drop(policies.insert(number, policy)),
            None if number >= beyond => break,
            None => {}
        }
    }
    Ok(ObservedPolicies { policies, attached, foreign_inline: 0 })
}

/// Whether the principal of this name is the one of this ARN: a name does not tell the path.
pub(super) async fn exists(client: &Client, principal: &Principal) -> Result<bool, Fault> {
    let name = principal.name();
    let arn = match principal.kind() {
        PrincipalKind::Role => client
            .get_role()
            .role_name(name)
            .send()
            .await
            .map(|answer| answer.role.map(|role| role.arn))
            .map_err(|error| classify::fault(GET_PRINCIPAL, &error)),
        PrincipalKind::User => client
            .get_user()
            .user_name(name)
            .send()
            .await
            .map(|answer| answer.user.map(|user| user.arn))
            .map_err(|error| classify::fault(GET_PRINCIPAL, &error)),
        PrincipalKind::Group => client
            .get_group()
            .group_name(name)
            .max_items(1)
            .send()
            .await
            .map(|answer| answer.group.map(|group| group.arn))
            .map_err(|error| classify::fault(GET_PRINCIPAL, &error)),
    };
    let Some(arn) = classify::missing_is_none(arn)? else { return Ok(false) };
    let arn = arn.ok_or_else(|| Fault::new(FaultKind::Unreadable, GET_PRINCIPAL))?;
    Ok(arn == principal.arn().as_str())
}

fn all<E>(pages: Result<Vec<AttachedPolicy>, SdkError<E, HttpResponse>>) -> Result<Vec<AttachedPolicy>, Fault>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let listed = classify::missing_is_none(pages.map_err(|error| classify::fault(LIST_ATTACHED, &error)))?;
    Ok(listed.unwrap_or_default()) // a principal that does not exist has nothing attached
}

/// Numbers of the home's policies that are attached to the principal.
async fn attached(client: &Client, home: &PolicyHome) -> Result<BTreeSet<usize>, Fault> {
    let (name, path) = (home.principal.name(), home.path());
    let listed: Vec<AttachedPolicy> = match home.principal.kind() {
        PrincipalKind::Role => {
            let pages = client.list_attached_role_policies().role_name(name).path_prefix(path);
            all(pages.into_paginator().items().send().collect::<Result<_, _>>().await)
        }
        PrincipalKind::User => {
            let pages = client.list_attached_user_policies().user_name(name).path_prefix(path);
            all(pages.into_paginator().items().send().collect::<Result<_, _>>().await)
        }
        PrincipalKind::Group => {
            let pages = client.list_attached_group_policies().group_name(name).path_prefix(path);
            all(pages.into_paginator().items().send().collect::<Result<_, _>>().await)
        }
    }?;
    Ok(listed.iter().filter_map(|policy| home.number(policy.policy_arn()?)).collect())
}

/// One policy; none when there is none of that number.
async fn policy(client: &Client, home: &PolicyHome, number: usize) -> Result<Option<ObservedPolicy>, Fault> {
    let arn = home.id(number);
    let answer = client.get_policy().policy_arn(&arn).send().await.map_err(|error| classify::fault(GET_POLICY, &error));
    let Some(answer) = classify::missing_is_none(answer)? else { return Ok(None) };
    let found = answer.policy.ok_or_else(|| Fault::new(FaultKind::Unreadable, GET_POLICY))?;
    let tags: Tags = found.tags().iter().map(|tag| (tag.key().to_owned(), tag.value().to_owned())).collect();
    if !is_ours(&tags, &home.cluster) {
        // Nothing more is read of what is not ours: the plan ends at it.
        return Ok(Some(ObservedPolicy { tags, ..ObservedPolicy::default() }));
    }
    let default = found.default_version_id().ok_or_else(|| Fault::new(FaultKind::Unreadable, GET_POLICY))?;
    let (other_versions, resources) =
        try_join(other_versions(client, &arn, default), resources(client, &arn, default)).await?;
    Ok(Some(ObservedPolicy { is_ours: true, resources, other_versions, tags }))
}

async fn other_versions(client: &Client, arn: &str, default: &str) -> Result<Vec<String>, Fault> {
    let pages = client.list_policy_versions().policy_arn(arn).into_paginator().items();
    let listed: Vec<PolicyVersion> =
        pages.send().collect::<Result<_, _>>().await.map_err(|error| classify::fault(LIST_VERSIONS, &error))?;
    let mut others: Vec<String> =
        listed.into_iter().filter_map(|version| version.version_id).filter(|version| version != default).collect();
    others.sort_by_key(|version| age(version));
    Ok(others)
}

/// Versions are called `v1`, `v2`, ... in the order in which they were made, and no number is used again.
fn age(version: &str) -> u64 {
    version.strip_prefix('v').and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// What a version allows; none when its document is none of ours.
async fn resources(client: &Client, arn: &str, version: &str) -> Result<Option<Resources>, Fault> {
    let answer = client
        .get_policy_version()
        .policy_arn(arn)
        .version_id(version)
        .send()
        .await
        .map_err(|error| classify::fault(GET_VERSION, &error))?;
    let document = answer
        .policy_version()
        .and_then(PolicyVersion::document)
        .ok_or_else(|| Fault::new(FaultKind::Unreadable, GET_VERSION))?;
    Ok(parse(document))
}

fn parse(document: &str) -> Option<Resources> {
    policy::parse(&decoded(document)?)
}

/// IAM percent-encodes documents in its answers, and a plus is a plus.
pub(super) fn decoded(document: &str) -> Option<String> {
    Some(percent_decode_str(document).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::names::Username;
    use crate::domain::policy::ConnectArn;

    #[test]
    fn a_document_is_decoded_before_it_is_read() {
        let user = Username::parse("app_orders").unwrap();
        let resources: Resources = [ConnectArn::new("aws", "us-east-1", "123456789012", "db-ORDERS", &user)].into();
        let encoded =
            percent_encoding::utf8_percent_encode(&policy::document(&resources), percent_encoding::NON_ALPHANUMERIC)
                .to_string();
        assert_eq!(parse(&encoded), Some(resources));
        assert_eq!(parse("%ff"), None);
        assert_eq!(parse("%7B%7D"), None);
    }

    #[test]
    fn versions_are_older_by_their_number() {
        let mut versions = ["v10", "v9", "v2"];
        versions.sort_by_key(|version| age(version));
        assert_eq!(versions, ["v2", "v9", "v10"]);
    }
}
