package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/process"
)

// Down takes away everything that a node left on the machine, whatever state it is in: what is there is found, not remembered.
func Down(ctx context.Context, w layout.World, processes process.Table, kernel Kernel) error {
	if !Exists(w) {
		return nil
	}
	for _, part := range layout.NodeParts() {
		// containerd still sees its containers end: then it has less to be cleaned up after.
		if part == layout.Containerd {
			if err := emptyCgroups(w.Cgroup()); err != nil {
				return err
			}
		}
		if err := processes.Stop(part, 10*time.Second); err != nil {
			return err
		}
	}
	endShims(w)
	if err := unmountBelow(w.Node()); err != nil {
		return err
	}
	if err := removeBridge(ctx, w); err != nil {
		return err
	}
	if err := removeTraces(w); err != nil {
		return err
	}
	if err := os.RemoveAll(w.Node()); err != nil {
		return fmt.Errorf("remove the node's folder: %w", err)
	}
	return kernel.Restore(ctx, w)
}

// endShims ends the processes by which containerd holds containers. They are ours that were started for our socket.
func endShims(w layout.World) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return
	}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		text, err := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		if err != nil {
			continue
		}
		if isShim(strings.Split(string(text), "\x00"), w.ContainerdSocket()) {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
}

func isShim(args []string, socket string) bool {
	at := slices.Index(args, "-address")
	return strings.HasPrefix(filepath.Base(args[0]), "containerd-shim-") && at >= 0 && at+1 < len(args) && args[at+1] == socket
}

// unmountBelow takes away what is mounted below a folder, the last one first: mounts lie on each other. What is left would be removed
// with the folder, so nothing may be left.
func unmountBelow(folder string) error {
	for range 3 {
		text, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			return fmt.Errorf("read what is mounted: %w", err)
		}
		points := mountPoints(string(text), folder)
		if len(points) == 0 {
			return nil
		}
		for _, point := range slices.Backward(points) {
			if err := syscall.Unmount(point, syscall.MNT_DETACH); err != nil && !errors.Is(err, syscall.EINVAL) {
				return fmt.Errorf("unmount %s: %w", point, err)
			}
		}
	}
	return fmt.Errorf("something is still mounted below %s", folder)
}

// mountPoints are those below a folder, in the order in which they were mounted.
func mountPoints(mountinfo, folder string) []string {
	var points []string
	for _, line := range strings.Split(mountinfo, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 5 {
			continue
		}
		if point := unescape(fields[4]); strings.HasPrefix(point, folder+"/") {
			points = append(points, point)
		}
	}
	return points
}

// unescape reads the kernel's way to write blanks.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

const deviceSocket = "/var/lib/kubelet/device-plugins/kubelet.sock"

// removeTraces removes what containerd, the kubelet and the network plugins leave in places that cannot be chosen: links to logs of
// pods, records of addresses, sockets of shims.
func removeTraces(w layout.World) error {
	var traces []string
	links, _ := filepath.Glob("/var/log/containers/*.log")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, w.Node()+"/") {
			traces = append(traces, link)
		}
	}
	records, _ := filepath.Glob("/var/lib/cni/results/*")
	for _, record := range records {
		if text, err := os.ReadFile(record); err == nil && strings.Contains(string(text), w.Node()+"/") {
			traces = append(traces, record)
		}
	}
	addresses, _ := filepath.Glob(w.Node("state", "io.containerd.runtime.v2.task", "*", "*", "address"))
	for _, file := range addresses {
		if text, err := os.ReadFile(file); err == nil {
			traces = append(traces, strings.TrimPrefix(strings.TrimSpace(string(text)), "unix://"))
		}
	}
	// Every kubelet of the machine takes this place.
	if _, err := net.Dial("unix", deviceSocket); errors.Is(err, syscall.ECONNREFUSED) {
		traces = append(traces, deviceSocket)
	}
	for _, trace := range traces {
		if err := os.Remove(trace); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove %s: %w", trace, err)
		}
	}
	// Only where nobody else uses them.
	for _, folder := range []string{
		"/run/containerd/s", "/run/containerd", "/var/log/containers", "/var/lib/cni/results", "/var/lib/cni", filepath.Dir(deviceSocket), "/var/lib/kubelet",
	} {
		_ = os.Remove(folder)
	}
	return nil
}
