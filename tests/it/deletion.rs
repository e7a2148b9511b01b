//! Deletion in whatever order, with the database up, down and gone: it ends, and leaves nothing of ours but what is said.

use std::fmt::Debug;

use futures::future::join_all;
use iamdb::api::{DbAuthToken, IamDbUser};
use k8s_openapi::api::core::v1::Namespace;
use kube::Resource;
use kube::api::{Api, DeleteParams};
use serde::de::DeserializeOwned;
use serde_json::json;

use crate::forward::Rule;
use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

on_both!(every_order_ends_with_nothing_left, a_database_that_is_down_ends_it_with_the_account_left_behind,);

#[derive(Clone, Copy, Debug)]
enum What {
    Secret,
    Token,
    User,
    Server,
    Namespace,
}

/// Each kind comes first once, the namespace twice. The fifth is the one that people are least prepared for: everything goes at once, and the
/// server before its users.
const ORDERS: [[What; 5]; 6] = [
    [What::Secret, What::Token, What::User, What::Server, What::Namespace],
    [What::Token, What::Server, What::Namespace, What::User, What::Secret],
    [What::User, What::Secret, What::Token, What::Namespace, What::Server],
    [What::Server, What::User, What::Token, What::Secret, What::Namespace],
    [What::Namespace, What::Server, What::User, What::Token, What::Secret],
    [What::Namespace, What::Secret, What::Server, What::Token, What::User],
];

async fn delete_one<K>(api: Api<K>, name: &str)
where
    K: Resource + Clone + DeserializeOwned + Debug,
{
    match api.delete(name, &DeleteParams::default()).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.code == 404 => {} // it went with something else
        Err(error) => panic!("delete {name}: {error}"),
    }
}

async fn delete(tenant: &Tenant, what: What) {
    match what {
        What::Secret => delete_one(tenant.secrets(), "app-db").await,
        What::Token => delete_one(tenant.tokens(), "app").await,
        What::User => delete_one(tenant.users(), "app").await,
        What::Server => delete_one(tenant.servers(), &tenant.name).await,
        What::Namespace => delete_one(Api::<Namespace>::all(tenant.client.clone()), &tenant.name).await,
    }
}

/// Deletes everything in this order, without waiting in between, and waits for the end of it.
async fn delete_all(tenant: &Tenant, order: [What; 5]) {
    for what in order {
        delete(tenant, what).await;
    }
    let namespaces = Api::<Namespace>::all(tenant.client.clone());
    until(&format!("{order:?} has ended"), SOON, || async {
        let server = tenant.servers().get_opt(&tenant.name).await.expect("get DbServer");
        let namespace = namespaces.get_opt(&tenant.name).await.expect("get Namespace");
        (server.is_none() && namespace.is_none()).then_some(())
    })
    .await;
    let attached = tenant.attached(&tenant.role_arn(&tenant.name)).await;
    assert_eq!(attached, Vec::<String>::new(), "{order:?} leaves a policy");
}

async fn every_order_ends_with_nothing_left(database: Database) {
    let _turn = World::get().together().await;
    let deletions = ORDERS.map(|order| async move {
        let tenant = Tenant::new(database, "order").await;
        tenant.ready_pair("app", "app").await;
        delete_all(&tenant, order).await;
        assert_eq!(tenant.account(&tenant.username("app")), "", "{order:?} leaves the account");
    });
    join_all(deletions).await;
}

async fn a_database_that_is_down_ends_it_with_the_account_left_behind(database: Database) {
    let world = World::get();
    let _turn = world.alone().await;
    let tenant = Tenant::new(database, "down").await;
    let mut user = tenant.user("app");
    user["spec"]["onUnreachable"] = json!({"action": "Orphan", "after": "5s"});
    tenant.apply::<IamDbUser>(user).await;
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    let down = Rule::arm_at(world, database.identifier(), "^CONNECT$", "refuse");
    delete_all(&tenant, ORDERS[4]).await;
    drop(down);
    let username = tenant.username("app");
    assert!(tenant.account(&username).starts_with('%'), "the account is left behind, as the object said");
    world.root_sql(database, &format!("DROP USER '{username}'@'%'"));
}

#[tokio::test]
async fn a_database_that_is_gone_ends_it_too() {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(Database::Orders, "gone").await;
    tenant.create_instance(true).await;
    tenant.apply_server(tenant.own_server()).await;
    let mut user = tenant.user("app");
    user["spec"]["onUnreachable"] = json!({"action": "Orphan", "after": "5s"});
    tenant.apply::<IamDbUser>(user).await;
    tenant.user_reason("app", "False", "Unreachable").await; // no server stands behind the instance
    tenant.delete_instance().await;
    delete_all(&tenant, ORDERS[3]).await;
}
