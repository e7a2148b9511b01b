// kubenode is kubelet and kube-scheduler in one binary: what a cluster needs on top of kubeworld to run pods. It is called as
// `kubenode SUBCOMMAND [flags]` or through a link that is named like the subcommand.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/logs/json/register"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

func main() {
	name := filepath.Base(os.Args[0])
	if name == "kubenode" && len(os.Args) > 1 {
		// The programs read os.Args themselves.
		name, os.Args = os.Args[1], os.Args[1:]
	}
	switch name {
	case "kubelet":
		os.Exit(cli.Run(kubelet.NewKubeletCommand(context.Background())))
	case "kube-scheduler":
		os.Exit(cli.Run(scheduler.NewSchedulerCommand()))
	}
	fmt.Fprintln(os.Stderr, "usage: kubenode SUBCOMMAND [flags]; subcommands: kubelet, kube-scheduler")
	os.Exit(2)
}
