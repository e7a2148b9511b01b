use proptest::prelude::*;

use super::ledger::{
    clear_intent, create_schema, create_table, forget, record_adoption, record_intent, record_owned, state_of,
    state_word,
};
use super::*;
use crate::domain::account::LedgerState;

fn user() -> Username {
    Username::parse("app_orders").unwrap()
}

fn host() -> HostPattern {
    HostPattern::parse("10.1.%").unwrap()
}

fn owner() -> Owner {
    Owner {
        cluster: "c1".into(),
        server: "db-1".into(),
        namespace: "shop".into(),
        name: "orders".into(),
        uid: "u1".into(),
        adopted: false,
    }
}

const MARK_JSON: &str = r#"{"cluster":"c1","name":"orders","namespace":"shop","server":"db-1","uid":"u1"}"#;

#[test]
fn an_account_is_created_with_plugin_tls_and_mark_in_one_statement() {
    let statement = create_account(Engine::MySql, &user(), &host(), &owner()).unwrap();
    assert_eq!(
        statement.text,
        format!(
            "CREATE USER 'app_orders'@'10.1.%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL ATTRIBUTE '{{\"iamdb.dev/owner\":{MARK_JSON}}}'"
        )
    );
    assert!(statement.values.is_empty());
}

#[test]
fn accounts_of_mariadb_carry_no_mark() {
    assert_eq!(
        create_account(Engine::MariaDb, &user(), &host(), &owner()).unwrap().text,
        "CREATE USER 'app_orders'@'10.1.%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL"
    );
}

#[test]
fn accounts_are_altered() {
    assert_eq!(
        mark_account(&user(), &host(), &owner()).unwrap().text,
        format!("ALTER USER 'app_orders'@'10.1.%' ATTRIBUTE '{{\"iamdb.dev/owner\":{MARK_JSON}}}'")
    );
    assert_eq!(
        use_plugin(&user(), &host()).unwrap().text,
        "ALTER USER 'app_orders'@'10.1.%' IDENTIFIED WITH AWSAuthenticationPlugin AS 'RDS' REQUIRE SSL"
    );
    assert_eq!(require_tls(&user(), &host()).unwrap().text, "ALTER USER 'app_orders'@'10.1.%' REQUIRE SSL");
    assert_eq!(drop_account(&user(), &host()).unwrap().text, "DROP USER IF EXISTS 'app_orders'@'10.1.%'");
    assert_eq!(
        limit(&user(), &host(), 5).unwrap().text,
        "ALTER USER 'app_orders'@'10.1.%' WITH MAX_USER_CONNECTIONS 5"
    );
    assert_eq!(lock(&user(), &host()).unwrap().text, "ALTER USER 'app_orders'@'10.1.%' ACCOUNT LOCK");
    assert_eq!(unlock(&user(), &host()).unwrap().text, "ALTER USER 'app_orders'@'10.1.%' ACCOUNT UNLOCK");
}

#[test]
fn grants_on_tables_and_routines_name_them_whole() {
    let text = |on: GrantedOn, privilege| grant(&user(), &host(), &on, &[privilege].into()).unwrap().text;
    let to = "TO 'app_orders'@'10.1.%'";
    assert_eq!(
        text(GrantedOn::Table("orders_prod".into(), "a_b".into()), Privilege::Select),
        format!("GRANT SELECT ON TABLE `orders_prod`.`a_b` {to}")
    );
    assert_eq!(
        text(GrantedOn::Procedure("orders".into(), "p".into()), Privilege::Execute),
        format!("GRANT EXECUTE ON PROCEDURE `orders`.`p` {to}")
    );
    assert_eq!(
        text(GrantedOn::Function("orders".into(), "f".into()), Privilege::AlterRoutine),
        format!("GRANT ALTER ROUTINE ON FUNCTION `orders`.`f` {to}")
    );
}

