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

	// TrustStoreHost is where AWS publishes the databases' CA certificates.
	TrustStoreHost = "truststore.pki.rds.amazonaws.com"

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
