package world

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"

	"iamdb.dev/world/internal/aws"
	"iamdb.dev/world/internal/database"
	"iamdb.dev/world/internal/layout"
)

// secrets are made once for a world. Parts that are started again later need the same ones.
type secrets struct {
	// Databases is by instance, or by cluster for its members.
	Databases map[string]database.Passwords `json:"databases"`
	Operator  aws.User                      `json:"operator"`
	Admin     aws.User                      `json:"admin"`
}

func secretsFile(w layout.World) string { return w.Path("secrets.json") }

func newSecrets() secrets {
	s := secrets{
		Databases: map[string]database.Passwords{},
		Operator:  newUser(layout.OperatorUser), Admin: newUser(layout.AdminUser),
	}
	for _, name := range databases() {
		s.Databases[name] = database.Passwords{Master: random(16), Legacy: random(16), RDSAdmin: random(16), Replication: random(16)}
	}
	return s
}

// databases lists what has passwords of its own.
func databases() []string {
	return []string{layout.Orders.Identifier, layout.Billing.Identifier, layout.Catalog.Identifier, layout.Ledger.Identifier}
}

// passwords are an instance's, or those of the cluster that it is a member of.
func (s secrets) passwords(i layout.Instance) database.Passwords {
	if slices.Contains(layout.Ledger.Members, i) {
		return s.Databases[layout.Ledger.Identifier]
	}
	return s.Databases[i.Identifier]
}

// newUser has keys of the form that AWS gives out: AKIA and 16 letters and digits, and 40 characters.
func newUser(name string) aws.User {
	id := make([]byte, 10)
	rand.Read(id)
	return aws.User{Name: name, AccessKeyID: "AKIA" + base32.StdEncoding.EncodeToString(id), SecretAccessKey: random(20)}
}

func random(bytes int) string {
	b := make([]byte, bytes)
	rand.Read(b)
	return hex.EncodeToString(b)
}

func (s secrets) save(w layout.World) error {
	text, err := json.Marshal(s)
	if err == nil {
		err = os.WriteFile(secretsFile(w), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("remember the world's passwords and keys: %w", err)
	}
	return nil
}

func readSecrets(w layout.World) (secrets, error) {
	var s secrets
	text, err := os.ReadFile(secretsFile(w))
	if err == nil {
		err = json.Unmarshal(text, &s)
	}
	if err == nil && len(s.Databases) != len(databases()) {
		err = errors.New("incomplete")
	}
	if err != nil {
		return s, fmt.Errorf("read the world's passwords and keys: %w", err)
	}
	return s, nil
}