#[test]
fn a_grant_keeps_the_backslash_of_its_pattern() {
    let both = [Privilege::Insert, Privilege::Select].into();
    assert_eq!(
        grant(&user(), &host(), &GrantedOn::Schema("orders\\_prod".into()), &both).unwrap().text,
        "GRANT SELECT, INSERT ON `orders\\_prod`.* TO 'app_orders'@'10.1.%'"
    );
    assert_eq!(
        revoke(
            &user(),
            &host(),
            &GrantedOn::Schema("we`ird".into()),
            &[Privilege::CreateTemporaryTables.into()].into()
        )
        .unwrap()
        .text,
        "REVOKE CREATE TEMPORARY TABLES ON `we``ird`.* FROM 'app_orders'@'10.1.%'"
    );
}

#[test]
fn the_session_is_pinned() {
    assert_eq!(
        pin(Engine::MySql, Duration::from_millis(7_500)).text,
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION', SESSION autocommit = 1, SESSION lock_wait_timeout = 7, SESSION innodb_lock_wait_timeout = 7, NAMES utf8mb4"
    );
    assert_eq!(
        pin(Engine::MariaDb, Duration::ZERO).text,
        "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,NO_AUTO_CREATE_USER', SESSION autocommit = 1, SESSION lock_wait_timeout = 1, SESSION innodb_lock_wait_timeout = 1, SESSION max_statement_time = 1, NAMES utf8mb4"
    );
}

#[test]
fn the_server_is_asked_about_itself() {
    assert_eq!(
        facts().text,
        "SELECT VERSION() AS version, CAST(@@lower_case_table_names AS SIGNED) AS lower_case_table_names, CAST(@@read_only AS CHAR) AS read_only, CAST(@@innodb_read_only AS SIGNED) AS innodb_read_only, /*!80016 CAST(@@partial_revokes AS SIGNED) + */ 0 AS partial_revokes, (SELECT COUNT(*) FROM information_schema.PLUGINS WHERE PLUGIN_NAME = ? AND PLUGIN_STATUS = 'ACTIVE') AS plugins, (SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = ? AND TABLE_NAME = ?) AS ledgers"
    );
    assert_eq!(facts().values, ["AWSAuthenticationPlugin", "iamdb_operator", "accounts"]);
}

#[test]
fn accounts_are_read_without_their_password_hashes() {
    insta::assert_snapshot!("mysql_accounts", read::accounts(Engine::MySql, &["app_orders"], true).text);
    insta::assert_snapshot!("mariadb_accounts", read::accounts(Engine::MariaDb, &["app_orders"], true).text);
    assert_eq!(read::accounts(Engine::MySql, &["app_orders", "x"], false).values, ["RDS", "", "app_orders", "x"]);
}

#[test]
fn the_ledger_is_created() {
    assert_eq!(create_schema().text, "CREATE DATABASE IF NOT EXISTS iamdb_operator");
    assert_eq!(
        create_table().text,
        "CREATE TABLE IF NOT EXISTS iamdb_operator.accounts (user VARCHAR(128) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin NOT NULL, host VARCHAR(255) CHARACTER SET utf8mb3 COLLATE utf8mb3_bin NOT NULL, owner JSON NOT NULL, state ENUM('Intent', 'Owned') NOT NULL, stamp BIGINT NOT NULL, PRIMARY KEY (user, host)) ENGINE = InnoDB"
    );
}

