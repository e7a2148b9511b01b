// Logs in with mysql2 from the files of a mounted Secret, and prints who the server takes it for.

const fs = require("node:fs");
const path = require("node:path");
// The packages are installed elsewhere: the folder is told.
const mysql = require(path.join(process.env.CLIENT_MODULES, "mysql2/promise"));

async function main(folder) {
  const read = (key) => fs.readFileSync(path.join(folder, key), "utf8");
  const connection = await mysql.createConnection({
    host: read("host"),
    port: Number(read("port")),
    user: read("username"),
    password: read("password"),
    database: read("database"),
    // mysql2 checks no host name unless it is told to.
    ssl: { ca: read("ca.crt"), verifyIdentity: true },
    enableCleartextPlugin: true,
    connectTimeout: 10_000,
  });
  const [rows] = await connection.query("SELECT CURRENT_USER() AS account");
  console.log(rows[0].account);
  await connection.end();
}

main(process.argv[2]).catch((error) => {
  console.error(error.message);
  process.exit(1);
});
