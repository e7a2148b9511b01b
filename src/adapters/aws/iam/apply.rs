//! Changes in IAM. What is done already is no fault.

use std::time::Duration;

use aws_sdk_iam::Client;
use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::error::SdkError;
use aws_sdk_iam::types::Tag;
use backon::{ExponentialBuilder, Retryable as _};

use super::super::classify;
use super::inline;
use crate::domain::arn::PrincipalKind;
use crate::domain::policy::{self, PolicyHome, PolicyStep, Resources, Tags};
use crate::ports::{Fault, FaultKind};

const CREATE: &str = "create policy";
const REPLACE: &str = "replace policy document";
const DELETE_VERSION: &str = "delete policy version";
const ATTACH: &str = "attach policy";
const DETACH: &str = "detach policy";
const DELETE: &str = "delete policy";
const TAG: &str = "tag policy";
const UNTAG: &str = "untag policy";

const DESCRIPTION: &str =
    "Lets the principal connect to databases by IAM authentication. Made by iamdb-operator: do not edit.";

/// For how long a policy that has just been created may be unknown to the next call: some ten seconds in all.
const PROPAGATION: ExponentialBuilder = ExponentialBuilder::new()
    .with_min_delay(Duration::from_millis(250))
    .with_max_delay(Duration::from_secs(2))
    .with_max_times(7);

pub(super) async fn step(client: &Client, home: &PolicyHome, step: &PolicyStep) -> Result<(), Fault> {
    match step {
        PolicyStep::Create { number, resources, tags } => create(client, home, *number, resources, tags).await,
        // Once: where the answer was lost, another attempt would leave a version too many. Whoever looks again sees whether it is done.
        PolicyStep::Replace { number, resources } => client
            .create_policy_version()
            .policy_arn(home.id(*number))
            .policy_document(policy::document(resources))
            .set_as_default(true)
            .customize()
            .config_override(aws_sdk_iam::config::Builder::new().retry_config(RetryConfig::disabled()))
            .send()
            .await
            .map(drop)
            .map_err(|error| classify::fault(REPLACE, &error)),
        PolicyStep::DeleteVersion { number, version } => gone_is_done(
            DELETE_VERSION,
            client.delete_policy_version().policy_arn(home.id(*number)).version_id(version).send().await,
        ),
        // IAM agrees with itself only after a while. Whether the principal is there has been asked before.
        PolicyStep::Attach { number } => {
            (|| attach(client, home, *number))
                .retry(PROPAGATION)
                .when(|fault: &Fault| fault.kind == FaultKind::Missing)
                .await
        }
        PolicyStep::Detach { number } => detach(client, home, *number).await,
        PolicyStep::Delete { number } => {
            gone_is_done(DELETE, client.delete_policy().policy_arn(home.id(*number)).send().await)
        }
        PolicyStep::Tag { number, tags } => client
            .tag_policy()
            .policy_arn(home.id(*number))
            .set_tags(Some(listed(TAG, tags)?))
            .send()
            .await
            .map(drop)
            .map_err(|error| classify::fault(TAG, &error)),
        PolicyStep::Untag { number, keys } => client
            .untag_policy()
            .policy_arn(home.id(*number))
            .set_tag_keys(Some(keys.iter().cloned().collect()))
            .send()
            .await
            .map(drop)
            .map_err(|error| classify::fault(UNTAG, &error)),
        PolicyStep::Put { number, resources } => inline::put(client, home, *number, resources).await,
        PolicyStep::Remove { number } => inline::remove(client, home, *number).await,
    }
}

async fn create(
    client: &Client,
    home: &PolicyHome,
    number: usize,
    resources: &Resources,
    tags: &Tags,
) -> Result<(), Fault> {
    client
        .create_policy()
        .policy_name(home.name(number))
        .path(home.path())
        .policy_document(policy::document(resources))
        .description(DESCRIPTION)
        .set_tags(Some(listed(CREATE, tags)?))
        .send()
        .await
        .map(drop)
        .map_err(|error| classify::fault(CREATE, &error))
}

fn listed(operation: &'static str, tags: &Tags) -> Result<Vec<Tag>, Fault> {
    let tag = |(key, value): (&String, &String)| Tag::builder().key(key).value(value).build();
    let listed: Result<_, _> = tags.iter().map(tag).collect();
    listed.map_err(|_| Fault::new(FaultKind::Other, operation).with_code("request"))
}

async fn attach(client: &Client, home: &PolicyHome, number: usize) -> Result<(), Fault> {
    let (name, arn) = (home.principal.name(), home.id(number));
    match home.principal.kind() {
        PrincipalKind::Role => client
            .attach_role_policy()
            .role_name(name)
            .policy_arn(arn)
            .send()
            .await
            .map(drop)
            .map_err(|error| classify::fault(ATTACH, &error)),
        PrincipalKind::User => client
            .attach_user_policy()
            .user_name(name)
            .policy_arn(arn)
            .send()
            .await
            .map(drop)
            .map_err(|error| classify::fault(ATTACH, &error)),
        PrincipalKind::Group => client
            .attach_group_policy()
            .group_name(name)
            .policy_arn(arn)
            .send()
            .await
            .map(drop)
            .map_err(|error| classify::fault(ATTACH, &error)),
    }
}

async fn detach(client: &Client, home: &PolicyHome, number: usize) -> Result<(), Fault> {
    let (name, arn) = (home.principal.name(), home.id(number));
    match home.principal.kind() {
        PrincipalKind::Role => {
            gone_is_done(DETACH, client.detach_role_policy().role_name(name).policy_arn(arn).send().await)
        }
        PrincipalKind::User => {
            gone_is_done(DETACH, client.detach_user_policy().user_name(name).policy_arn(arn).send().await)
        }
        PrincipalKind::Group => {
            gone_is_done(DETACH, client.detach_group_policy().group_name(name).policy_arn(arn).send().await)
        }
    }
}

pub(super) fn gone_is_done<T, E>(
    operation: &'static str,
    answer: Result<T, SdkError<E, aws_sdk_iam::config::http::HttpResponse>>,
) -> Result<(), Fault>
where
    E: aws_sdk_iam::error::ProvideErrorMetadata + std::error::Error + 'static,
{
    classify::missing_is_none(answer.map_err(|error| classify::fault(operation, &error))).map(drop)
}
