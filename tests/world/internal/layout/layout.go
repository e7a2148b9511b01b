package layout

import (
	"fmt"
	"path/filepath"
)

// World is one world: the project that it belongs to and the slot of loopback addresses that it took.
type World struct {
	Root string
	Slot int
}

// Port numbers are the well-known ones: every part has an address of its own.
const (
	etcdPort             = 2379
	etcdPeerPort         = 2380
	apiServerPort        = 6443
	apiServerForwardPort = 7443
	awsPort              = 5000
	awsForwardPort       = 5001
	forwardControlPort   = 9900
	operatorPort         = 8080
	trustStorePort       = 5443

	// ControllerManagerPort serves kube-controller-manager's probes.
	ControllerManagerPort = 10257
	// DatabasePort is the port of every DB instance.
	DatabasePort = 3306
)

// Host is the address that all parts but the databases share.
func (w World) Host() string { return fmt.Sprintf("127.%d.0.1", w.Slot) }

func (w World) at(port int) string { return fmt.Sprintf("%s:%d", w.Host(), port) }

// Etcd is where etcd serves its clients.
func (w World) Etcd() string { return w.at(etcdPort) }

// EtcdPeer is where etcd would serve other members.
func (w World) EtcdPeer() string { return w.at(etcdPeerPort) }

// APIServer is the kube-apiserver itself.
func (w World) APIServer() string { return w.at(apiServerPort) }

// APIServerForward is the forwarder before it, where the operator connects.
func (w World) APIServerForward() string { return w.at(apiServerForwardPort) }

// ControllerManager is the address of kube-controller-manager's probes.
func (w World) ControllerManager() string { return w.at(ControllerManagerPort) }

// AWS is the AWS launcher itself.
func (w World) AWS() string { return w.at(awsPort) }

// TrustStore is where the databases' CA certificates are published over HTTPS.
func (w World) TrustStore() string { return w.at(trustStorePort) }

// AWSForward is the forwarder before it, where the operator connects.
func (w World) AWSForward() string { return w.at(awsForwardPort) }

// ForwardControl is where rules for the forwarders are armed.
func (w World) ForwardControl() string { return w.at(forwardControlPort) }

// Operator serves its metrics and probes here.
func (w World) Operator() string { return w.at(operatorPort) }

// ForwarderHost is what an endpoint's name resolves to while it leads there: the forwarder before the server.
func (w World) ForwarderHost(r Route) string { return fmt.Sprintf("127.%d.1.%d", w.Slot, r.host) }

// ForwarderAddress is the forwarder before the server.
func (w World) ForwarderAddress(r Route) string {
	return fmt.Sprintf("%s:%d", w.ForwarderHost(r), DatabasePort)
}

// ServerHost is the address that the server itself binds for the endpoint.
func (w World) ServerHost(r Route) string { return fmt.Sprintf("127.%d.2.%d", w.Slot, r.host) }

// ServerAddress is the server itself.
func (w World) ServerAddress(r Route) string {
	return fmt.Sprintf("%s:%d", w.ServerHost(r), DatabasePort)
}

// ServerHosts are all addresses that an instance's server binds, that of its own endpoint first.
func (w World) ServerHosts(i Instance) []string {
	var hosts []string
	for _, e := range Endpoints() {
		for _, r := range e.Routes {
			if r.Instance == i {
				hosts = append(hosts, w.ServerHost(r))
			}
		}
	}
	return hosts
}

// Addresses lists everything that a world listens on: a slot is free when all of these are.
func (w World) Addresses() []string {
	all := []string{
		w.Etcd(), w.EtcdPeer(), w.APIServer(), w.APIServerForward(), w.ControllerManager(),
		w.AWS(), w.AWSForward(), w.ForwardControl(), w.Operator(), w.TrustStore(),
	}
	for _, e := range Endpoints() {
		for _, r := range e.Routes {
			all = append(all, w.ForwarderAddress(r), w.ServerAddress(r))
		}
	}
	return all
}

// Dir is the folder of the running world.
func (w World) Dir() string { return filepath.Join(w.Root, "target", "world") }

// Path is a file or folder of the running world.
func (w World) Path(elem ...string) string {
	return filepath.Join(append([]string{w.Dir()}, elem...)...)
}

// PKI is a certificate, key or token file.
func (w World) PKI(name string) string { return w.Path("pki", name) }

// Run is the folder of process ids and sockets.
func (w World) Run() string { return w.Path("run") }

// Log is the log of a part, or one of the logs that the contracts name.
func (w World) Log(name string) string { return w.Path("log", name+".log") }

// Socket is a database server's UNIX socket.
func (w World) Socket(i Instance) string { return w.Path("run", i.Identifier+".sock") }

// QueryLog is a database server's general query log.
func (w World) QueryLog(i Instance) string { return w.Log(i.Identifier + "-queries") }

// AuditLog is the apiserver's audit log.
func (w World) AuditLog() string { return w.Log("audit") }

// AuthLog holds the authentication plugin's decisions.
func (w World) AuthLog() string { return w.Log("auth") }

// AuthConfig is what the authentication plugin reads at each login.
func (w World) AuthConfig() string { return w.Path("auth.json") }

// AWSRequestLog holds what AWS was asked.
func (w World) AWSRequestLog() string { return w.Log("aws-requests") }

// AdminKubeconfig gives admin access, straight to the apiserver.
func (w World) AdminKubeconfig() string { return w.Path("kubeconfig") }

// OperatorKubeconfig is the operator's: its ServiceAccount's token, through the forwarder.
func (w World) OperatorKubeconfig() string { return w.Path("operator.kubeconfig") }

// Hosts is the hosts file that Exec mounts.
func (w World) Hosts() string { return w.Path("hosts") }

// Writer is the file that says which member of the cluster is its writer.
func (w World) Writer(c Cluster) string { return w.Path(c.Identifier + ".writer") }

// Exec runs a command where the endpoint names resolve.
func (w World) Exec() string { return w.Path("exec") }

// Parts lists the processes of a world in the order in which they are stopped.
func Parts() []string {
	parts := []string{Operator, Forwarders, AWS}
	for _, i := range Instances() {
		parts = append(parts, i.Part())
	}
	return append(parts, ControllerManager, APIServer, Etcd)
}
