package controlplane

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"strings"

	"iamdb.dev/world/internal/console"
	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/process"
	"iamdb.dev/world/internal/tasks"
)

//go:embed audit-policy.yaml
var auditPolicy []byte

// controllers are those that what is tested depends on; all of them take 5 s more to start.
var controllers = []string{
	"garbage-collector-controller",
	"namespace-controller",
	"serviceaccount-controller",
	"serviceaccount-token-controller",
	"root-ca-certificate-publisher-controller",
	"clusterrole-aggregation-controller",
	"validatingadmissionpolicy-status-controller",
}

// ControlPlane is the control plane of one world.
type ControlPlane struct {
	World     layout.World
	Programs  Programs
	Processes process.Table
	Report    *console.Reporter
}

// Up starts what does not run and waits until the control plane works.
func (c ControlPlane) Up(ctx context.Context) error {
	if err := os.WriteFile(c.World.Path("audit-policy.yaml"), auditPolicy, 0o644); err != nil {
		return fmt.Errorf("write the audit policy: %w", err)
	}
	client, err := NewClient(c.World)
	if err != nil {
		return err
	}
	// Side by side: the apiserver tries again until etcd answers.
	err = tasks.All(ctx,
		func(ctx context.Context) error {
			return c.ensure(ctx, layout.Etcd, c.etcdArgs(), process.HTTPReady("http://"+c.World.Etcd()+"/readyz"))
		},
		func(ctx context.Context) error {
			return c.ensure(ctx, layout.APIServer, c.apiServerArgs(), client.Ready)
		},
	)
	if err != nil {
		return err
	}
	return c.ensure(ctx, layout.ControllerManager, c.controllerManagerArgs(), client.Controlled)
}

func (c ControlPlane) ensure(ctx context.Context, part string, args []string, probe func(context.Context) error) error {
	spec := process.Spec{Name: part, Args: args, Env: process.BaseEnv(), Dir: c.World.Dir(), Log: c.World.Log(part)}
	return c.Processes.Ensure(ctx, c.Report, spec, probe)
}

func (c ControlPlane) etcdArgs() []string {
	client, peer := "http://"+c.World.Etcd(), "http://"+c.World.EtcdPeer()
	return []string{
		c.Programs.Etcd, "--name=world", "--data-dir=" + c.World.Path("etcd"),
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=world=" + peer, "--log-level=warn",
		// The data of a world need not survive the machine.
		"--unsafe-no-fsync", "--quota-backend-bytes=8589934592",
	}
}

func (c ControlPlane) apiServerArgs() []string {
	w := c.World
	return []string{
		c.Programs.APIServer, "--etcd-servers=http://" + w.Etcd(),
		"--bind-address=" + w.Host(), "--advertise-address=" + w.Host(), "--secure-port=" + portOf(w.APIServer()),
		// A loopback address is refused as an endpoint of the kubernetes Service.
		"--endpoint-reconciler-type=none", "--service-cluster-ip-range=" + w.ServiceNetwork(),
		"--tls-cert-file=" + w.PKI("apiserver.crt"), "--tls-private-key-file=" + w.PKI("apiserver.key"),
		"--client-ca-file=" + w.PKI("cluster-ca.crt"), "--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--kubelet-client-certificate=" + w.PKI("apiserver-client.crt"), "--kubelet-client-key=" + w.PKI("apiserver-client.key"),
		"--kubelet-preferred-address-types=InternalIP",
		"--service-account-issuer=" + layout.Issuer,
		"--service-account-key-file=" + w.PKI("sa.pub"), "--service-account-signing-key-file=" + w.PKI("sa.key"),
		// Blocking: when a client has its answer, the line is in the log, so a test may count at once.
		"--audit-policy-file=" + w.Path("audit-policy.yaml"), "--audit-log-path=" + w.AuditLog(), "--audit-log-mode=blocking",
		// A test that counts from a byte on must find all of it in one file: by default that would be another after 100 MB.
		"--audit-log-maxsize=100000",
		"--shutdown-delay-duration=0s",
	}
}

func (c ControlPlane) controllerManagerArgs() []string {
	return ControllerManagerArgs(c.World, c.Programs, c.World.ControllerManager(), controllers)
}

// ControllerManagerArgs start a controller manager with some of the controllers.
func ControllerManagerArgs(w layout.World, programs Programs, address string, controllers []string) []string {
	kubeconfig := w.PKI(controllerKey + ".kubeconfig")
	return []string{
		programs.ControllerManager, "--kubeconfig=" + kubeconfig,
		"--authentication-kubeconfig=" + kubeconfig, "--authorization-kubeconfig=" + kubeconfig,
		"--bind-address=" + w.Host(), "--secure-port=" + portOf(address),
		// Without credentials of their own the controllers lack the rights that RBAC gives to each.
		"--leader-elect=false", "--use-service-account-credentials=true",
		"--service-account-private-key-file=" + w.PKI("sa.key"), "--root-ca-file=" + w.PKI("cluster-ca.crt"),
		"--controllers=" + strings.Join(controllers, ","),
	}
}

func portOf(address string) string {
	return address[strings.LastIndexByte(address, ':')+1:]
}
