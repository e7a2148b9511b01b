package world

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"

	"iamdb.dev/world/internal/controlplane"
	"iamdb.dev/world/internal/database"
	"iamdb.dev/world/internal/host"
	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/pki"
	"iamdb.dev/world/internal/slot"
	"iamdb.dev/world/internal/tasks"
)

// create makes the folder of a new world with everything in it that is no process.
func (p *Project) create(ctx context.Context) (layout.World, error) {
	w, err := slot.Claims{Dir: p.Cache.Path("slots")}.Choose(ctx, p.Root)
	if err != nil {
		return w, err
	}
	p.Report.Say("a new world in slot %d (127.%d.x.x), %s", w.Slot, w.Slot, w.Dir())
	if err := database.CheckSocketPaths(w); err != nil {
		return w, err
	}
	for _, dir := range []string{w.Path("pki"), w.Path("log"), w.Path("run"), w.Path("bin")} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return w, fmt.Errorf("make %s: %w", dir, err)
		}
	}
	s := newSecrets()
	if err := s.save(w); err != nil {
		return w, err
	}
	entries := []host.Entry{{Address: w.Host(), Name: layout.TrustStoreHost}}
	for _, e := range layout.Endpoints() {
		entries = append(entries, host.Entry{Address: w.ForwarderHost(e.Routes[0]), Name: e.Host})
	}
	writer := layout.EndpointNamed(layout.Ledger.Identifier).Routes[0].Instance.Identifier
	if err := os.WriteFile(w.Writer(layout.Ledger), []byte(writer+"\n"), 0o644); err != nil {
		return w, fmt.Errorf("record the writer of %s: %w", layout.Ledger.Identifier, err)
	}
	if err := host.WriteExec(w.Exec(), w.Hosts(), entries); err != nil {
		return w, err
	}
	if err := os.WriteFile(w.Path("env"), []byte(environment(w, s)), 0o600); err != nil {
		return w, fmt.Errorf("write the environment: %w", err)
	}
	err = tasks.All(ctx,
		func(context.Context) error { return controlplane.WritePKI(w) },
		func(context.Context) error { return writeDatabasePKI(w) },
	)
	return w, err
}

func writeDatabasePKI(w layout.World) error {
	folder := pki.Folder{Dir: w.Path("pki")}
	authority, err := folder.Authority("database-ca", "world-database-ca", pki.RSA)
	if err != nil {
		return err
	}
	// Whoever trusts only this one must refuse every server here.
	if _, err := folder.Authority("other-ca", "world-other-ca", pki.RSA); err != nil {
		return err
	}
	// The certificates of an RDS Proxy come from AWS's Certificate Manager, as does that of the trust store.
	proxyAuthority, err := folder.Authority("proxy-ca", "world-proxy-ca", pki.RSA)
	if err != nil {
		return err
	}
	issue := func(name string, by *pki.Authority, hosts []string) error {
		return folder.Issue(name, by, pki.Leaf{CommonName: hosts[0], Usage: x509.ExtKeyUsageServerAuth, DNSNames: hosts, Key: pki.RSA})
	}
	trustStore := pki.Leaf{
		CommonName: layout.TrustStoreHost, Usage: x509.ExtKeyUsageServerAuth,
		DNSNames: []string{layout.TrustStoreHost}, IPs: []string{w.Host()}, Key: pki.EC,
	}
	if err := folder.Issue("truststore", proxyAuthority, trustStore); err != nil {
		return err
	}
	names := map[string][]string{}
	for _, e := range layout.Endpoints() {
		if e.Kind == layout.OfProxy {
			if err := issue(e.Name, proxyAuthority, []string{e.Host}); err != nil {
				return err
			}
			continue
		}
		for _, r := range e.Routes {
			names[r.Instance.Identifier] = append(names[r.Instance.Identifier], e.Host)
		}
	}
	for identifier, hosts := range names {
		if err := issue(identifier, authority, hosts); err != nil {
			return err
		}
	}
	return nil
}

// linkPrograms fills the folder that the environment puts in front of PATH.
func linkPrograms(w layout.World, t tools) error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	links := map[string]string{
		"kubectl": t.programs.Kubectl, "mysql": t.client(layout.Orders), "mariadb": t.client(layout.Billing),
	}
	for name, target := range links {
		path := w.Path("bin", name)
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("link %s: %w", name, err)
		}
		if err := os.Symlink(target, path); err != nil {
			return fmt.Errorf("link %s: %w", name, err)
		}
	}
	scripts := map[string]string{
		"mint":  host.Quote(self) + " mint",
		"iamdb": `"${CARGO_TARGET_DIR:-` + filepath.Join(w.Root, "target") + `}/debug/iamdb"`,
	}
	for name, command := range scripts {
		text := "#!/bin/sh\nexec " + command + " \"$@\"\n"
		if err := os.WriteFile(w.Path("bin", name), []byte(text), 0o755); err != nil {
			return fmt.Errorf("write the wrapper %s: %w", name, err)
		}
	}
	return nil
}
