use futures::future::{join, join_all};

use super::*;
use crate::rotation::sample::{Silence, no_apiserver, role};

#[tokio::test]
async fn who_waits_for_an_identity_that_fails_does_not_ask_again() {
    let sts = Arc::new(Silence::new());
    let cache = CredentialCache::new(no_apiserver(), sts.clone(), sts.clone(), sts.clone());
    let (app, waiters) = (role("app"), 8);
    let all = join_all((0..waiters).map(|_| cache.get(&app)));
    let open = async {
        sts.was_asked(1).await;
        sts.gate.add_permits(waiters + 1);
    };
    let (answers, ()) = join(all, open).await;
    assert!(answers.iter().all(|answer| matches!(answer, Err(Problem::Identity(_)))), "{answers:?}");
    assert_eq!(sts.asked(), 1, "all of them share the one refusal");
    assert!(cache.get(&app).await.is_err());
    assert_eq!(sts.asked(), 2, "who comes later asks for itself");
}
