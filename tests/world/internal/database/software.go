// Package database fetches, prepares and runs the real database servers behind the DB instances.
package database

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"iamdb.dev/world/internal/command"
	"iamdb.dev/world/internal/host"
	"iamdb.dev/world/internal/layout"
)

//go:embed sql/rds.sql
var rdsSeed string

//go:embed sql/mysql.sql
var mysqlSeed string

//go:embed sql/orders.sql
var ordersSeed string

//go:embed sql/billing.sql
var billingSeed string

//go:embed sql/ledger.sql
var ledgerSeed string

//go:embed sql/catalog.sql
var catalogSeed string

// light leaves out what nothing here looks at: 100 MB less for a server.
var light = []string{"--performance-schema=OFF", "--innodb-buffer-pool-size=32M"}

// Software is an installed database server with its client, and what a new one of its kind holds.
type Software struct {
	// Name is that of the kind: of an instance, or of the members of a cluster.
	Name string
	// Version is what RDS calls the engine's version.
	Version string
	Server  string
	Client  string
	// own are the flags that only this server has.
	own []string
	// seed is what RDS puts into a new instance, and the sample data.
	seed string
	// install makes an empty data directory.
	install []string
}

// DebianNeeds is what the servers need of the machine: MariaDB's packages, and the library that MySQL is linked with.
func DebianNeeds() []host.Need {
	return []host.Need{
		{Package: "mariadb-server", Program: "mariadbd"},
		{Package: "mariadb-server", Program: "mariadb-install-db"},
		{Package: "mariadb-client", Program: "mariadb"},
		{Package: "libaio1", Library: "libaio.so.1"},
	}
}

// MySQL is the server behind the instance orders, in the folder that FetchMySQL answered, or the one that the environment names.
func MySQL(ctx context.Context, base string) (Software, error) {
	s := mysql(base, layout.Orders.Part(), ordersSeed, "--innodb-buffer-pool-size=64M")
	return s.replacedByMySQL(ctx, os.Getenv(otherMySQL))
}

// Aurora is the server behind the members of the cluster ledger.
func Aurora(base string) Software {
	// A field report has it on in Aurora MySQL 3, where it cannot be changed.
	return mysql(base, "mysql-"+layout.Ledger.Identifier, ledgerSeed, append([]string{"--partial-revokes=ON"}, light...)...)
}

// Folding is the server behind the instance catalog. What it does with names is settled when its data directory is made.
func Folding(base string) Software {
	return mysql(base, layout.Catalog.Part(), catalogSeed, append([]string{"--lower-case-table-names=1"}, light...)...)
}

func mysql(base, name, seed string, flags ...string) Software {
	server := filepath.Join(base, "bin", "mysqld")
	own := append([]string{
		"--basedir=" + base, "--mysqlx=OFF", "--skip-log-bin", "--secure-file-priv=NULL",
		// RDS for MySQL 8.0 keeps this default.
		"--default-authentication-plugin=mysql_native_password",
		"--innodb-redo-log-capacity=32M", "--innodb-doublewrite=OFF",
	}, flags...)
	install := append([]string{server, "--no-defaults", "--initialize-insecure", "--auto-generate-certs=OFF"}, asUser()...)
	return Software{
		Name: name, Version: mysqlVersion, Server: server, Client: filepath.Join(base, "bin", "mysql"),
		own: own, seed: rdsSeed + mysqlSeed + seed, install: append(install, own...),
	}
}

// MariaDB finds the server behind the instance billing.
func MariaDB(ctx context.Context) (Software, error) {
	programs := map[string]string{"mariadbd": "", "mariadb-install-db": "", "mariadb": ""}
	for name := range programs {
		path, err := programOf(os.Getenv(otherMariaDB), name)
		if err != nil {
			return Software{}, err
		}
		programs[name] = path
	}
	out, err := command.Output(ctx, programs["mariadbd"], "--no-defaults", "--version")
	if err != nil {
		return Software{}, fmt.Errorf("ask MariaDB for its version: %w", err)
	}
	version, err := mariadbVersion(out)
	if err != nil {
		return Software{}, err
	}
	own := []string{"--innodb-log-file-size=32M", "--innodb-doublewrite=OFF", "--innodb-buffer-pool-size=64M"}
	install := append([]string{
		programs["mariadb-install-db"], "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
	}, asUser()...)
	return Software{
		Name: layout.Billing.Part(), Version: version, Server: programs["mariadbd"], Client: programs["mariadb"],
		own: own, seed: rdsSeed + billingSeed, install: append(install, own...),
	}, nil
}

var mariadbVersionPattern = regexp.MustCompile(`Ver (\d+\.\d+)\.\d+-MariaDB`)

func mariadbVersion(text string) (string, error) {
	match := mariadbVersionPattern.FindStringSubmatch(text)
	if match == nil {
		return "", fmt.Errorf("no MariaDB version in %q", text)
	}
	return match[1], nil
}

// asUser lets the servers run as root where the whole world does: they refuse to otherwise.
func asUser() []string {
	if os.Geteuid() == 0 {
		return []string{"--user=root"}
	}
	return nil
}

// flags are those that the template and the world share.
func (s Software) flags(dataDir, socket string) []string {
	flags := append([]string{s.Server, "--no-defaults"}, asUser()...)
	flags = append(flags, s.own...)
	return append(flags,
		"--datadir="+dataDir, "--socket="+socket, "--pid-file="+socket+".pid", "--skip-name-resolve",
		"--max-connections=500",
		// The data of a world need not survive the machine.
		"--innodb-flush-log-at-trx-commit=0",
	)
}

// RootCommand opens a session of the local root user.
func (s Software) RootCommand(socket string) []string {
	return []string{s.Client, "--no-defaults", "--socket=" + socket, "--user=root"}
}

func (s Software) run(ctx context.Context, what, socket, log, sql string) error {
	return command.Command{
		What: what, Args: append(s.RootCommand(socket), "--batch"), Stdin: strings.NewReader(sql), Log: log,
	}.Run(ctx)
}
