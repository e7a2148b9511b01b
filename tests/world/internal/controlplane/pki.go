package controlplane

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"os"

	"iamdb.dev/world/internal/layout"
	"iamdb.dev/world/internal/pki"
)

const (
	controllerKey = "kube-controller-manager"
	schedulerKey  = "kube-scheduler"
	kubeletKey    = "kubelet"
)

// WritePKI makes the cluster's certificates, the key of its ServiceAccount tokens and the kubeconfig files that carry
// client certificates.
func WritePKI(w layout.World) error {
	folder := pki.Folder{Dir: w.Path("pki")}
	authority, err := folder.Authority("cluster-ca", "world-cluster-ca", pki.EC)
	if err != nil {
		return err
	}
	leaves := map[string]pki.Leaf{
		"apiserver": {
			CommonName: "kube-apiserver", Usage: x509.ExtKeyUsageServerAuth,
			DNSNames: []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"},
			IPs:      []string{w.Host(), "127.0.0.1", w.ServiceFirst()},
		},
		"admin":       {CommonName: "admin", Organization: "system:masters", Usage: x509.ExtKeyUsageClientAuth},
		controllerKey: {CommonName: "system:kube-controller-manager", Usage: x509.ExtKeyUsageClientAuth},
		schedulerKey:  {CommonName: "system:kube-scheduler", Usage: x509.ExtKeyUsageClientAuth},
		// The kubelet as the apiserver's client, the apiserver as the kubelet's, and the kubelet as a server.
		kubeletKey:         {CommonName: "system:node:" + layout.NodeName, Organization: "system:nodes", Usage: x509.ExtKeyUsageClientAuth},
		"apiserver-client": {CommonName: "kube-apiserver-kubelet-client", Organization: "system:masters", Usage: x509.ExtKeyUsageClientAuth},
		"kubelet-serving": {
			CommonName: "system:node:" + layout.NodeName, Organization: "system:nodes", Usage: x509.ExtKeyUsageServerAuth,
			DNSNames: []string{layout.NodeName}, IPs: []string{w.NodeHost()},
		},
	}
	for name, leaf := range leaves {
		if err := folder.Issue(name, authority, leaf); err != nil {
			return err
		}
	}
	if err := folder.KeyPair("sa"); err != nil {
		return err
	}
	for user, path := range map[string]string{
		"admin": w.AdminKubeconfig(), controllerKey: w.PKI(controllerKey + ".kubeconfig"),
		schedulerKey: w.PKI(schedulerKey + ".kubeconfig"), kubeletKey: w.PKI(kubeletKey + ".kubeconfig"),
	} {
		if err := writeCertificateKubeconfig(w, user, path); err != nil {
			return err
		}
	}
	return nil
}

func writeCertificateKubeconfig(w layout.World, user, path string) error {
	cert, err := os.ReadFile(w.PKI(user + ".crt"))
	if err != nil {
		return fmt.Errorf("make the kubeconfig of %s: %w", user, err)
	}
	key, err := os.ReadFile(w.PKI(user + ".key"))
	if err != nil {
		return fmt.Errorf("make the kubeconfig of %s: %w", user, err)
	}
	encode := base64.StdEncoding.EncodeToString
	return WriteKubeconfig(w, path, user, w.APIServer(),
		fmt.Sprintf("client-certificate-data: %s\n    client-key-data: %s", encode(cert), encode(key)))
}

// WriteKubeconfig writes a kubeconfig with one user; credentials are the lines below `user:`.
func WriteKubeconfig(w layout.World, path, user, server, credentials string) error {
	ca, err := os.ReadFile(w.PKI("cluster-ca.crt"))
	if err != nil {
		return fmt.Errorf("make the kubeconfig of %s: %w", user, err)
	}
	text := fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: world
  cluster:
    server: https://%s
    certificate-authority-data: %s
users:
- name: %s
  user:
    %s
contexts:
- name: world
  context: {cluster: world, user: %[3]s}
current-context: world
`, server, base64.StdEncoding.EncodeToString(ca), user, credentials)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return fmt.Errorf("make the kubeconfig of %s: %w", user, err)
	}
	return nil
}
