package layout

import "fmt"

// The parts of a world that are its node, in the order in which they are stopped. A world has none unless it is asked for.
const (
	Kubelet         = "kubelet"
	Scheduler       = "kube-scheduler"
	NodeControllers = "node-controllers"
	Containerd      = "containerd"
	Gateway         = "gateway"
)

// NodeParts lists them.
func NodeParts() []string { return []string{Kubelet, Scheduler, NodeControllers, Containerd, Gateway} }

// NodeName is the name of the Node object, AWSName the host under which pods know AWS.
const (
	NodeName = "world"
	AWSName  = "aws.world"
)

const (
	// KubeletHealthPort serves the kubelet's own probe.
	KubeletHealthPort      = 10248
	nodeControllersPort    = 10258
	schedulerPort          = 10259
	gatewayAWSPort         = 5000
	gatewayHTTPSPort       = 443
	gatewayNamesPort       = 53
	podNetwork, podGateway = "10.241.%d.0/24", "10.241.%d.1"
	serviceNetwork         = "10.242.%d.0/24"
	serviceFirst           = "10.242.%d.1"
	endpointHost           = "10.243.%d.%d"
)

// Node is the folder of everything that belongs to the node alone.
func (w World) Node(elem ...string) string { return w.Path(append([]string{"node"}, elem...)...) }

// ContainerdSocket is where containerd is spoken to.
func (w World) ContainerdSocket() string { return w.Node("containerd.sock") }

// Bridge is the network interface that the pods hang on. Everything below leads to it.
func (w World) Bridge() string { return fmt.Sprintf("iamdb%d", w.Slot) }

// BridgeMAC is the bridge's own address on the link. Without one of its own a bridge takes that of a port, and changes it when pods come
// and go: what the others remember of it would be wrong for a minute.
func (w World) BridgeMAC() string { return fmt.Sprintf("0a:58:0a:f1:%02x:01", w.Slot) }

// Cgroup is the control group that all pods are in.
func (w World) Cgroup() string { return fmt.Sprintf("iamdb-world-%d", w.Slot) }

// PodNetwork is the range of the pods' addresses.
func (w World) PodNetwork() string { return fmt.Sprintf(podNetwork, w.Slot) }

// NodeHost is the address of the machine on the bridge: the node's, and the pods' gateway.
func (w World) NodeHost() string { return fmt.Sprintf(podGateway, w.Slot) }

// ServiceNetwork is the range of the addresses of Services.
func (w World) ServiceNetwork() string { return fmt.Sprintf(serviceNetwork, w.Slot) }

// ServiceFirst is the address of the Service kubernetes.
func (w World) ServiceFirst() string { return fmt.Sprintf(serviceFirst, w.Slot) }

// PodRoute is the address at which pods reach the forwarder before a server.
func (w World) PodRoute(r Route) string { return fmt.Sprintf(endpointHost, w.Slot, r.host) }

// PodAPIServer is where pods reach the apiserver.
func (w World) PodAPIServer() string {
	return fmt.Sprintf("%s:%d", w.ServiceFirst(), gatewayHTTPSPort)
}

// PodAWS is where pods reach AWS.
func (w World) PodAWS() string { return fmt.Sprintf("%s:%d", w.NodeHost(), gatewayAWSPort) }

// PodNames is where pods ask for addresses.
func (w World) PodNames() string { return fmt.Sprintf("%s:%d", w.NodeHost(), gatewayNamesPort) }

// KubeletHealth serves the kubelet's own probe.
func (w World) KubeletHealth() string { return w.at(KubeletHealthPort) }

// NodeControllers serves the probes of the controllers that a node needs.
func (w World) NodeControllers() string { return w.at(nodeControllersPort) }

// Scheduler serves the scheduler's probes.
func (w World) Scheduler() string { return w.at(schedulerPort) }
