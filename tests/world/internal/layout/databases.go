package layout

import "strings"

// hostLabel is the part of every host name that AWS makes unique to an account and Region.
const hostLabel = "cworld000001"

func hostName(prefix string) string { return prefix + hostLabel + "." + Region + ".rds.amazonaws.com" }

// Instance is one DB instance: a real server.
type Instance struct {
	Identifier string
	// Engine is what RDS calls it.
	Engine     string
	ResourceID string
}

// Endpoint is the host name that RDS would tell.
func (i Instance) Endpoint() string { return hostName(i.Identifier + ".") }

// Part is the name of the server's process, folder and log. Behind Aurora there is a MySQL server here.
func (i Instance) Part() string {
	return strings.TrimPrefix(i.Engine, "aurora-") + "-" + i.Identifier
}

// Cluster is an Aurora DB cluster: its first member is the writer until a fail-over.
type Cluster struct {
	Identifier string
	Engine     string
	ResourceID string
	Members    []Instance
}

// Proxy is an RDS Proxy before a DB instance: further addresses of its server, behind certificates of another CA.
type Proxy struct {
	Name string
	// ID is the last part of its ARN.
	ID     string
	Target Instance
	// Role is the name of the IAM role as which it connects.
	Role string
}

// The databases of every world.
var (
	Orders  = Instance{Identifier: "orders", Engine: "mysql", ResourceID: "db-ORDERS0000000000000000001"}
	Billing = Instance{Identifier: "billing", Engine: "mariadb", ResourceID: "db-BILLING000000000000000001"}
	// Catalog folds the names of databases and tables: lower_case_table_names is 1.
	Catalog = Instance{Identifier: "catalog", Engine: "mysql", ResourceID: "db-CATALOG000000000000000001"}
	Ledger  = Cluster{
		Identifier: "ledger", Engine: "aurora-mysql", ResourceID: "cluster-LEDGER00000000000000000001",
		Members: []Instance{
			{Identifier: "ledger-1", Engine: "aurora-mysql", ResourceID: "db-LEDGER10000000000000000001"},
			{Identifier: "ledger-2", Engine: "aurora-mysql", ResourceID: "db-LEDGER20000000000000000001"},
		},
	}
	OrdersProxy = Proxy{Name: "orders-proxy", ID: "prx-0orders0000000001", Target: Orders, Role: "orders-proxy"}
)

// Instances lists every server.
func Instances() []Instance { return append([]Instance{Orders, Billing, Catalog}, Ledger.Members...) }

// Kind is what kind of endpoint a name is.
type Kind string

// The kinds of endpoint. A custom one leads to the reader, as one of type READER does in RDS.
const (
	OfInstance Kind = "instance"
	OfWriter   Kind = "writer"
	OfReader   Kind = "reader"
	Custom     Kind = "custom"
	OfProxy    Kind = "proxy"
	// OfReplica is the name of a read replica that a test may make: the same server answers there.
	OfReplica Kind = "replica"
)

// Endpoint is a name under which RDS offers a database. The server that is meant tells by the address at which a login arrives
// which name it was: so there is one for each name and each server that the name can lead to.
type Endpoint struct {
	// Name is that of the forwarders before it, and of its certificate if it has one of its own.
	Name string
	Kind Kind
	Host string
	// Routes are where it can lead; it begins with the first.
	Routes []Route
}

// Route is a server that an endpoint can lead to.
type Route struct {
	Instance Instance
	// host is the last byte of the two addresses: of the forwarder and of the server.
	host int
}

// Endpoints lists every name.
func Endpoints() []Endpoint {
	one, two := Ledger.Members[0], Ledger.Members[1]
	instance := func(i Instance, host int) Endpoint {
		return Endpoint{Name: i.Identifier, Kind: OfInstance, Host: i.Endpoint(), Routes: []Route{{i, host}}}
	}
	return []Endpoint{
		instance(Orders, 1), instance(Billing, 2), instance(Catalog, 4), instance(one, 11), instance(two, 12),
		{Name: "ledger", Kind: OfWriter, Host: hostName("ledger.cluster-"), Routes: []Route{{one, 21}, {two, 22}}},
		{Name: "ledger-ro", Kind: OfReader, Host: hostName("ledger.cluster-ro-"), Routes: []Route{{two, 32}, {one, 31}}},
		{Name: "reports", Kind: Custom, Host: hostName("reports.cluster-custom-"), Routes: []Route{{two, 42}, {one, 41}}},
		{Name: "orders-replica", Kind: OfReplica, Host: hostName("orders-replica."), Routes: []Route{{Orders, 3}}},
		{Name: "orders-proxy", Kind: OfProxy, Host: hostName("orders-proxy.proxy-"), Routes: []Route{{Orders, 51}}},
		{
			Name: "orders-proxy-ro", Kind: OfProxy, Host: hostName("orders-proxy-ro.endpoint.proxy-"), Routes: []Route{{Orders, 52}},
		},
	}
}

// EndpointNamed answers the endpoint of that name, which must be one of Endpoints.
func EndpointNamed(name string) Endpoint {
	for _, e := range Endpoints() {
		if e.Name == name {
			return e
		}
	}
	panic("no endpoint " + name)
}