#[test]
fn the_ledger_is_written_with_bound_values() {
    let intent = record_intent(&user(), &host(), &owner());
    assert_eq!(
        intent.text,
        "INSERT INTO iamdb_operator.accounts (user, host, owner, state, stamp) SELECT ?, ?, ?, 'Intent', UNIX_TIMESTAMP() FROM DUAL WHERE NOT EXISTS (SELECT 1 FROM mysql.global_priv a WHERE a.User = ? AND a.Host = ?)"
    );
    assert_eq!(intent.values, ["app_orders", "10.1.%", MARK_JSON, "app_orders", "10.1.%"]);
    let clear = clear_intent(&user(), &host(), &owner());
    assert_eq!(
        clear.text,
        "DELETE FROM iamdb_operator.accounts WHERE user = ? AND host = ? AND JSON_VALUE(owner, '$.cluster') = ? AND NOT EXISTS (SELECT 1 FROM mysql.global_priv a WHERE a.User = ? AND a.Host = ?)"
    );
    assert_eq!(clear.values, ["app_orders", "10.1.%", "c1", "app_orders", "10.1.%"]);
    let owned = record_owned(&user(), &host(), &owner());
    assert_eq!(
        owned.text,
        "UPDATE iamdb_operator.accounts l JOIN mysql.global_priv a ON a.User = l.user AND a.Host = l.host SET l.owner = ?, l.state = 'Owned', l.stamp = CAST(JSON_VALUE(a.Priv, '$.password_last_changed') AS SIGNED) WHERE l.user = ? AND l.host = ? AND JSON_VALUE(l.owner, '$.cluster') = ?"
    );
    assert_eq!(owned.values, [MARK_JSON, "app_orders", "10.1.%", "c1"]);
    let adoption = record_adoption(&user(), &host(), &owner());
    assert_eq!(
        adoption.text,
        "INSERT INTO iamdb_operator.accounts (user, host, owner, state, stamp) SELECT ?, ?, ?, 'Intent', UNIX_TIMESTAMP() FROM mysql.global_priv a WHERE a.User = ? AND a.Host = ?"
    );
    assert_eq!(adoption.values, intent.values);
    let forget = forget(&user(), &host());
    assert_eq!(forget.text, "DELETE FROM iamdb_operator.accounts WHERE user = ? AND host = ?");
    assert_eq!(forget.values, ["app_orders", "10.1.%"]);
    let ledger = read::ledger(&["a", "b"]);
    assert_eq!(
        ledger.text,
        "SELECT CAST(user AS CHAR) AS user, CAST(host AS CHAR) AS host, CAST(owner AS CHAR) AS owner, CAST(state AS CHAR) AS state, stamp FROM iamdb_operator.accounts WHERE user IN (?, ?)"
    );
    assert_eq!(ledger.values, ["a", "b"]);
}

#[test]
fn the_bulk_read_asks_for_many_as_for_one() {
    for engine in [Engine::MySql, Engine::MariaDb] {
        for users in [&["a"][..], &["a", "b", "c"]] {
            for statement in [
                read::accounts(engine, users, true),
                read::object_grants(engine, users),
                read::roles(engine, users),
                read::ledger(users),
            ] {
                assert_eq!(statement.text.matches('?').count(), statement.values.len(), "{}", statement.text);
            }
        }
    }
}

#[test]
fn roles_are_granted_and_made_default_in_each_servers_own_words() {
    let of = |host: &str| BTreeSet::from([Role { name: "reader".into(), host: host.into() }]);
    let to = "'app_orders'@'10.1.%'";
    assert_eq!(grant_roles(&user(), &host(), &of("%")).unwrap().text, format!("GRANT 'reader'@'%' TO {to}"));
    assert_eq!(grant_roles(&user(), &host(), &of("")).unwrap().text, format!("GRANT 'reader' TO {to}"));
    let reader = Role { name: "reader".into(), host: "%".into() };
    assert_eq!(revoke_role(&user(), &host(), &reader).unwrap().text, format!("REVOKE 'reader'@'%' FROM {to}"));
    let default = |engine, roles: &BTreeSet<Role>| set_default_roles(engine, &user(), &host(), roles).unwrap().text;
    assert_eq!(default(Engine::MySql, &of("%")), format!("SET DEFAULT ROLE 'reader'@'%' TO {to}"));
    assert_eq!(default(Engine::MariaDb, &of("")), format!("SET DEFAULT ROLE 'reader' FOR {to}"));
    assert_eq!(default(Engine::MySql, &BTreeSet::new()), format!("SET DEFAULT ROLE NONE TO {to}"));
}

