// Package controlplane builds and runs the real Kubernetes control plane: etcd, kube-apiserver and kube-controller-manager.
package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"iamdb.dev/world/internal/cache"
	"iamdb.dev/world/internal/command"
	"iamdb.dev/world/internal/console"
)

// source is the Go module of the control plane, below the project's root.
const source = "tests/world/controlplane"

// Programs are the paths of the control plane's programs.
type Programs struct {
	Etcd              string
	APIServer         string
	ControllerManager string
	Kubectl           string
}

// Builder builds the control plane once for each version of its sources.
type Builder struct {
	Root  string
	Cache cache.Cache
	// Assets is a folder that has kube-apiserver, etcd and kubectl already ($KUBEBUILDER_ASSETS), or empty.
	Assets string
}

// Build answers the programs, and builds those that are neither in Assets nor in the cache.
func (b Builder) Build(ctx context.Context) (Programs, error) {
	tags, names := []string{}, []string{"kube-controller-manager", "etcd", "kube-apiserver", "kubectl"}
	if b.hasAssets() {
		tags, names = []string{"no_apiserver", "no_etcd", "no_kubectl"}, names[:1]
	}
	version, err := b.version()
	if err != nil {
		return Programs{}, err
	}
	entry, err := b.entry(ctx, "controlplane", version, binary{"kubeworld", "the Kubernetes control plane", tags, names})
	if err != nil {
		return Programs{}, err
	}
	built := func(name string) string { return filepath.Join(entry, name) }
	programs := Programs{
		Etcd: built("etcd"), APIServer: built("kube-apiserver"),
		ControllerManager: built("kube-controller-manager"), Kubectl: built("kubectl"),
	}
	if b.hasAssets() {
		programs.Etcd = filepath.Join(b.Assets, "etcd")
		programs.APIServer = filepath.Join(b.Assets, "kube-apiserver")
		programs.Kubectl = filepath.Join(b.Assets, "kubectl")
	}
	return programs, nil
}

// NodePrograms are the paths of the programs that a node needs beside those.
type NodePrograms struct {
	Kubelet   string
	Scheduler string
}

// BuildNode answers the node's programs. They are no part of Build: most worlds have no node.
func (b Builder) BuildNode(ctx context.Context) (NodePrograms, error) {
	version, err := b.version()
	if err != nil {
		return NodePrograms{}, err
	}
	entry, err := b.entry(ctx, "node", version, binary{"kubenode", "kubelet and kube-scheduler", nil, []string{"kubelet", "kube-scheduler"}})
	return NodePrograms{Kubelet: filepath.Join(entry, "kubelet"), Scheduler: filepath.Join(entry, "kube-scheduler")}, err
}

// binary is one command of the module: several programs in one file.
type binary struct {
	name     string
	what     string
	tags     []string
	programs []string
}

// entry answers the folder of a binary in the cache. Only what goes into it decides whether it is built anew.
func (b Builder) entry(ctx context.Context, part, version string, it binary) (string, error) {
	digest, err := cache.Digest(b.Root, it.tags, source+"/go.mod", source+"/go.sum", source+"/cmd/"+it.name)
	if err != nil {
		return "", err
	}
	return b.Cache.Entry(ctx, part, version+"-"+digest, func(dir string) error { return b.build(ctx, version, it, dir) })
}

func (b Builder) hasAssets() bool {
	if b.Assets == "" {
		return false
	}
	for _, name := range []string{"etcd", "kube-apiserver", "kubectl"} {
		if _, err := os.Stat(filepath.Join(b.Assets, name)); err != nil {
			return false
		}
	}
	return true
}

var requirement = regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes (v1\.(\d+)\.\d+)$`)

// version is the one that go.mod requires: there is no second place that says it.
func (b Builder) version() (string, error) {
	text, err := os.ReadFile(filepath.Join(b.Root, source, "go.mod"))
	if err != nil {
		return "", fmt.Errorf("read the control plane's version: %w", err)
	}
	match := requirement.FindSubmatch(text)
	if match == nil {
		return "", errors.New("read the control plane's version: its go.mod requires no k8s.io/kubernetes")
	}
	return string(match[1]), nil
}

// linkerFlags stamp the version into the programs, which otherwise call themselves v0.0.0-master.
func linkerFlags(version string) string {
	minor := strings.Split(strings.TrimPrefix(version, "v"), ".")[1]
	flags := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		for _, stamp := range []string{"gitVersion=" + version, "gitMajor=1", "gitMinor=" + minor, "gitTreeState=clean"} {
			flags = append(flags, "-X", pkg+"."+stamp)
		}
	}
	return strings.Join(flags, " ")
}

// build makes the binary, with a link for each of the programs that the tags leave in it.
func (b Builder) build(ctx context.Context, version string, it binary, dir string) error {
	err := command.Command{
		What: "build " + it.what,
		Args: []string{
			"go", "build", "-trimpath", "-tags", strings.Join(it.tags, ","), "-ldflags", linkerFlags(version),
			"-o", filepath.Join(dir, it.name), "./cmd/" + it.name,
		},
		Env: []string{"CGO_ENABLED=0", "GOWORK=off"},
		Dir: filepath.Join(b.Root, source),
		// Beside the entry, because a failed build takes its folder away.
		Log:    dir + ".log",
		Remedy: "Go 1.24 or newer, access to the Go module proxy, 3 GB of memory and 5 GB of disk are needed",
	}.Run(ctx)
	if err != nil {
		return err
	}
	for _, name := range it.programs {
		if err := os.Symlink(it.name, filepath.Join(dir, name)); err != nil {
			return &console.Failure{What: "cannot link " + name + " to " + it.what, Err: err}
		}
	}
	return nil
}
