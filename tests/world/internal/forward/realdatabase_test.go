package forward

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"iamdb.dev/world/internal/cache"
)

// software is a real database server and its own client.
type software struct {
	server, client string
	install        []string // makes the data directory that is named behind it
	serverFlags    []string
	clientFlags    []string
	compress       string
}

func mariaDB(t *testing.T) software {
	return software{
		server: program(t, "mariadbd"), client: program(t, "mariadb"),
		install: []string{program(t, "mariadb-install-db"), "--no-defaults", "--auth-root-authentication-method=normal",
			"--skip-test-db", "--skip-name-resolve", "--user=" + systemUser(), "--datadir"},
		clientFlags: []string{"--ssl"},
		compress:    "--compress",
	}
}

// mySQL is the one that the test world keeps in its cache.
func mySQL(t *testing.T) software {
	home := os.Getenv("WORLD_MYSQL_HOME")
	if home == "" {
		c, err := cache.Open()
		if err != nil {
			t.Fatal(err)
		}
		home = c.Path("mysql", "8.0.33")
	}
	server := program(t, filepath.Join(home, "bin", "mysqld"))
	return software{
		server: server, client: program(t, filepath.Join(home, "bin", "mysql")),
		install: []string{server, "--no-defaults", "--basedir=" + home, "--user=" + systemUser(), "--initialize-insecure",
			"--auto-generate-certs=OFF", "--datadir"},
		serverFlags: []string{"--basedir=" + home, "--mysqlx=OFF", "--skip-log-bin", "--secure-file-priv=NULL"},
		clientFlags: []string{"--ssl-mode=VERIFY_CA"},
		compress:    "--compression-algorithms=zlib,uncompressed",
	}
}

// program skips the test where a program is missing, and says so. In CI it fails instead: `go test` hides skips, and what passes
// there must have run.
func program(t *testing.T, name string) string {
	t.Helper()
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if found, err := exec.LookPath(candidate); err == nil {
			return found
		}
	}
	if os.Getenv("CI") != "" {
		t.Fatalf("%s is not there", name)
	}
	fmt.Fprintf(os.Stderr, "NOT RUN: %s needs %s\n", t.Name(), name)
	t.Skipf("%s is not there", name)
	return ""
}

// realDatabase is a real server behind a forwarder. Nothing of it is left on the machine.
type realDatabase struct {
	*world
	software
	id identity
}

