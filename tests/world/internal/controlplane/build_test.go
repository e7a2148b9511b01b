package controlplane

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheVersionIsTheOneThatGoModRequires(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, source)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	mod := "require (\n\tk8s.io/kubectl v0.0.0\n\tk8s.io/kubernetes v1.34.10\n)\n\nreplace (\n\tk8s.io/api => k8s.io/api v0.34.10\n)\n"
	if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(mod), 0o644); err != nil {
		t.Fatal(err)
	}
	version, err := Builder{Root: root}.version()
	if err != nil || version != "v1.34.10" {
		t.Errorf("got %q, %v", version, err)
	}
	if flags := linkerFlags(version); !strings.Contains(flags, "gitVersion=v1.34.10") || !strings.Contains(flags, "gitMinor=34 ") {
		t.Errorf("flags are %s", flags)
	}
}

func TestAssetsCountOnlyWhenAllThreeAreThere(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"etcd", "kube-apiserver", "kubectl"} {
		if (Builder{Assets: dir}).hasAssets() {
			t.Errorf("assets without %s were taken", name)
		}
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if !(Builder{Assets: dir}).hasAssets() {
		t.Error("complete assets were not taken")
	}
}
