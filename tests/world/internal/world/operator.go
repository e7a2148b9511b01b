package world

import (
	"context"
	"fmt"
	"os"
	"time"

	"iamdb.dev/world/internal/console"
	"iamdb.dev/world/internal/controlplane"
	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/process"
	"iamdb.dev/world/internal/slot"
)

const (
	// DefaultLog is the log level that tests want: they read the log.
	DefaultLog = "debug"
	// tokenLife is longer than any world stands.
	tokenLife = 24 * time.Hour
	// resync is short, so that a test need not wait long for what nothing in Kubernetes announces.
	resync = "30s"
)

// OperatorOptions say what is done to the operator.
type OperatorOptions struct {
	// Log is its log level.
	Log string
	// NoBuild starts the binary that is there.
	NoBuild bool
	// Stop ends it and starts nothing.
	Stop bool
}

// Operator builds the operator anew and restarts it alone.
func (p *Project) Operator(ctx context.Context, o OperatorOptions) error {
	unlock, err := p.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	w, exists := slot.Remembered(p.Root)
	if !exists {
		return &console.Failure{What: "there is no world", Remedy: "start one with `make world`"}
	}
	if !o.NoBuild && !o.Stop {
		if err := p.buildOperator(ctx); err != nil {
			return err
		}
		// Its definitions and rights come with its sources.
		if err := p.applyManifests(ctx, w); err != nil {
			return err
		}
	}
	if err := processes(w).Stop(layout.Operator, 10*time.Second); err != nil {
		return err
	}
	if o.Stop {
		p.Report.Say("the operator is stopped")
		return nil
	}
	return p.startOperator(ctx, w, o.Log)
}

// startOperator starts it as its ServiceAccount, through the forwarders, where the endpoint names resolve.
func (p *Project) startOperator(ctx context.Context, w layout.World, log string) error {
	if _, alive := processes(w).Alive(layout.Operator); alive {
		return nil
	}
	if _, err := os.Stat(p.operatorBinary()); err != nil {
		return &console.Failure{What: "the operator is not built", Err: err, Remedy: "run `make world-operator`"}
	}
	s, err := readSecrets(w)
	if err != nil {
		return err
	}
	if err := writeOperatorKubeconfig(ctx, w); err != nil {
		return err
	}
	spec := process.Spec{
		Name: layout.Operator,
		Args: []string{
			w.Exec(), p.operatorBinary(), "run", "--operator-namespace", layout.OperatorNamespace,
			"--listen", w.Operator(), "--trust-store-url", trustStore(w), "--allow-loopback-databases", "--resync", resync, "--log", log,
			// Tests kill it at any point and want it back at once; those of the election start replicas of their own.
			"--leader-election=false",
		},
		// A home of its own: the caller's ~/.aws is not part of the world.
		Env: process.BaseEnv(
			"HOME="+w.Dir(), "KUBECONFIG="+w.OperatorKubeconfig(), "AWS_ENDPOINT_URL=http://"+w.AWSForward(), "AWS_REGION="+layout.Region,
			"AWS_ACCESS_KEY_ID="+s.Operator.AccessKeyID, "AWS_SECRET_ACCESS_KEY="+s.Operator.SecretAccessKey,
			// The trust store is all that it speaks HTTPS with by the system's roots.
			"SSL_CERT_FILE="+w.PKI("proxy-ca.crt"),
		),
		Dir: w.Dir(), Log: w.Log(layout.Operator),
	}
	return processes(w).Ensure(ctx, p.Report, spec, process.HTTPReady("http://"+w.Operator()+"/readyz"))
}

func writeOperatorKubeconfig(ctx context.Context, w layout.World) error {
	client, err := controlplane.NewClient(w)
	if err != nil {
		return err
	}
	token, err := client.Token(ctx, layout.OperatorNamespace, layout.OperatorServiceAccount, tokenLife)
	if err != nil {
		return &console.Failure{What: "cannot get a token for the operator's ServiceAccount", Err: err}
	}
	file := w.PKI("operator.token")
	if err := os.WriteFile(file, []byte(token), 0o600); err != nil {
		return fmt.Errorf("write the operator's token: %w", err)
	}
	return controlplane.WriteKubeconfig(w, w.OperatorKubeconfig(), layout.OperatorServiceAccount, w.APIServerForward(), "tokenFile: "+file)
}
