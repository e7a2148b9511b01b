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

	"iamdb.dev/world/internal/cache"
	"iamdb.dev/world/internal/command"
	"iamdb.dev/world/internal/host"
	"iamdb.dev/world/internal/layout"
)

//go:embed sql/orders.sql
var ordersSeed string

//go:embed sql/billing.sql
var billingSeed string

// Software is an installed database server with its client.
type Software struct {
	Instance layout.Instance
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

// MySQL fetches the server behind the instance orders.
func MySQL(ctx context.Context, c cache.Cache) (Software, error) {
	base, err := FetchMySQL(ctx, c)
	if err != nil {
		return Software{}, err
	}
	server := filepath.Join(base, "bin", "mysqld")
	own := []string{
		"--basedir=" + base, "--mysqlx=OFF", "--skip-log-bin", "--secure-file-priv=NULL",
		// RDS for MySQL 8.0 keeps this default.
		"--default-authentication-plugin=mysql_native_password",
		"--innodb-redo-log-capacity=32M", "--innodb-doublewrite=OFF",
	}
	install := append([]string{server, "--no-defaults", "--initialize-insecure", "--auto-generate-certs=OFF"}, asUser()...)
	return Software{
		Instance: layout.Orders, Version: mysqlVersion, Server: server, Client: filepath.Join(base, "bin", "mysql"),
		own: own, seed: ordersSeed, install: append(install, own...),
	}, nil
}

// MariaDB finds the server behind the instance billing.
func MariaDB(ctx context.Context) (Software, error) {
	programs := map[string]string{"mariadbd": "", "mariadb-install-db": "", "mariadb": ""}
	for name := range programs {
		path, err := host.Program(name)
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
	own := []string{"--innodb-log-file-size=32M", "--innodb-doublewrite=OFF"}
	install := append([]string{
		programs["mariadb-install-db"], "--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db", "--skip-name-resolve",
	}, asUser()...)
	return Software{
		Instance: layout.Billing, Version: version, Server: programs["mariadbd"], Client: programs["mariadb"],
		own: own, seed: billingSeed, install: append(install, own...),
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
		"--max-connections=500", "--innodb-buffer-pool-size=64M",
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