#[test]
fn rights_beyond_the_list_are_revoked_by_their_words() {
    let revoke = |on, words: &[&str]| {
        let rights = words.iter().filter_map(|words| Right::of_sql(words)).collect();
        revoke(&user(), &host(), &on, &rights).unwrap().text
    };
    let from = "FROM 'app_orders'@'10.1.%'";
    assert_eq!(
        revoke(GrantedOn::Server, &["PROCESS", "CONNECTION_ADMIN"]),
        format!("REVOKE CONNECTION_ADMIN, PROCESS ON *.* {from}")
    );
    assert_eq!(
        revoke(GrantedOn::Schema("o".into()), &["GRANT OPTION"]),
        format!("REVOKE GRANT OPTION ON `o`.* {from}")
    );
    assert_eq!(
        revoke(GrantedOn::Column("o".into(), "t".into(), "c`d".into()), &["SELECT", "INSERT"]),
        format!("REVOKE SELECT (`c``d`), INSERT (`c``d`) ON TABLE `o`.`t` {from}")
    );
}

#[test]
fn states_are_read_as_they_are_written() {
    for state in [LedgerState::Intent, LedgerState::Owned] {
        assert_eq!(state_of(state_word(state)), Some(state));
    }
    assert_eq!(state_of("intent"), None);
}

#[test]
fn backslashes_and_control_characters_are_in_no_string() {
    for text in ["a\\b", "a\0b", "a\nb", "a\u{1a}", "\u{7f}"] {
        assert_eq!(string(text), Err(Unquotable), "{text:?}");
    }
    assert_eq!(string("o'b\"c").unwrap(), "'o''b\"c'");
}

/// Walks a statement as a server does, in both meanings that a backslash can have, and answers what remains outside of quotes.
fn outside_quotes(text: &str, backslash_escapes: bool) -> Option<String> {
    let (mut outside, mut chars, mut quote) = (String::new(), text.chars().peekable(), None);
    while let Some(c) = chars.next() {
        match quote {
            None if c == '\'' || c == '`' => quote = Some(c),
            None => outside.push(c),
            Some('\'') if c == '\\' && backslash_escapes => drop(chars.next()),
            Some(open) if c == open && chars.peek() == Some(&open) => drop(chars.next()),
            Some(open) if c == open => quote = None,
            Some(_) => {}
        }
    }
    quote.is_none().then_some(outside)
}

proptest! {
    #[test]
    fn no_text_gets_out_of_its_quotes(text in any::<String>(), schema in any::<String>()) {
        let hostile = Owner { cluster: text.clone(), name: format!("x'{text}"), ..owner() };
        let statements = [
            create_account(Engine::MySql, &user(), &host(), &hostile),
            mark_account(&user(), &host(), &hostile),
            grant(&user(), &host(), &GrantedOn::Schema(schema.clone()), &[Privilege::Select].into()),
            grant(&user(), &host(), &GrantedOn::Table(schema.clone(), schema.clone()), &[Privilege::Select].into()),
            revoke(&user(), &host(), &GrantedOn::Function(schema.clone(), schema), &[Privilege::Execute.into()].into()),
        ];
        let skeletons = [
            "CREATE USER @ IDENTIFIED WITH AWSAuthenticationPlugin AS  REQUIRE SSL ATTRIBUTE ",
            "ALTER USER @ ATTRIBUTE ",
            "GRANT SELECT ON .* TO @",
            "GRANT SELECT ON TABLE . TO @",
            "REVOKE EXECUTE ON FUNCTION . FROM @",
        ];
        for (statement, skeleton) in statements.into_iter().zip(skeletons) {
            let Ok(statement) = statement else { continue };
            for backslash_escapes in [true, false] {
                let outside = outside_quotes(&statement.text, backslash_escapes);
                prop_assert_eq!(outside.as_deref(), Some(skeleton), "{}", &statement.text);
            }
        }
    }

    #[test]
    fn a_string_says_what_it_was_made_of(text in any::<String>()) {
        if let Ok(quoted) = string(&text) {
            prop_assert_eq!(quoted[1..quoted.len() - 1].replace("''", "'"), text);
        }
    }
}