func newRealDatabase(t *testing.T, s software) *realDatabase {
	t.Helper()
	m := &realDatabase{software: s, id: newIdentity(t, fakeHost)}
	// The path of a socket must be short.
	dir, err := os.MkdirTemp("", "forward")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	data, socket, logFile := filepath.Join(dir, "data"), filepath.Join(dir, "s"), filepath.Join(dir, "log")
	install := append([]string{}, s.install...)
	install[len(install)-1] += "=" + data
	if out, err := exec.Command(install[0], install[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	listen, upstream := freeAddress(t, "127.79.0.1"), freeAddress(t, "127.79.0.2")
	host, port, _ := net.SplitHostPort(upstream)
	log, err := os.Create(logFile)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	server := exec.Command(s.server, append([]string{"--no-defaults", "--user=" + systemUser(), "--datadir=" + data, "--socket=" + socket,
		"--pid-file=" + filepath.Join(dir, "pid"), "--bind-address=" + host, "--port=" + port, "--skip-name-resolve", "--local-infile=1",
		"--innodb-buffer-pool-size=16M", "--max-allowed-packet=64M",
		"--ssl-ca=" + m.id.cert, "--ssl-cert=" + m.id.cert, "--ssl-key=" + m.id.key}, s.serverFlags...)...)
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Process.Kill(); server.Wait() })
	eventually(t, "the server listens", func() bool {
		c, err := net.Dial("tcp", upstream)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	if t.Failed() {
		out, _ := os.ReadFile(logFile)
		t.Fatalf("%s", out)
	}
	m.world = newWorld(t, Target{Name: "billing", Kind: KindMySQL, Listen: listen, Upstream: upstream,
		Cert: m.id.cert, Key: m.id.key, UpstreamCA: m.id.cert, ServerName: fakeHost})
	direct := exec.Command(s.client, "--no-defaults", "--protocol=socket", "--socket="+socket, "--user=root",
		"--execute=CREATE USER app@'%' IDENTIFIED BY 'pw' REQUIRE SSL; GRANT ALL ON *.* TO app@'%' WITH GRANT OPTION")
	if out, err := direct.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return m
}

// systemUser is whom the server may run as: root must be named, anybody else is who runs the test.
func systemUser() string {
	if os.Getuid() == 0 {
		return "root"
	}
	return os.Getenv("USER")
}

func freeAddress(t *testing.T, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// command is the client, connecting through the forwarder. The password stands in the environment: on the command line the client
// would complain about it.
func (m *realDatabase) command(sql, input string) *exec.Cmd {
	host, port, _ := net.SplitHostPort(m.address("billing"))
	c := exec.CommandContext(m.t.Context(), m.client, "--no-defaults", "--host="+host, "--port="+port, "--user=app",
		"--ssl-ca="+m.id.cert, "--local-infile=1", "--max-allowed-packet=64M", "--skip-column-names", "--batch")
	c.Args = append(c.Args, m.clientFlags...)
	c.Env = append(os.Environ(), "MYSQL_PWD=pw")
	if sql != "" {
		c.Args = append(c.Args, "--execute="+sql)
	}
	c.Stdin = strings.NewReader(input)
	return c
}

// run executes SQL through the forwarder.
func (m *realDatabase) run(sql string) (string, error) {
	m.t.Helper()
	out, err := m.command(sql, "").CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func (m *realDatabase) must(sql, want string) {
	m.t.Helper()
	if got, err := m.run(sql); err != nil || got != want {
		m.t.Fatalf("%s: %v\n%s", sql, err, got)
	}
}

func TestMariaDB(t *testing.T) { passesAndBreaks(t, mariaDB(t)) }
func TestMySQL(t *testing.T)   { passesAndBreaks(t, mySQL(t)) }

// passesAndBreaks does with a real server what the fault tests do, and then what they do not while a rule is armed.
func passesAndBreaks(t *testing.T, s software) {
	m := newRealDatabase(t, s)
	exists := func(user, want string) {
		t.Helper()
		m.must("SELECT COUNT(*) FROM mysql.user WHERE User = '"+user+"'", want)
	}

	m.must("SELECT 1", "1") // opaque
	linesAre(t, m.requests("billing"), "CONNECT")

	// Held after the effect, released in the end.
	hold := m.arm(`{"target":"billing","match":"^CREATE USER","action":"hold"}`)
	held := make(chan error, 1)
	go func() { _, err := m.run("CREATE USER held"); held <- err }()
	if v := m.fired(hold.ID); v.Request != "CREATE USER held" {
		t.Fatalf("%+v", v)
	}
	exists("held", "1")
	select {
	case err := <-held:
		t.Fatal("not held", err)
	case <-time.After(50 * time.Millisecond):
	}
	m.disarm(hold.ID)
	if err := <-held; err != nil {
		t.Fatal(err)
	}

	// Lost reply; refused request.
	m.arm(`{"target":"*","match":"^CREATE USER","action":"drop"}`)
	if out, err := m.run("CREATE USER dropped"); err == nil {
		t.Fatal(out)
	}
	exists("dropped", "1")
	m.arm(`{"target":"*","match":"^CREATE USER","action":"refuse"}`)
	if out, err := m.run("CREATE USER refused"); err == nil {
		t.Fatal(out)
	}
	exists("refused", "0")

	// An error in the server's place, before and after the login.
	m.arm(`{"target":"billing","match":"^GRANT","action":"answer","status":1290,"body":"running with --read-only"}`)
	if out, err := m.run("GRANT SELECT ON *.* TO held"); err == nil || !strings.Contains(out, "1290 (HY000) at line 1: running with --read-only") {
		t.Fatal(out, err)
	}
	m.arm(`{"target":"billing","match":"^CONNECT$","action":"answer","status":1040,"body":"Too many connections"}`)
	if out, err := m.run("SELECT 1"); err == nil || !strings.Contains(out, "1040") {
		t.Fatal(out, err)
	}

	// Everything else passes while rules are armed: a prepared statement, many rows, long rows, a file, errors.
	file := filepath.Join(t.TempDir(), "rows")
	if err := os.WriteFile(file, []byte(strings.Repeat("row\n", 100_000)), 0o600); err != nil {
		t.Fatal(err)
	}
	m.must("CREATE DATABASE d; CREATE TABLE d.t (v LONGTEXT)", "")
	m.must("LOAD DATA LOCAL INFILE '"+file+"' INTO TABLE d.t; SELECT COUNT(*) FROM d.t", "100000")
	m.must("PREPARE p FROM 'SELECT 42'; EXECUTE p", "42")
	if got, err := m.run("SELECT v FROM d.t"); err != nil || len(got) != 100_000*4-1 {
		t.Fatal(len(got), err)
	}
	if got, err := m.run("SELECT REPEAT('x', 20000000)"); err != nil || len(got) != 20_000_000 {
		t.Fatal(len(got), err)
	}
	long := m.command("", "SELECT LENGTH('"+strings.Repeat("y", 20_000_000)+"');")
	if got, err := long.CombinedOutput(); err != nil || strings.TrimSpace(string(got)) != "20000000" {
		t.Fatalf("%.200s %v", got, err)
	}
	if out, err := m.run("SELEC 1"); err == nil || !strings.Contains(out, "1064") {
		t.Fatal(out, err)
	}

	// A client that asks for compression is not offered it, and works.
	compressed := m.command("SELECT 'not compressed'", "")
	compressed.Args = append(compressed.Args, m.compress)
	if got, err := compressed.CombinedOutput(); err != nil || strings.TrimSpace(string(got)) != "not compressed" {
		t.Fatalf("%s %v", got, err)
	}
	if lines := m.requests("billing"); lines[len(lines)-1] != "SELECT 'not compressed'" {
		t.Fatal(lines[len(lines)-1])
	}
}
