//! Whose an account is: adopted, contested, or restored.

use std::time::{Duration, Instant};

use iamdb::api::{DbAuthToken, IamDbUser};
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use crate::switchover;
use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

on_both!(
    an_account_of_former_days_is_adopted_where_a_rule_names_it,
    an_account_that_is_more_than_a_users_is_not_adopted,
    of_two_objects_for_one_account_the_older_gets_it_and_the_other_does_nothing,
    objects_restored_with_new_uids_have_their_accounts_again,
    a_restored_server_is_taken_over_where_that_is_said,
    an_anonymous_account_that_wins_the_login_is_told,
    a_foreign_account_at_another_host_shadows_ours_and_is_left_alone,
    who_waits_for_an_account_gets_it_as_soon_as_it_is_left,
);

async fn adopting(tenant: &Tenant, name: &str) -> Value {
    let mut server = tenant.server();
    server["spec"]["tenancy"][0]["adopt"] = json!([tenant.username(name)]);
    tenant.apply_server(server).await;
    let mut user = tenant.user(name);
    user["spec"]["existingUser"] = json!("Adopt");
    user
}

async fn an_account_of_former_days_is_adopted_where_a_rule_names_it(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "adopt").await;
    let (username, schema) = (tenant.username("app"), database.identifier());
    let sql = format!(
        "CREATE USER '{username}'@'%' IDENTIFIED BY 'a password'; GRANT INSERT ON {schema}.* TO '{username}'@'%'"
    );
    tenant.world.root_sql(database, &sql);
    let before = tenant.account(&username);
    let mut user = tenant.user("app");
    user["spec"]["existingUser"] = json!("Adopt");
    tenant.apply::<IamDbUser>(user).await;
    let message = tenant.user_reason("app", "False", "NotAllowed").await;
    assert!(message.contains("spec.existingUser"), "{message}");
    assert_eq!(tenant.account(&username), before);

    adopting(&tenant, "app").await;
    tenant.apply::<DbAuthToken>(tenant.token("app", "app")).await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    tenant.log_in("app", "SELECT 1").await.expect("it logs in with a token");
    assert_eq!(tenant.account(&username), "%\tAWSAuthenticationPlugin\tRDS\tANY");
    let grants = format!(
        "SELECT Select_priv, Insert_priv FROM mysql.db WHERE User = '{username}' AND Db = '{}'",
        database.identifier()
    );
    assert_eq!(tenant.world.root_sql(database, &grants), "Y\tN", "its grants are those of the spec");

    // By default it is not dropped with its object, and another object of that name has it again.
    tenant.delete(tenant.users(), "app").await;
    assert_eq!(tenant.account(&username), "%\tAWSAuthenticationPlugin\tRDS\tANY");
    let mut user = tenant.user("app");
    user["spec"]["deletionPolicy"] = json!("Drop");
    tenant.apply::<IamDbUser>(user).await;
    tenant.user_ready("app").await;
    tenant.delete(tenant.users(), "app").await;
    assert_eq!(tenant.account(&username), "");
    tenant.close().await;
}

async fn an_account_that_is_more_than_a_users_is_not_adopted(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "toomuch").await;
    let username = tenant.username("app");
    tenant.world.root_sql(database, &format!("CREATE USER '{username}'@'%' IDENTIFIED BY 'a password'"));
    let user = adopting(&tenant, "app").await;
    let changes = [
        ("GRANT CREATE USER ON *.* TO", "REVOKE CREATE USER ON *.* FROM", "ForeignAccount"),
        ("GRANT SELECT ON test.* TO", "REVOKE SELECT, GRANT OPTION ON test.* FROM", "ForeignAccount"),
        ("GRANT SUPER ON *.* TO", "REVOKE SUPER ON *.* FROM", "Protected"),
    ];
    tenant.world.root_sql(database, &format!("{} '{username}'@'%'", changes[0].0));
    tenant.apply::<IamDbUser>(user).await;
    let mut former = None;
    for (grant, revoke, reason) in changes {
        let suffix = if grant.contains("test") { " WITH GRANT OPTION" } else { "" };
        tenant.world.root_sql(database, &format!("{grant} '{username}'@'%'{suffix}"));
        // Not before: in between it would be a plain account, which is adopted.
        if let Some(revoke) = former.replace(revoke) {
            tenant.world.root_sql(database, &format!("{revoke} '{username}'@'%'"));
        }
        let before = tenant.account(&username);
        tenant.looked_at("app").await;
        tenant.user_reason("app", "False", reason).await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        assert_eq!(tenant.account(&username), before, "{grant}");
    }
    tenant.delete(tenant.users(), "app").await;
    tenant.world.root_sql(database, &format!("DROP USER '{username}'@'%'"));
    tenant.close().await;
}

async fn of_two_objects_for_one_account_the_older_gets_it_and_the_other_does_nothing(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "two").await;
    let named = |name: &str| {
        let mut user = tenant.user(name);
        user["spec"]["username"] = json!(tenant.username("same"));
        user
    };
    // Neither has anything to go by but its age: nothing is made while they are suspended.
    for name in ["older", "younger"] {
        let mut user = named(name);
        user["spec"]["suspend"] = json!(true);
        tenant.apply::<IamDbUser>(user).await;
        tenant.user_reason(name, "False", "Suspended").await;
        tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;
    }
    tenant.apply::<IamDbUser>(named("younger")).await;
    let message = tenant.user_reason("younger", "False", "Conflict").await;
    assert!(message.contains(&format!("{}/older", tenant.name)), "{message}");
    tenant.apply::<IamDbUser>(named("older")).await;
    tenant.user_ready("older").await;
    let account = tenant.account(&tenant.username("same"));
    tenant.delete(tenant.users(), "younger").await;
    assert_eq!(tenant.account(&tenant.username("same")), account, "the other's deletion has no effect");

    tenant.apply::<IamDbUser>(named("younger")).await;
    tenant.user_reason("younger", "False", "Conflict").await;
    tenant.delete(tenant.users(), "older").await;
    tenant.look_at("younger").await;
    tenant.user_ready("younger").await;
    tenant.close().await;
}

