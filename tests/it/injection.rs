//! Hostile texts in every field that can hold a text, under every `sql_mode` that changes what quotes and backslashes mean: what is made is exactly
//! what was asked for, or nothing, and no statement says what it should not.

use iamdb::api::{IamDbUser, Truth};
use serde_json::{Value, json};

use crate::effects::Since;
use crate::tenant::Tenant;
use crate::world::{Database, SOON, World, until};

/// Modes that a server may be configured with; each session of the operator has to be independent of them.
const MODES: [&str; 4] = ["", "ANSI_QUOTES", "NO_BACKSLASH_ESCAPES", "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"];

/// What is put into a field. Each holds the canary that is looked for in the query log.
fn hostile() -> Vec<String> {
    let texts = [
        "canary'x",
        "canary''x",
        "canary\"x",
        "canary\\",
        "canary\\'x",
        "canary`x",
        "canary``x",
        "canary%",
        "canary\0x",
        "canary\nx",
        "canary\u{1a}",
        "canary/*x*/",
        "canary-- x",
        "canary#x",
        "canary;DROP USER x",
        "canary' OR '1'='1",
        "c\u{430}nary",
        "canary\u{2019}x",
        "canary\u{ff07}x",
        "canary\u{2bc}x",
        "canary x",
        "${jndi:canary}",
        "canary@%",
    ];
    let mut texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    texts.push("canary".repeat(1_700));
    texts
}

/// The object with the text in one of its fields, for every field.
fn in_every_field(user: &Value, text: &str) -> Vec<Value> {
    let places = [
        "/spec/username",
        "/spec/hosts/0",
        "/spec/grants/0/database",
        "/spec/grants/0/object",
        "/spec/grants/0/privileges/0",
        "/spec/roles/0",
        "/spec/principals/arns/0",
        "/spec/existingUser",
        "/spec/deletionPolicy",
    ];
    let with = |place: &&str| {
        let mut user = user.clone();
        *user.pointer_mut(place).expect("a field") = json!(text);
        user
    };
    places.iter().map(with).collect()
}

/// Sets the server's modes, and the former ones again whatever becomes of the test.
struct Modes(Database, String);

impl Modes {
    fn set(database: Database, modes: &str) -> Self {
        let world = World::get();
        let former = world.root_sql(database, "SELECT @@GLOBAL.sql_mode");
        world.root_sql(database, &format!("SET GLOBAL sql_mode = '{modes}'"));
        Self(database, former)
    }
}

impl Drop for Modes {
    fn drop(&mut self) {
        World::get().root_sql(self.0, &format!("SET GLOBAL sql_mode = '{}'", self.1));
    }
}

on_both!(hostile_texts_come_to_nothing_and_odd_names_to_exactly_themselves,);

async fn hostile_texts_come_to_nothing_and_odd_names_to_exactly_themselves(database: Database) {
    let _turn = World::get().alone().await;
    let tenant = Tenant::bare(database, "inject").await;
    let mut server = tenant.server();
    server["spec"]["tenancy"][0]["roles"] = json!(["reader"]);
    tenant.apply_server(server).await;
    tenant.server_reason("True", "Ready").await;
    let since = Since::now(tenant.world);
    for (n, modes) in MODES.iter().enumerate() {
        let _modes = Modes::set(database, modes);
        let mut whole = tenant.user("hostile");
        whole["spec"]["username"] = json!("canary");
        whole["spec"]["hosts"] = json!(["%"]);
        whole["spec"]["roles"] = json!(["reader"]);
        whole["spec"]["principals"] = json!({"arns": [tenant.role_arn(&tenant.name)]});
        whole["spec"]["existingUser"] = json!("Fail");
        whole["spec"]["deletionPolicy"] = json!("Drop");
        whole["spec"]["grants"][0]["objectType"] = json!("Table");
        whole["spec"]["grants"][0]["object"] = json!("t");
        for text in hostile() {
            for user in in_every_field(&whole, &text) {
                // What the API lets through has to be refused with a reason.
                if tenant.try_apply::<IamDbUser>(user.clone()).await.is_ok() {
                    until(&format!("a refusal of {user}"), SOON, || async {
                        let status = tenant.users().get("hostile").await.expect("IamDbUser").status?;
                        let ready = status.conditions.into_iter().find(|it| it.type_ == "Ready")?;
                        assert_ne!(ready.status, Truth::True, "{user}");
                        (ready.status == Truth::False).then_some(())
                    })
                    .await;
                    tenant.delete(tenant.users(), "hostile").await;
                }
            }
        }
        odd_names_are_exactly_themselves(&tenant, n).await;
    }
    let said = since.statements(tenant.world, database);
    let wrong: Vec<_> = said.iter().filter(|it| it.contains("canary") && !it.starts_with("SELECT ")).collect();
    assert_eq!(wrong, Vec::<&String>::new(), "nothing was done with a hostile text");
    tenant.close().await;
}

/// Names that are allowed and mean something elsewhere.
async fn odd_names_are_exactly_themselves(tenant: &Tenant, n: usize) {
    let unique = format!("{}{n}", &tenant.name[tenant.name.len() - 6..]);
    let database = tenant.database;
    for (username, schema) in [
        (format!("select.{unique}"), format!("select-{unique}")),
        (format!("0x1F--{unique}"), format!("a$_b-{unique}")),
        (format!("_1e5-.{unique}"), format!("-{unique}--")),
    ] {
        tenant
            .world
            .root_sql(database, &format!("CREATE DATABASE `{schema}`; CREATE TABLE `{schema}`.`t$-_` (id INT)"));
        let mut user = tenant.user("odd");
        user["spec"]["username"] = json!(username);
        user["spec"]["grants"] = json!([
            {"database": schema, "objectType": "Schema", "object": "*", "privileges": ["SELECT"]},
            {"database": schema, "objectType": "Table", "object": "t$-_", "privileges": ["INSERT"]},
        ]);
        tenant.apply::<IamDbUser>(user).await;
        tenant.user_ready("odd").await;
        let pattern = schema.replace('_', "\\_");
        let of = |table: &str, columns: &str| {
            // On MariaDB there is the mark beside it.
            let sql =
                format!("SELECT {columns} FROM mysql.{table} WHERE User = '{username}' AND Db NOT LIKE 'iamdb%mark'");
            tenant.world.root_sql(database, &sql)
        };
        // The client doubles backslashes in what it prints.
        assert_eq!(of("db", "Db").replace("\\\\", "\\"), pattern);
        assert_eq!(of("tables_priv", "Db, Table_name, Table_priv"), format!("{schema}\tt$-_\tInsert"));
        assert_eq!(tenant.account(&username), "%\tAWSAuthenticationPlugin\tRDS\tANY");
        tenant.delete(tenant.users(), "odd").await;
        assert_eq!(tenant.account(&username), "");
        tenant.world.root_sql(database, &format!("DROP DATABASE `{schema}`"));
    }
}
