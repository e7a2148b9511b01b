//! Real clients log in with what stands in the mounted files, and nothing else.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use iamdb::api::{DbAuthToken, IamDbUser};
use serde_json::{Value, json};

use crate::tenant::Tenant;
use crate::world::{Database, World};

on_both!(seven_clients_log_in_from_the_mounted_files_alone, clients_dial_an_alias_and_verify_the_ca,);

/// Where the clients are; installed when they are first needed.
fn installed() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let script = World::get().root().join("tests/clients/install.sh");
        let output = Command::new(script).stdin(Stdio::null()).output().expect("tests/clients/install.sh");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("a path").trim().into()
    })
}

/// The clients that are programs of ours around a driver: each is told the folder of the Secret, and prints who it is.
fn drivers(world: &World, folder: &Path) -> Vec<(&'static str, Command)> {
    let (clients, sources) = (installed(), world.root().join("tests/clients"));
    let mut python = world.command("python3");
    python.env("PYTHONPATH", clients.join("python")).arg(sources.join("python/login.py")).arg(folder);
    let mut node = world.command("node");
    node.env("CLIENT_MODULES", clients.join("node/node_modules")).arg(sources.join("node/login.js")).arg(folder);
    let java = |scheme: &str| {
        let mut java = world.command("java");
        let class_path = format!("{0}:{0}/*", clients.join("java").display());
        java.args(["-cp", &class_path, "Login"]).arg(folder).arg(scheme);
        java
    };
    let mut go = world.command(clients.join("go-login").to_str().expect("a path"));
    go.env("SSL_CERT_DIR", folder).arg(folder);
    vec![
        ("PyMySQL", python),
        ("mysql2", node),
        ("Connector/J", java("mysql")),
        ("MariaDB's driver", java("mariadb")),
        ("go-sql-driver", go),
    ]
}

/// The two clients of the command line, by their option file.
fn command_lines(world: &World, folder: &Path) -> Vec<(&'static str, Command)> {
    let by_option_file = |program: &'static str| {
        let mut command = world.command(program);
        command.arg(format!("--defaults-extra-file={}", folder.join("my.cnf").display()));
        command.args(["--batch", "--skip-column-names", "--connect-timeout=60", "--execute", "SELECT CURRENT_USER()"]);
        (program, command)
    };
    ["mysql", "mariadb"].map(by_option_file).into()
}

fn run(mut command: Command) -> Result<String, String> {
    let output = command.output().expect("a client that is installed");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // MariaDB's client tells on its standard output that an option meant for MySQL's is obsolete.
    let said = text(&output.stdout);
    let last = said.lines().last().unwrap_or_default().to_owned();
    if output.status.success() { Ok(last) } else { Err(text(&output.stderr)) }
}

fn with_all_formats(mut token: Value) -> Value {
    token["spec"]["secret"]["formats"] = json!(["Binding", "MyCnf", "Uri", "Jdbc", "GoDsn", "Pkcs12", "P7b"]);
    token
}

/// The same client with another CA in the Secret's place must refuse the server.
fn distrust(world: &World, folder: &Path) {
    std::fs::copy(world.var("WORLD_OTHER_CA"), folder.join("ca.crt")).expect("another CA");
}

async fn seven_clients_log_in_from_the_mounted_files_alone(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::new(database, "clients").await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    tenant.apply::<DbAuthToken>(with_all_formats(tenant.token("app", "app"))).await;
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    tenant.lay_out("app").await;
    let (folder, expected) = (tenant.mount("app"), format!("{}@%", tenant.username("app")));
    let all = || command_lines(tenant.world, &folder).into_iter().chain(drivers(tenant.world, &folder));
    for (client, command) in all() {
        assert_eq!(run(command), Ok(expected.clone()), "{client}");
    }
    distrust(tenant.world, &folder);
    for (client, command) in all().filter(|(client, _)| *client != "Connector/J") {
        assert!(run(command).is_err(), "{client} takes a server that the CA did not certify");
    }
    let check = |args: &[&str]| {
        let output = Command::new("openssl").current_dir(&folder).args(args).output().expect("openssl");
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    check(&["pkcs12", "-in", "truststore.p12", "-nokeys", "-passin", "file:truststore.password"]);
    assert!(check(&["pkcs7", "-inform", "DER", "-in", "ca.p7b", "-print_certs"]).contains("BEGIN CERTIFICATE"));
    tenant.close().await;
}

/// The address of the database in the world: a name that no certificate has.
fn address(tenant: &Tenant) -> String {
    let operator = tenant.world.var("WORLD_OPERATOR_URL").strip_prefix("http://127.").expect("a loopback address");
    let slot = operator.split('.').next().expect("a slot");
    let part = if tenant.database == Database::Billing { 2 } else { 1 };
    format!("127.{slot}.1.{part}")
}

async fn clients_dial_an_alias_and_verify_the_ca(database: Database) {
    let _turn = World::get().together().await;
    let tenant = Tenant::bare(database, "alias").await;
    let address = address(&tenant);
    let mut server = tenant.server();
    server["spec"]["aliases"] = json!([
        {"name": "tunnel", "for": "Writer", "host": address, "port": 3306},
        {"name": "reads", "for": "Reader", "host": address, "port": 3306},
    ]);
    tenant.apply_server(server).await;
    tenant.apply::<IamDbUser>(tenant.user("app")).await;
    let mut token = with_all_formats(tenant.token("app", "app"));
    token["spec"]["endpoint"] = json!({"type": "Writer", "alias": "tunnel"});
    tenant.apply::<DbAuthToken>(token).await;
    let mut other = tenant.token("other", "app");
    other["spec"]["endpoint"] = json!({"type": "Writer", "alias": "reads"});
    tenant.apply::<DbAuthToken>(other).await;
    let message = tenant.token_reason("other", "False", "NotFound").await;
    assert!(message.contains("reads stands for Reader"), "{message}");
    tenant.user_ready("app").await;
    tenant.token_ready("app").await;
    let status = tenant.tokens().get("app").await.expect("get").status.expect("status");
    assert_eq!(status.alias, Some(format!("{address}:3306")));
    assert_eq!(status.signed_host, Some(format!("{}:3306", tenant.world.host(database))));
    tenant.lay_out("app").await;
    let (folder, expected) = (tenant.mount("app"), format!("{}@%", tenant.username("app")));
    // PyMySQL's and mysql2's programs check the name; they would be told otherwise. go-sql-driver needs a registered configuration.
    let by_files = |(client, _): &(&str, Command)| ["Connector/J", "MariaDB's driver"].contains(client);
    let java = drivers(tenant.world, &folder).into_iter().filter(by_files);
    for (client, command) in command_lines(tenant.world, &folder).into_iter().chain(java) {
        assert_eq!(run(command), Ok(expected.clone()), "{client}");
    }
    distrust(tenant.world, &folder);
    for (client, command) in command_lines(tenant.world, &folder) {
        assert!(run(command).is_err(), "{client} takes a server that the CA did not certify");
    }
    tenant.close().await;
}
