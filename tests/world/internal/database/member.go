package database

import (
	"fmt"
	"os"
	"strings"

	"iamdb.dev/world/internal/layout"
)

// replicationUser is what RDS calls its own.
const replicationUser = "rdsrepladmin"

// Member is a server's place in a cluster of two: the writer, or its replica by GTID that nobody else can write to.
type Member struct {
	World   layout.World
	Cluster layout.Cluster
	// Number counts from 0 in the cluster's list.
	Number int
	// Password is that of the replication user.
	Password string
}

// Members are the places in a cluster, in its order.
func Members(w layout.World, c layout.Cluster, password string) []*Member {
	members := make([]*Member, len(c.Members))
	for n := range c.Members {
		members[n] = &Member{World: w, Cluster: c, Number: n, Password: password}
	}
	return members
}

// flags let a member come up as a reader: what it is is told to it once it runs.
func (m Member) flags() []string {
	return []string{
		fmt.Sprintf("--server-id=%d", m.Number+1), "--log-bin=binlog", "--relay-log=relay", "--sync-binlog=0",
		"--gtid-mode=ON", "--enforce-gtid-consistency=ON", "--super-read-only=ON", "--skip-replica-start",
		// In Aurora the binary log is off unless somebody asks for it, so it asks nothing of whoever makes a function.
		"--log-bin-trust-function-creators=ON",
	}
}

// place is the SQL that makes the member what the cluster's record says.
func (m Member) place() (string, error) {
	writer, err := os.ReadFile(m.World.Writer(m.Cluster))
	if err != nil {
		return "", fmt.Errorf("find out who writes in %s: %w", m.Cluster.Identifier, err)
	}
	if strings.TrimSpace(string(writer)) == m.Cluster.Members[m.Number].Identifier {
		return m.Promote(), nil
	}
	return m.Follow(), nil
}

// Promote is the SQL that makes the member the writer.
func (m Member) Promote() string {
	return `STOP REPLICA;
RESET REPLICA ALL;
SET GLOBAL super_read_only = OFF;
SET GLOBAL read_only = OFF;
`
}

// Follow is the SQL that makes it the other member's replica. It speaks to the address of the other's own endpoint.
func (m Member) Follow() string {
	other := m.Cluster.Members[1-m.Number]
	source := m.World.ServerHosts(other)[0]
	return fmt.Sprintf(`SET GLOBAL super_read_only = ON;
STOP REPLICA;
CHANGE REPLICATION SOURCE TO SOURCE_HOST = '%s', SOURCE_PORT = %d, SOURCE_USER = '%s', SOURCE_PASSWORD = '%s', SOURCE_SSL = 1,
  SOURCE_AUTO_POSITION = 1, SOURCE_CONNECT_RETRY = 1;
START REPLICA;
`, source, layout.DatabasePort, replicationUser, m.Password)
}

// memberSQL sets the passwords on each member by itself: both begin with the same data, so there is nothing to replicate.
func (p Passwords) memberSQL() string {
	return "SET GLOBAL super_read_only = OFF;\nSET SESSION sql_log_bin = 0;\n" + p.sql() +
		fmt.Sprintf("ALTER USER %s@'%%' IDENTIFIED BY '%s';\n", replicationUser, p.Replication)
}
