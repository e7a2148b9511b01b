package database

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"

	"iamdb.dev/world/internal/command"
	"iamdb.dev/world/internal/console"
	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/process"
)

// Passwords are those of the accounts that RDS or a human would have made.
type Passwords struct {
	Master string `json:"master"`
	Legacy string `json:"legacy"`
	// RDSAdmin and Replication are told to nobody, as on RDS.
	RDSAdmin    string `json:"rdsadmin"`
	Replication string `json:"replication"`
}

// Server is the server of one DB instance in a world.
type Server struct {
	World     layout.World
	Instance  layout.Instance
	Software  Software
	Passwords Passwords
	// Template is the data directory to copy, PluginDir what BuildPlugin answered.
	Template  string
	PluginDir string
	// Member is the server's place in its cluster, if it is in one.
	Member    *Member
	Processes process.Table
	Report    *console.Reporter
}

// Up starts the server unless it runs. A new data directory gets this world's passwords and the plugin; an old one keeps
// what it has, a plugin that was taken out included.
func (s Server) Up(ctx context.Context) error {
	part := s.Instance.Part()
	if err := s.copyTemplate(ctx); err != nil {
		return err
	}
	socket := s.World.Socket(s.Instance)
	spec := process.Spec{
		Name: part, Args: s.args(), Dir: s.World.Dir(), Log: s.World.Log(part),
		Env: process.BaseEnv("WORLD_AUTH_CONFIG="+s.World.AuthConfig(), "WORLD_AUTH_LOG="+s.World.AuthLog()),
	}
	if err := s.clear(socket); err != nil {
		return err
	}
	if err := s.Processes.Ensure(ctx, s.Report, spec, socketReady(socket)); err != nil {
		return err
	}
	log := s.World.Log(part + "-prepare")
	if err := s.once(part+".prepared", func() error { return s.prepare(ctx, socket, log) }); err != nil || s.Member == nil {
		return err
	}
	return s.once(part+".placed", func() error {
		sql, err := s.Member.place()
		if err != nil {
			return err
		}
		return s.Software.run(ctx, "give "+part+" its place in the cluster", socket, log, sql)
	})
}

func (s Server) prepare(ctx context.Context, socket, log string) error {
	part := s.Instance.Part()
	sql := s.Passwords.sql()
	if s.Member != nil {
		sql = s.Passwords.memberSQL()
	}
	if err := s.Software.run(ctx, "set the passwords of "+part, socket, log, sql); err != nil {
		return err
	}
	return s.Software.run(ctx, "install the authentication plugin in "+part, socket, log, installPlugin)
}

// once does what a mark in the folder of processes says was not done yet.
func (s Server) once(mark string, do func() error) error {
	file := s.World.Path("run", mark)
	if _, err := os.Stat(file); err == nil {
		return nil
	}
	if err := do(); err != nil {
		return err
	}
	return os.WriteFile(file, nil, 0o644)
}

// clear takes away what a server that does not run left: that it was given its place, and its socket. MySQL believes the process id in its lock file as long as the kernel
// knows it, so also while nobody has waited for the dead process, or when the id is somebody else's by now.
func (s Server) clear(socket string) error {
	part := s.Instance.Part()
	if _, alive := s.Processes.Alive(part); alive {
		return nil
	}
	for _, left := range []string{s.World.Path("run", part+".placed"), socket, socket + ".lock"} {
		if err := os.Remove(left); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("clear what %s left: %w", part, err)
		}
	}
	return nil
}

// installPlugin may be run again. MySQL has no INSTALL PLUGIN IF NOT EXISTS.
const installPlugin = `SET @install = IF((SELECT COUNT(*) FROM information_schema.plugins WHERE plugin_name = '` + PluginName + `') = 0,
  "INSTALL PLUGIN ` + PluginName + ` SONAME '` + pluginFile + `'", 'DO 0');
PREPARE install FROM @install;
EXECUTE install;
`

func (p Passwords) sql() string {
	// The general query log is for the tests to read: it need not show these.
	return fmt.Sprintf(`SET SESSION sql_log_off = 1;
ALTER USER admin@'%%' IDENTIFIED BY '%s';
ALTER USER legacy_app@'%%' IDENTIFIED BY '%s';
ALTER USER rdsadmin@localhost IDENTIFIED BY '%s';
`, p.Master, p.Legacy, p.RDSAdmin)
}

func (s Server) copyTemplate(ctx context.Context) error {
	data := s.World.Path(s.Instance.Part())
	if _, err := os.Stat(data); err == nil {
		return nil
	}
	draft := data + ".part"
	if err := os.RemoveAll(draft); err != nil {
		return fmt.Errorf("clear %s: %w", draft, err)
	}
	if _, err := command.Output(ctx, "cp", "-a", "--reflink=auto", "--sparse=auto", s.Template, draft); err != nil {
		return fmt.Errorf("copy the data of %s: %w", s.Instance.Part(), err)
	}
	if err := os.Rename(draft, data); err != nil {
		return fmt.Errorf("copy the data of %s: %w", s.Instance.Part(), err)
	}
	return nil
}

func (s Server) args() []string {
	w, i := s.World, s.Instance
	// Paths are absolute: relative ones count from the data directory, and MySQL then runs without TLS.
	args := append(s.Software.flags(w.Path(i.Part()), w.Socket(i)),
		"--bind-address="+strings.Join(w.ServerHosts(i), ","), fmt.Sprintf("--port=%d", layout.DatabasePort),
		"--ssl-ca="+w.PKI("database-ca.crt"), "--ssl-cert="+w.PKI(i.Identifier+".crt"), "--ssl-key="+w.PKI(i.Identifier+".key"),
		"--plugin-dir="+s.PluginDir,
		"--general-log=1", "--general-log-file="+w.QueryLog(i), "--log-output=FILE",
	)
	if s.Member != nil {
		args = append(args, s.Member.flags()...)
	}
	return args
}

// socketPathLimit is what the kernel allows for the path of a UNIX socket, without the final zero.
const socketPathLimit = 107

// CheckSocketPaths refuses a project whose path is so long that the servers could not make their sockets.
func CheckSocketPaths(w layout.World) error {
	for _, i := range layout.Instances() {
		if socket := w.Socket(i); len(socket) > socketPathLimit {
			return &console.Failure{
				What:   fmt.Sprintf("the path %s is too long for a UNIX socket (%d of %d bytes)", socket, len(socket), socketPathLimit),
				Remedy: "clone the project to a folder with a shorter path",
			}
		}
	}
	return nil
}

// socketReady holds when a server greets on the socket.
func socketReady(socket string) func(context.Context) error {
	return func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if err != nil {
			return err
		}
		defer conn.Close()
		if deadline, ok := ctx.Deadline(); ok {
			if err := conn.SetReadDeadline(deadline); err != nil {
				return err
			}
		}
		greeting := make([]byte, 5)
		if _, err := conn.Read(greeting); err != nil {
			return err
		}
		// Byte 5 is the protocol version, or 0xff for an error such as "too many connections".
		if greeting[4] == 0xff {
			return errors.New("the server answers with an error")
		}
		return nil
	}
}
