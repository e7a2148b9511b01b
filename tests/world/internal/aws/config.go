package aws

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"

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
	// Promote and Follow are the SQL that makes a member of a cluster its writer, or the other member's replica.
	Promote, Follow string
}

// What RDS calls the versions of what stands there: MySQL 8.0.32's is the Aurora that comes closest.
const auroraVersion = "8.0.mysql_aurora.3.05.2"

type config struct {
	Listen     string     `json:"listen"`
	Region     string     `json:"region"`
	Account    string     `json:"account"`
	Partition  string     `json:"partition"`
	AuthConfig string     `json:"authConfig"`
	RequestLog string     `json:"requestLog"`
	OIDC       oidc       `json:"oidc"`
	TrustStore trustStore `json:"trustStore"`
	Instances  []instance `json:"instances"`
	Clusters   []cluster  `json:"clusters"`
	Proxies    []proxy    `json:"proxies"`
	Replicas   []endpoint `json:"replicas"`
	Users      []User     `json:"users"`
	Roles      []role     `json:"roles"`
}

type oidc struct {
	Issuer    string `json:"issuer"`
	PublicKey string `json:"publicKey"`
	Audience  string `json:"audience"`
}

type trustStore struct {
	CA          string `json:"ca"`
	Listen      string `json:"listen"`
	Certificate string `json:"certificate"`
	Key         string `json:"key"`
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
	Cluster        string   `json:"cluster,omitempty"`
}

type cluster struct {
	Identifier     string `json:"identifier"`
	Engine         string `json:"engine"`
	EngineVersion  string `json:"engineVersion"`
	ResourceID     string `json:"resourceId"`
	Port           int    `json:"port"`
	IAM            bool   `json:"iam"`
	MasterUsername string `json:"masterUsername"`
	// Writer is the file that says who writes; Hosts is the hosts file in which a fail-over moves the names.
	Writer    string     `json:"writer"`
	Hosts     string     `json:"hosts"`
	Members   []member   `json:"members"`
	Endpoints []endpoint `json:"endpoints"`
}

type member struct {
	Instance string `json:"instance"`
	Promote  string `json:"promote"`
	Follow   string `json:"follow"`
}

type proxy struct {
	Name      string     `json:"name"`
	ID        string     `json:"id"`
	Role      string     `json:"role"`
	Target    string     `json:"target"`
	Endpoints []endpoint `json:"endpoints"`
}

type endpoint struct {
	Name   string  `json:"name"`
	Kind   string  `json:"kind"`
	Host   string  `json:"host"`
	Routes []route `json:"routes"`
}

type route struct {
	Instance string `json:"instance"`
	// Address is what the name resolves to, Local the server's address at which logins then arrive.
	Address string `json:"address"`
	Local   string `json:"local"`
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
		OIDC: oidc{Issuer: layout.Issuer, PublicKey: w.PKI("sa.pub"), Audience: layout.STSAudience},
		TrustStore: trustStore{
			CA: w.PKI("database-ca.crt"), Listen: w.TrustStore(), Certificate: w.PKI("truststore.crt"), Key: w.PKI("truststore.key"),
		},
		Users: users,
		Roles: []role{
			{Name: "shop-app", Path: "/", Trust: webIdentityTrust("shop", "app")},
			{Name: layout.OrdersProxy.Role, Path: "/", Trust: serviceTrust("rds.amazonaws.com")},
		},
		Proxies: []proxy{proxyOf(w, layout.OrdersProxy)}, Replicas: endpoints(w, layout.OfReplica),
	}
	ledger := clusterOf(w, layout.Ledger)
	for _, d := range databases {
		i := instance{
			Identifier: d.Instance.Identifier, Engine: d.Instance.Engine, EngineVersion: d.Version, ResourceID: d.Instance.ResourceID,
			Host: d.Instance.Endpoint(), Port: layout.DatabasePort, IAM: true,
			Local:          w.ServerAddress(layout.EndpointNamed(d.Instance.Identifier).Routes[0]),
			MasterUsername: layout.MasterUser, MasterPassword: d.MasterPassword, SQL: d.RootCommand,
		}
		if slices.Contains(layout.Ledger.Members, d.Instance) {
			i.Cluster, i.EngineVersion = ledger.Identifier, ledger.EngineVersion
			ledger.Members = append(ledger.Members, member{Instance: d.Instance.Identifier, Promote: d.Promote, Follow: d.Follow})
		}
		c.Instances = append(c.Instances, i)
	}
	if len(ledger.Members) > 0 {
		c.Clusters = []cluster{ledger}
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

func clusterOf(w layout.World, c layout.Cluster) cluster {
	return cluster{
		Identifier: c.Identifier, Engine: c.Engine, EngineVersion: auroraVersion, ResourceID: c.ResourceID,
		Port: layout.DatabasePort, IAM: true, MasterUsername: layout.MasterUser, Writer: w.Writer(c), Hosts: w.Hosts(),
		Endpoints: endpoints(w, layout.OfWriter, layout.OfReader, layout.Custom),
	}
}

func proxyOf(w layout.World, p layout.Proxy) proxy {
	return proxy{Name: p.Name, ID: p.ID, Role: p.Role, Target: p.Target.Identifier, Endpoints: endpoints(w, layout.OfProxy)}
}

func endpoints(w layout.World, kinds ...layout.Kind) []endpoint {
	var all []endpoint
	for _, e := range layout.Endpoints() {
		if !slices.Contains(kinds, e.Kind) {
			continue
		}
		told := endpoint{Name: e.Name, Kind: string(e.Kind), Host: e.Host}
		for _, r := range e.Routes {
			told.Routes = append(told.Routes, route{
				Instance: r.Instance.Identifier, Address: w.ForwarderHost(r), Local: w.ServerAddress(r),
			})
		}
		all = append(all, told)
	}
	return all
}

// serviceTrust lets a service of AWS assume a role.
func serviceTrust(service string) any {
	type object = map[string]any
	return object{
		"Version": "2012-10-17",
		"Statement": []object{{
			"Effect": "Allow", "Principal": object{"Service": service}, "Action": "sts:AssumeRole",
		}},
	}
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