async fn objects_restored_with_new_uids_have_their_accounts_again(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "newuids").await;
    tenant.ready_pair("app", "app").await;
    // As a backup of the cluster would: the object goes without its finalizer's work, and comes again with another uid.
    let nothing = json!({"metadata": {"finalizers": null}});
    tenant.users().patch("app", &PatchParams::default(), &Patch::Merge(&nothing)).await.expect("patch");
    let former = tenant.users().get("app").await.expect("IamDbUser").metadata.uid;
    tenant.users().delete("app", &DeleteParams::default()).await.expect("delete");
    // The operator may have put its finalizer back meanwhile.
    until("the object is gone", SOON, || async {
        let _ = tenant.users().patch("app", &PatchParams::default(), &Patch::Merge(&nothing)).await;
        tenant.users().get_opt("app").await.expect("get").is_none().then_some(())
    })
    .await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    assert_ne!(tenant.users().get("app").await.expect("IamDbUser").metadata.uid, former);
    tenant.token_ready("app").await;
    tenant.log_in("app", "SELECT 1").await.expect("login");
    tenant.close().await;
}

async fn a_restored_server_is_taken_over_where_that_is_said(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "restored").await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    let username = tenant.username("app");
    // The mark as it would be on a server that was restored from another one's snapshot.
    let mut mark = switchover::mark(&tenant, &username);
    for (field, value) in [("server", "db-ANOTHER"), ("uid", "another"), ("name", "another")] {
        mark[field] = value.into();
    }
    switchover::set_mark(&tenant, &username, &mark);
    tenant.look_at("app").await;
    let message = tenant.user_reason("app", "False", "Conflict").await;
    assert!(message.contains("db-ANOTHER"), "{message}");
    assert_eq!(switchover::mark(&tenant, &username), mark, "it is left as it is");
    let mut server = tenant.server();
    server["spec"]["acceptRestored"] = json!(true);
    tenant.apply_server(server).await;
    tenant.user_ready("app").await;
    assert_eq!(switchover::mark(&tenant, &username)["server"], crate::admins::resource_id(database));
    tenant.close().await;
}

async fn a_foreign_account_at_another_host_shadows_ours_and_is_left_alone(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "shadowed").await;
    let username = tenant.username("app");
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.user_ready("app").await;
    assert_eq!(tenant.allowed(&tenant.name).await.len(), 1);
    // Whoever comes from there would log in as somebody else.
    tenant.world.root_sql(database, &format!("CREATE USER '{username}'@'10.250.%' IDENTIFIED BY 'a password'"));
    tenant.look_at("app").await;
    let message = tenant.user_reason("app", "False", "ShadowedAccount").await;
    assert!(message.contains("10.250.%"), "{message}");
    let is_closed = || async { tenant.allowed(&tenant.name).await.is_empty().then_some(()) };
    until("nobody is let in as somebody else", SOON, is_closed).await;
    assert_eq!(tenant.account(&username).lines().count(), 2, "both accounts stay as they are");
    tenant.world.root_sql(database, &format!("DROP USER '{username}'@'10.250.%'"));
    tenant.look_at("app").await;
    tenant.user_ready("app").await;
    assert_eq!(tenant.allowed(&tenant.name).await.len(), 1);
    tenant.close().await;
}

/// Nobody waits for its resync, of which two come in a minute here: of eight on each database more than one would be late.
async fn who_waits_for_an_account_gets_it_as_soon_as_it_is_left(database: Database) {
    const SOONER: Duration = Duration::from_secs(15);
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "heirs").await;
    let username = tenant.username("shared");
    let user = |name: &str| {
        let mut user = tenant.user(name);
        user["spec"]["username"] = json!(username);
        user
    };
    tenant.apply::<IamDbUser>(user("h0")).await;
    tenant.user_ready("h0").await;
    let mut late = Vec::new();
    for n in 1..=8 {
        let (before, heir) = (format!("h{}", n - 1), format!("h{n}"));
        tenant.apply::<IamDbUser>(user(&heir)).await;
        tenant.user_reason(&heir, "False", "Conflict").await;
        tenant.delete(tenant.users(), &before).await;
        let started = Instant::now();
        tenant.user_ready(&heir).await;
        late.extend(Some(started.elapsed()).filter(|waited| *waited > SOONER));
    }
    assert!(late.len() < 2, "waited for {late:?}");
    tenant.close().await;
}

async fn an_anonymous_account_that_wins_the_login_is_told(database: Database) {
    // It would win others' logins too.
    let _turn = World::get().alone().await;
    let tenant = Tenant::new(database, "anonymous").await;
    tenant.world.root_sql(database, "CREATE USER ''@'10.250.%' IDENTIFIED BY 'a password'");
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let message = tenant.user_reason("app", "False", "ShadowedAccount").await;
    assert!(message.contains("10.250.%"), "{message}");
    assert_eq!(tenant.account(&tenant.username("app")), "");
    assert_eq!(tenant.allowed(&tenant.name).await, Vec::<String>::new());
    tenant.world.root_sql(database, "DROP USER ''@'10.250.%'");
    tenant.look_at("app").await;
    tenant.user_ready("app").await;
    let left = tenant.users().list(&ListParams::default()).await.expect("list");
    assert_eq!(left.items.len(), 1);
    tenant.close().await;
}
