package world

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"iamdb.dev/world/internal/command"
	"iamdb.dev/world/internal/layout"
)

// applyManifests brings in what an administrator would before the operator starts.
func (p *Project) applyManifests(ctx context.Context, w layout.World) error {
	ca, err := os.ReadFile(w.PKI("database-ca.crt"))
	if err != nil {
		return fmt.Errorf("read the databases' CA: %w", err)
	}
	objects := []any{
		map[string]any{
			"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]string{"name": layout.OperatorNamespace},
		},
		map[string]any{
			"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": map[string]string{"name": layout.CAConfigMap, "namespace": layout.OperatorNamespace},
			"data":     map[string]string{layout.CAConfigMapKey: string(ca)},
		},
	}
	text, err := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "List", "items": objects})
	if err != nil {
		return err
	}
	file := w.Path("objects.json")
	if err := os.WriteFile(file, text, 0o644); err != nil {
		return fmt.Errorf("write the world's own objects: %w", err)
	}
	for _, args := range [][]string{
		{"apply", "--server-side", "-f", file},
		{"apply", "--server-side", "--force-conflicts", "-f", filepath.Join(p.Root, "crds")},
		{"apply", "--server-side", "--force-conflicts", "-f", filepath.Join(p.Root, "tests", "world", "rbac")},
		{"apply", "--server-side", "--force-conflicts", "-f", filepath.Join(p.Root, "charts", "iamdb-operator", "files", "admission")},
		{"wait", "--for=condition=Established", "--timeout=30s", "-f", filepath.Join(p.Root, "crds")},
	} {
		kubectl := command.Command{
			What: "kubectl " + args[0], Log: w.Log("manifests"),
			Args: append([]string{w.Path("bin", "kubectl"), "--kubeconfig", w.AdminKubeconfig()}, args...),
		}
		if err := kubectl.Run(ctx); err != nil {
			return err
		}
	}
	return nil
}
