package database

import (
	"context"
	"os"
	"path/filepath"

	"iamdb.dev/world/internal/cache"
	"iamdb.dev/world/internal/command"
	"iamdb.dev/world/internal/console"
)

const (
	// PluginName is what RDS calls its plugin.
	PluginName = "AWSAuthenticationPlugin"
	pluginFile = PluginName + ".so"

	pluginSource  = "tests/world/plugin"
	pluginLibrary = "libworld_auth_plugin.so"
)

// BuildPlugin answers the folder that the servers take as their plugin_dir.
func BuildPlugin(ctx context.Context, c cache.Cache, root string) (string, error) {
	digest, err := cache.Digest(root, nil, pluginSource+"/Cargo.toml", pluginSource+"/Cargo.lock", pluginSource+"/src")
	if err != nil {
		return "", err
	}
	return c.Entry(ctx, "plugin", digest, func(dir string) error {
		// One target folder for all versions of the sources: crates that did not change are not built again.
		target := c.Path("plugin", "target")
		err := command.Command{
			What: "build the authentication plugin",
			Args: []string{
				"cargo", "build", "--release", "--locked",
				"--manifest-path", filepath.Join(root, pluginSource, "Cargo.toml"), "--target-dir", target,
			},
			Dir: root, Log: dir + ".log",
		}.Run(ctx)
		if err != nil {
			return err
		}
		library, err := os.ReadFile(filepath.Join(target, "release", pluginLibrary))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, pluginFile), library, 0o755)
		}
		if err != nil {
			return &console.Failure{What: "cannot install the authentication plugin", Err: err, Log: dir + ".log"}
		}
		return nil
	})
}
