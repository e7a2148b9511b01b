//! Changes that somebody makes to an account behind the operator's back: each is repaired at the next look, by the statements that it takes and no
//! other; or, where the DbServer only observes, told and left alone.

use iamdb::api::IamDbUser;
use serde_json::{Value, json};

use crate::effects::Since;
use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

/// What somebody does, and the beginnings of the statements that undo it. In both, `{u}` is the account, `{s}` the schema, `{p}` its pattern as a
/// grant has it, `{r}` the role of the spec and `{o}` another one.
type Change = (&'static str, &'static [&'static str]);

/// On both engines.
const CHANGES: &[Change] = &[
    ("ALTER USER {u} REQUIRE NONE", &["ALTER USER {u} REQUIRE SSL"]),
    ("ALTER USER {u} REQUIRE X509", &["ALTER USER {u} REQUIRE SSL"]),
    ("ALTER USER {u} ACCOUNT LOCK", &["ALTER USER {u} ACCOUNT UNLOCK"]),
    ("ALTER USER {u} WITH MAX_USER_CONNECTIONS 3", &["ALTER USER {u} WITH MAX_USER_CONNECTIONS 0"]),
    ("REVOKE SELECT ON `{p}`.* FROM {u}", &["GRANT SELECT ON `{p}`.* TO {u}"]),
    ("REVOKE SELECT, UPDATE ON `{p}`.* FROM {u}", &["GRANT SELECT, UPDATE ON `{p}`.* TO {u}"]),
    ("GRANT DELETE ON `{p}`.* TO {u}", &["REVOKE DELETE ON `{p}`.* FROM {u}"]),
    ("GRANT DELETE, DROP, ALTER ON `{p}`.* TO {u}", &["REVOKE DELETE, DROP, ALTER ON `{p}`.* FROM {u}"]),
    ("GRANT SELECT ON `{s}`.* TO {u}", &["REVOKE SELECT ON `{s}`.* FROM {u}"]),
    ("GRANT SELECT ON `elsewhere%`.* TO {u}", &["REVOKE SELECT ON `elsewhere%`.* FROM {u}"]),
    ("GRANT SELECT ON `{p}`.* TO {u} WITH GRANT OPTION", &["REVOKE GRANT OPTION ON `{p}`.* FROM {u}"]),
    ("GRANT SELECT ON {s}.t TO {u}", &["REVOKE SELECT ON TABLE `{s}`.`t` FROM {u}"]),
    ("REVOKE INSERT ON {s}.t FROM {u}", &["GRANT INSERT ON TABLE `{s}`.`t` TO {u}"]),
    (
        "GRANT UPDATE ON {s}.other TO {u} WITH GRANT OPTION",
        &["REVOKE UPDATE, GRANT OPTION ON TABLE `{s}`.`other` FROM {u}"],
    ),
    ("GRANT SELECT (id) ON {s}.other TO {u}", &["REVOKE SELECT (`id`) ON TABLE `{s}`.`other` FROM {u}"]),
    ("REVOKE EXECUTE ON PROCEDURE {s}.p FROM {u}", &["GRANT EXECUTE ON PROCEDURE `{s}`.`p` TO {u}"]),
    ("GRANT ALTER ROUTINE ON PROCEDURE {s}.p TO {u}", &["REVOKE ALTER ROUTINE ON PROCEDURE `{s}`.`p` FROM {u}"]),
    ("GRANT EXECUTE ON FUNCTION {s}.f TO {u}", &["REVOKE EXECUTE ON FUNCTION `{s}`.`f` FROM {u}"]),
    ("GRANT PROCESS ON *.* TO {u}", &["REVOKE PROCESS ON *.* FROM {u}"]),
    ("GRANT SELECT, RELOAD ON *.* TO {u}", &["REVOKE SELECT, RELOAD ON *.* FROM {u}"]),
    ("GRANT USAGE ON *.* TO {u} WITH GRANT OPTION", &["REVOKE GRANT OPTION ON *.* FROM {u}"]),
    ("GRANT CREATE USER ON *.* TO {u}", &["REVOKE CREATE USER ON *.* FROM {u}"]),
    ("GRANT SHOW DATABASES ON *.* TO {u}", &["REVOKE SHOW DATABASES ON *.* FROM {u}"]),
    ("GRANT {o} TO {u}", &["REVOKE '{o}'"]),
];

const ON_MYSQL: &[Change] = &[
    (
        "ALTER USER {u} IDENTIFIED WITH caching_sha2_password BY 'a password'",
        &["ALTER USER {u} IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL"],
    ),
    ("REVOKE {r} FROM {u}", &["GRANT '{r}'", "SET DEFAULT ROLE '{r}'"]),
    ("SET DEFAULT ROLE NONE TO {u}", &["SET DEFAULT ROLE '{r}'"]),
    ("GRANT {r} TO {u} WITH ADMIN OPTION", &["REVOKE '{r}'", "GRANT '{r}'", "SET DEFAULT ROLE '{r}'"]),
    ("GRANT APPLICATION_PASSWORD_ADMIN ON *.* TO {u}", &["REVOKE APPLICATION_PASSWORD_ADMIN ON *.* FROM {u}"]),
    (
        "DROP USER {u}",
        &[
            "CREATE USER {u}",
            "GRANT SELECT, UPDATE ON `{p}`.*",
            "GRANT INSERT ON TABLE",
            "GRANT EXECUTE ON PROCEDURE",
            "GRANT '{r}'",
            "SET DEFAULT ROLE '{r}'",
        ],
    ),
];

/// A new password or plugin moves the stamp by which the ledger knows the account; the mark that it carries says that it is still the same.
const ON_MARIADB: &[Change] = &[
    (
        "ALTER USER {u} IDENTIFIED BY 'a password'",
        &[
            "ALTER USER {u} IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL",
            "UPDATE iamdb_operator.accounts",
        ],
    ),
    (
        "ALTER USER {u} IDENTIFIED VIA AWSAuthenticationPlugin USING 'RDS' OR mysql_native_password USING PASSWORD('a password')",
        &[
            "ALTER USER {u} IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL",
            "UPDATE iamdb_operator.accounts",
        ],
    ),
    (
        "REVOKE LOCK TABLES ON `iamdb\\_operator\\_mark`.* FROM {u}",
        &["GRANT LOCK TABLES ON `iamdb\\_operator\\_mark`.* TO {u}"],
    ),
    // The default role stays there, and is one again with the role.
    ("REVOKE {r} FROM {u}", &["GRANT '{r}'"]),
    ("SET DEFAULT ROLE NONE FOR {u}", &["SET DEFAULT ROLE '{r}'"]),
    (
        "DROP USER {u}",
        &[
            "DELETE FROM iamdb_operator.accounts",
            "INSERT INTO iamdb_operator.accounts",
            "CREATE USER {u}",
            "UPDATE iamdb_operator.accounts",
            "GRANT LOCK TABLES ON `iamdb\\_operator\\_mark`.*",
            "GRANT SELECT, UPDATE ON `{p}`.*",
            "GRANT INSERT ON TABLE",
            "GRANT EXECUTE ON PROCEDURE",
            "GRANT '{r}'",
            "SET DEFAULT ROLE '{r}'",
        ],
    ),
];

on_both!(changes_behind_its_back_are_undone_by_what_it_takes_and_no_more, what_is_only_observed_is_told_and_left_alone,);

#[tokio::test]
async fn changes_behind_its_back_are_undone_where_partial_revokes_are_on() {
    changes_behind_its_back_are_undone_by_what_it_takes_and_no_more(Database::Ledger).await;
}

#[tokio::test]
async fn changes_behind_its_back_are_undone_where_names_are_folded() {
    changes_behind_its_back_are_undone_by_what_it_takes_and_no_more(Database::Catalog).await;
}

/// A tenant with a user that holds something of every kind.
struct Rich {
    tenant: Tenant,
    schema: String,
}

impl Rich {
    async fn new(database: Database, test: &str, mode: &str) -> Self {
        let tenant = Tenant::bare(database, test).await;
        let unique = tenant.name[tenant.name.len() - 6..].to_owned();
        let rich = Self { schema: format!("own_{unique}"), tenant };
        for sql in [
            "CREATE DATABASE {s}",
            "CREATE TABLE {s}.t (id INT)",
            "CREATE TABLE {s}.other (id INT)",
            "CREATE PROCEDURE {s}.p() SELECT 1",
            "CREATE FUNCTION {s}.f() RETURNS INT DETERMINISTIC RETURN 1",
            "CREATE ROLE {r}",
            "CREATE ROLE {o}",
            "GRANT SELECT ON `{p}`.* TO {r}",
        ] {
            rich.root(sql);
        }
        if database == Database::Billing {
            // There a role is passed on by whom it was granted to so.
            rich.root("GRANT {r} TO admin@'%' WITH ADMIN OPTION");
            rich.root("GRANT {o} TO admin@'%' WITH ADMIN OPTION");
        }
        rich.set_mode(mode).await;
        rich
    }

    async fn set_mode(&self, mode: &str) {
        let mut server = self.tenant.server();
        server["spec"]["mode"] = json!(mode);
        server["spec"]["tenancy"][0]["roles"] = json!([self.say("{r}")]);
        server["spec"]["tenancy"][0]["privileges"] = json!(["SELECT", "INSERT", "UPDATE", "EXECUTE"]);
        self.tenant.apply_server(server).await;
    }

    fn user(&self) -> Value {
        let on = |kind: &str, object: &str, privileges: Value| json!({"database": self.schema, "objectType": kind, "object": object, "privileges": privileges});
        let mut user = self.tenant.user("app");
        user["spec"]["grants"] = json!([
            on("Schema", "*", json!(["SELECT", "UPDATE"])),
            on("Table", "t", json!(["INSERT"])),
            on("Procedure", "p", json!(["EXECUTE"])),
        ]);
        user["spec"]["roles"] = json!([self.say("{r}")]);
        user
    }

    /// A text with its placeholders filled in.
    fn say(&self, text: &str) -> String {
        let unique = &self.schema["own_".len()..];
        text.replace("{u}", &format!("'{}'@'%'", self.tenant.username("app")))
            .replace("{s}", &self.schema)
            .replace("{p}", &self.pattern())
            .replace("{r}", &format!("reader_{unique}"))
            .replace("{o}", &format!("other_{unique}"))
    }

    /// The schema as a grant has it: with partial_revokes on, as in the cluster, names are literal.
    fn pattern(&self) -> String {
        if self.tenant.database == Database::Ledger { self.schema.clone() } else { self.schema.replace('_', "\\_") }
    }

    fn root(&self, sql: &str) -> String {
        self.tenant.world.root_sql(self.tenant.database, &self.say(sql))
    }

    /// All that the catalogue says of the account, but for times.
    fn state(&self) -> String {
        let username = self.tenant.username("app");
        let mut queries = vec![
            "SELECT Db, Select_priv, Update_priv, Delete_priv, Drop_priv, Alter_priv, Grant_priv FROM mysql.db WHERE User = '{}' ORDER BY Db".to_owned(),
            "SELECT Db, Table_name, Table_priv, Column_priv FROM mysql.tables_priv WHERE User = '{}' ORDER BY 1, 2".to_owned(),
            "SELECT Db, Routine_name, Routine_type, LOWER(Proc_priv) FROM mysql.procs_priv WHERE User = '{}' ORDER BY 1, 2, 3".to_owned(),
        ];
        queries.extend(match self.tenant.database {
            Database::Orders | Database::Ledger | Database::Catalog => [
                "SELECT plugin, ssl_type, account_locked, max_user_connections, Select_priv, Process_priv, Reload_priv, Grant_priv, Create_user_priv, Show_db_priv FROM mysql.user WHERE User = '{}'",
                "SELECT PRIV FROM mysql.global_grants WHERE USER = '{}' ORDER BY 1",
                "SELECT FROM_USER, WITH_ADMIN_OPTION FROM mysql.role_edges WHERE TO_USER = '{}' ORDER BY 1",
                "SELECT DEFAULT_ROLE_USER FROM mysql.default_roles WHERE USER = '{}' ORDER BY 1",
            ]
            .map(str::to_owned)
            .to_vec(),
            Database::Billing => [
                "SELECT JSON_VALUE(Priv, '$.access'), JSON_VALUE(Priv, '$.plugin'), JSON_VALUE(Priv, '$.ssl_type'), JSON_VALUE(Priv, '$.default_role'), COALESCE(JSON_VALUE(Priv, '$.account_locked'), 0), COALESCE(JSON_VALUE(Priv, '$.max_user_connections'), 0) FROM mysql.global_priv WHERE User = '{}'",
                "SELECT Role, Admin_option FROM mysql.roles_mapping WHERE User = '{}' ORDER BY 1",
            ]
            .map(str::to_owned)
            .to_vec(),
        });
        let ask = |query: &String| self.tenant.world.root_sql(self.tenant.database, &query.replace("{}", &username));
        queries.iter().map(ask).collect::<Vec<_>>().join("\n--\n")
    }

    /// What the operator changed of this account since then.
    fn changes(&self, since: Since) -> Vec<String> {
        since.changes(self.tenant.world, self.tenant.database, &self.tenant.username("app"))
    }

    async fn close(self) {
        self.root("DROP DATABASE {s}");
        self.root("DROP ROLE {r}");
        self.root("DROP ROLE {o}");
        self.tenant.close().await;
    }
}

async fn changes_behind_its_back_are_undone_by_what_it_takes_and_no_more(database: Database) {
    let _turn = World::get().together().await;
    let rich = Rich::new(database, "undone", "Enforce").await;
    rich.tenant.apply::<IamDbUser>(rich.user()).await;
    rich.tenant.user_ready("app").await;
    let before = rich.state();
    let own = if database == Database::Billing { ON_MARIADB } else { ON_MYSQL };
    assert!(CHANGES.len() + own.len() >= 25);
    for (change, expected) in CHANGES.iter().chain(own) {
        let change = rich.say(change);
        if database == Database::Ledger && change.contains(&rich.say("GRANT SELECT ON `{s}`.* TO")) {
            continue; // there is one spelling there
        }
        rich.tenant.world.root_sql(database, &change);
        assert_ne!(rich.state(), before, "{change}: changes something");
        let since = Since::now(rich.tenant.world);
        rich.tenant.look_at("app").await;
        let mended = || async { (rich.state() == before).then_some(()) };
        until(&format!("{change}: it is undone"), SOON, mended).await;
        let expected: Vec<_> = expected.iter().map(|it| rich.say(it)).collect();
        // The last of them may be one that the account does not show.
        let all = || async { (rich.changes(since).len() >= expected.len()).then_some(()) };
        until(&format!("{change}: all statements"), SOON, all).await;
        let did = rich.changes(since);
        assert_eq!(did.len(), expected.len(), "{change}: {did:#?}");
        for (did, expected) in did.iter().zip(&expected) {
            assert!(did.starts_with(expected.as_str()), "{change}: {did}, not {expected}");
        }
    }
    rich.tenant.user_ready("app").await;
    rich.close().await;
}

async fn what_is_only_observed_is_told_and_left_alone(database: Database) {
    let _turn = World::get().together().await;
    let rich = Rich::new(database, "observed", "Observe").await;
    let since = Since::now(rich.tenant.world);
    rich.tenant.apply::<IamDbUser>(rich.user()).await;
    rich.tenant.user_reason("app", "False", "Drifted").await;
    let drift = || async { rich.tenant.users().get("app").await.expect("IamDbUser").status.unwrap_or_default().drift };
    assert!(drift().await.iter().any(|line| line == "at %: create the account"), "{:?}", drift().await);
    assert_eq!(rich.changes(since), Vec::<String>::new(), "nothing is made");

    rich.set_mode("Enforce").await;
    rich.tenant.user_ready("app").await;
    assert_eq!(drift().await, Vec::<String>::new());
    rich.set_mode("Observe").await;
    // A look that began before would still undo what is changed now.
    rich.tenant.server_reason("True", "Ready").await;
    rich.tenant.looked_at("app").await;
    let own = if database == Database::Billing { ON_MARIADB } else { ON_MYSQL };
    // One after the other, all left in place. What one has taken cannot be taken again, and an account without any mark is told as foreign.
    let is_left_out = |change: &str| {
        change.starts_with("DROP") || change.starts_with("REVOKE SELECT, UPDATE") || change.contains("mark`.*")
    };
    for (change, _) in CHANGES.iter().chain(own).filter(|(change, _)| !is_left_out(change)) {
        rich.root(change);
    }
    let (before, since) = (rich.state(), Since::now(rich.tenant.world));
    rich.tenant.look_at("app").await;
    // The plugin was replaced too, and one statement sets both. A look that came amid the changes tells less.
    let tls = "at %: set the plugin for IAM tokens, and require TLS";
    let revoked = format!("at %: revoke DELETE, DROP, ALTER, GRANT OPTION on {}.*", rich.pattern());
    until("all is told", SOON, || async {
        let told = drift().await;
        let is_told = |line: &str| told.iter().any(|it| it.starts_with(line));
        (told.len() > 10 && is_told(tls) && is_told(&revoked)).then_some(())
    })
    .await;
    assert_eq!(rich.state(), before, "nothing is undone");
    assert_eq!(rich.changes(since), Vec::<String>::new());

    rich.set_mode("Enforce").await;
    rich.tenant.user_ready("app").await;
    rich.close().await;
}
