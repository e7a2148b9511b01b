package controlplane

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"iamdb.dev/world/internal/layout"
)

// Client speaks to the apiserver as admin: enough for probes and a TokenRequest. Manifests go through kubectl.
type Client struct {
	base string
	http *http.Client
}

// NewClient reads the admin's certificate.
func NewClient(w layout.World) (*Client, error) {
	pair, err := tls.LoadX509KeyPair(w.PKI("admin.crt"), w.PKI("admin.key"))
	if err != nil {
		return nil, fmt.Errorf("read the admin's certificate: %w", err)
	}
	ca, err := os.ReadFile(w.PKI("cluster-ca.crt"))
	if err != nil {
		return nil, fmt.Errorf("read the cluster's CA: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, errors.New("read the cluster's CA: no certificate in it")
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, Certificates: []tls.Certificate{pair}}}
	return &Client{
		base: "https://" + w.APIServer(),
		http: &http.Client{Transport: transport, Timeout: 10 * time.Second},
	}, nil
}

func (c *Client) do(ctx context.Context, method, path string, body, answer any) error {
	var payload io.Reader
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		payload = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, payload)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if response.StatusCode >= 300 {
		return fmt.Errorf("%s %s: %s", method, path, response.Status)
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(text, answer); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

// Ready holds when the apiserver says so.
func (c *Client) Ready(ctx context.Context) error {
	return c.do(ctx, http.MethodGet, "/readyz", nil, nil)
}

// Controlled holds when the controllers have given the default namespace what every namespace gets.
func (c *Client) Controlled(ctx context.Context) error {
	return errors.Join(
		c.do(ctx, http.MethodGet, "/api/v1/namespaces/default/serviceaccounts/default", nil, nil),
		c.do(ctx, http.MethodGet, "/api/v1/namespaces/default/configmaps/kube-root-ca.crt", nil, nil),
	)
}

// Token asks for a ServiceAccount token for the apiserver itself.
func (c *Client) Token(ctx context.Context, namespace, account string, life time.Duration) (string, error) {
	type spec struct {
		ExpirationSeconds int64 `json:"expirationSeconds"`
	}
	request := struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Spec       spec   `json:"spec"`
	}{"authentication.k8s.io/v1", "TokenRequest", spec{int64(life.Seconds())}}
	var answer struct {
		Status struct {
			Token string `json:"token"`
		} `json:"status"`
	}
	path := fmt.Sprintf("/api/v1/namespaces/%s/serviceaccounts/%s/token", namespace, account)
	if err := c.do(ctx, http.MethodPost, path, request, &answer); err != nil {
		return "", err
	}
	return answer.Status.Token, nil
}

// NodeReady holds when the node says that pods may run on it, and nothing keeps them away.
func (c *Client) NodeReady(ctx context.Context) error {
	var node struct {
		Spec struct {
			Taints []struct {
				Key string `json:"key"`
			} `json:"taints"`
		} `json:"spec"`
		Status struct {
			Conditions []struct {
				Type    string `json:"type"`
				Status  string `json:"status"`
				Message string `json:"message"`
			} `json:"conditions"`
		} `json:"status"`
	}
	if err := c.do(ctx, http.MethodGet, "/api/v1/nodes/"+layout.NodeName, nil, &node); err != nil {
		return err
	}
	if len(node.Spec.Taints) > 0 {
		return fmt.Errorf("the node is tainted: %s", node.Spec.Taints[0].Key)
	}
	for _, condition := range node.Status.Conditions {
		if condition.Type == "Ready" && condition.Status == "True" {
			return nil
		}
		if condition.Type == "Ready" {
			return fmt.Errorf("the node is not ready: %s", condition.Message)
		}
	}
	return errors.New("the node says nothing yet")
}
