//! Who we are to the apiserver.

use k8s_openapi::api::authentication::v1::{SelfSubjectReview, UserInfo};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{Api, PostParams};

use super::call::{CallError, call};

/// Our ServiceAccount, as the owner of something in its namespace; none when we are somebody else, or of another namespace. Everybody may ask this.
///
/// # Errors
/// When the apiserver does not answer.
pub async fn own_account(client: &kube::Client, namespace: &str) -> Result<Option<OwnerReference>, CallError> {
    let reviews = Api::<SelfSubjectReview>::all(client.clone());
    let (parameters, review) = (PostParams::default(), SelfSubjectReview::default());
    let review = call("ask who we are", reviews.create(&parameters, &review)).await?;
    Ok(review.status.and_then(|it| it.user_info).and_then(|user| owner(user, namespace)))
}

fn owner(user: UserInfo, namespace: &str) -> Option<OwnerReference> {
    let name = user.username?;
    let name = name.strip_prefix("system:serviceaccount:")?.strip_prefix(namespace)?.strip_prefix(':')?;
    let uid = user.uid.filter(|uid| !uid.is_empty())?;
    Some(OwnerReference {
        api_version: "v1".into(),
        kind: "ServiceAccount".into(),
        name: name.to_owned(),
        uid,
        ..OwnerReference::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_account_of_the_namespace_owns_anything_there() {
        let owned_by = |username: &str, uid: &str| {
            let user = UserInfo { username: Some(username.into()), uid: Some(uid.into()), ..UserInfo::default() };
            owner(user, "iamdb-system").map(|it| (it.name, it.uid))
        };
        assert_eq!(owned_by("system:serviceaccount:iamdb-system:op", "u"), Some(("op".into(), "u".into())));
        for (username, uid) in [
            ("system:serviceaccount:iamdb:op", "u"),
            ("system:serviceaccount:iamdb-system-2:op", "u"),
            ("system:serviceaccount:iamdb-system:op", ""),
            ("kubernetes-admin", "u"),
        ] {
            assert_eq!(owned_by(username, uid), None, "{username}");
        }
    }
}
