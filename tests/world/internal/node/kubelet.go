package node

import (
	"context"
	"errors"

	"iamdb.dev/world/internal/controlplane"
	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/process"
)

const clusterDomain = "cluster.local"

// kubeletConfig has the defaults where it says nothing: what is measured on this node shall hold on others. That goes for the delay with
// which a pod sees a changed Secret above all.
func kubeletConfig(w layout.World) object {
	return object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
		"address": w.NodeHost(), "port": 10250, "healthzBindAddress": w.Host(), "healthzPort": layout.KubeletHealthPort,
		"authentication": object{
			"anonymous": object{"enabled": false}, "webhook": object{"enabled": true}, "x509": object{"clientCAFile": w.PKI("cluster-ca.crt")},
		},
		"authorization": object{"mode": "Webhook"},
		"tlsCertFile":   w.PKI("kubelet-serving.crt"), "tlsPrivateKeyFile": w.PKI("kubelet-serving.key"),
		"containerRuntimeEndpoint": "unix://" + w.ContainerdSocket(),
		"clusterDNS":               []string{w.NodeHost()}, "clusterDomain": clusterDomain,
		"volumePluginDir": w.Node("plugins"), "podLogsDir": w.Node("logs"),
		// The machine may have any kind of control groups, and may run other nodes.
		"cgroupDriver": "cgroupfs", "cgroupRoot": "/" + w.Cgroup(), "failCgroupV1": false,
		// Neither swap nor a full disk of the machine is what is tested; a small virtual machine may not lower its score.
		"failSwapOn": false, "evictionHard": object{"memory.available": "100Mi"}, "imageGCHighThresholdPercent": 100, "oomScoreAdj": 0,
		// Nothing on this node needs the machine's packet filter.
		"makeIPTablesUtilChains": false,
	}
}

func (n Node) startKubelet(ctx context.Context) error {
	w := n.World
	config := w.Node("kubelet.json")
	if err := writeJSON(config, kubeletConfig(w)); err != nil {
		return err
	}
	client, err := controlplane.NewClient(w)
	if err != nil {
		return err
	}
	return n.ensure(ctx, layout.Kubelet, []string{
		n.Programs.Kubelet, "--config=" + config, "--kubeconfig=" + w.PKI("kubelet.kubeconfig"), "--hostname-override=" + layout.NodeName,
		"--node-ip=" + w.NodeHost(), "--root-dir=" + w.Node("kubelet"), "--cert-dir=" + w.Node("kubelet-pki"),
	}, func(ctx context.Context) error {
		// What the apiserver knows may be of an earlier kubelet.
		return errors.Join(process.HTTPReady("http://"+w.KubeletHealth()+"/healthz")(ctx), client.NodeReady(ctx))
	})
}
