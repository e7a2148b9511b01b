package aws

import (
	"encoding/json"
	"fmt"
	"os"

	"iamdb.dev/world/internal/layout"
)

// User is an IAM user with an access key.
type User struct {
	Name            string `json:"name"`
	AccessKeyID     string `json:"accessKeyId"`
	SecretAccessKey string `json:"secretAccessKey"`
}

// Database is what AWS has to know of a DB instance beyond its fixed names.
type Database struct {
	Instance       layout.Instance
	Version        string
	MasterPassword string
	// RootCommand opens a root session: switching IAM authentication takes the plugin out of the server and back in.
	RootCommand []string
}

type config struct {
	Listen     string     `json:"listen"`
	Region     string     `json:"region"`
	Account    string     `json:"account"`
	Partition  string     `json:"partition"`
	AuthConfig string     `json:"authConfig"`
	RequestLog string     `json:"requestLog"`
	OIDC       oidc       `json:"oidc"`
	Instances  []instance `json:"instances"`
	Users      []User     `json:"users"`
	Roles      []role     `json:"roles"`
}

type oidc struct {
	Issuer    string `json:"issuer"`
	PublicKey string `json:"publicKey"`
	Audience  string `json:"audience"`
}

type instance struct {
	Identifier     string   `json:"identifier"`
	Engine         string   `json:"engine"`
	EngineVersion  string   `json:"engineVersion"`
	ResourceID     string   `json:"resourceId"`
	Host           string   `json:"host"`
	Port           int      `json:"port"`
	Local          string   `json:"local"`
	IAM            bool     `json:"iam"`
	MasterUsername string   `json:"masterUsername"`
	MasterPassword string   `json:"masterPassword"`
	SQL            []string `json:"sql"`
}

type role struct {
	Name  string `json:"name"`
	Path  string `json:"path"`
	Trust any    `json:"trust"`
}

// WriteConfig writes the launcher's configuration. It holds passwords and keys, so it is for this user alone.
func WriteConfig(w layout.World, path string, databases []Database, users []User) error {
	c := config{
		Listen: w.AWS(), Region: layout.Region, Account: layout.Account, Partition: layout.Partition,
		AuthConfig: w.AuthConfig(), RequestLog: w.AWSRequestLog(),
		OIDC:  oidc{Issuer: layout.Issuer, PublicKey: w.PKI("sa.pub"), Audience: layout.STSAudience},
		Users: users,
		Roles: []role{{Name: "shop-app", Path: "/", Trust: webIdentityTrust("shop", "app")}},
	}
	for _, d := range databases {
		c.Instances = append(c.Instances, instance{
			Identifier: d.Instance.Identifier, Engine: d.Instance.Engine, EngineVersion: d.Version, ResourceID: d.Instance.ResourceID,
			Host: d.Instance.Endpoint(), Port: layout.DatabasePort, Local: w.ServerAddress(d.Instance), IAM: true,
			MasterUsername: layout.MasterUser, MasterPassword: d.MasterPassword, SQL: d.RootCommand,
		})
	}
	text, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return fmt.Errorf("encode the AWS launcher's configuration: %w", err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("write the AWS launcher's configuration: %w", err)
	}
	return nil
}

// webIdentityTrust lets one ServiceAccount of the cluster assume a role.
func webIdentityTrust(namespace, account string) any {
	// The provider is the issuer without its scheme, in its ARN as in the condition keys.
	const provider = "kubernetes.default.svc"
	type object = map[string]any
	return object{
		"Version": "2012-10-17",
		"Statement": []object{{
			"Effect":    "Allow",
			"Principal": object{"Federated": fmt.Sprintf("arn:%s:iam::%s:oidc-provider/%s", layout.Partition, layout.Account, provider)},
			"Action":    "sts:AssumeRoleWithWebIdentity",
			"Condition": object{"StringEquals": object{
				provider + ":sub": fmt.Sprintf("system:serviceaccount:%s:%s", namespace, account),
				provider + ":aud": layout.STSAudience,
			}},
		}},
	}
}
