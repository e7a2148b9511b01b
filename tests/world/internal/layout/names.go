// Package layout knows where everything of a world is: its fixed names, the loopback addresses of a slot and the files
// below target/world. It does no I/O.
package layout

// Names that every world shares. Tests and manifests write them down, so they never vary.
const (
	Account   = "123456789012"
	Region    = "us-east-1"
	Partition = "aws"

	MasterUser = "admin"

	OperatorNamespace      = "iamdb-system"
	OperatorServiceAccount = "iamdb-operator"
	CAConfigMap            = "world-ca"
	CAConfigMapKey         = "ca.crt"

	Issuer      = "https://kubernetes.default.svc"
	STSAudience = "sts.amazonaws.com"

	OperatorUser = "iamdb-operator"
	AdminUser    = "world-admin"
)

// The parts of a world that are processes, in the order in which they are stopped.
const (
	Operator          = "operator"
	Forwarders        = "forward"
	AWS               = "aws"
	ControllerManager = "kube-controller-manager"
	APIServer         = "kube-apiserver"
	Etcd              = "etcd"
)

// Instance is one DB instance: a real server behind an RDS endpoint's name.
type Instance struct {
	Identifier string
	Engine     string
	ResourceID string
	// host is the last byte of the instance's two addresses.
	host int
}

// Endpoint is the host name that RDS would tell.
func (i Instance) Endpoint() string {
	return i.Identifier + ".cworld000001." + Region + ".rds.amazonaws.com"
}

// Part is the name of the server's process, folder and log.
func (i Instance) Part() string {
	return i.Engine + "-" + i.Identifier
}

// The DB instances of every world.
var (
	Orders  = Instance{Identifier: "orders", Engine: "mysql", ResourceID: "db-ORDERS0000000000000000001", host: 1}
	Billing = Instance{Identifier: "billing", Engine: "mariadb", ResourceID: "db-BILLING000000000000000001", host: 2}
)

// Instances lists them.
func Instances() []Instance { return []Instance{Orders, Billing} }
