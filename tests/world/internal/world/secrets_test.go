package world

import (
	"os"
	"regexp"
	"testing"

	"iamdb.dev/world/internal/layout"
)

func TestKeysHaveTheFormOfAWSAndNoTwoAreAlike(t *testing.T) {
	one, two := newUser("a"), newUser("b")
	for _, u := range []string{one.AccessKeyID, two.AccessKeyID} {
		if !regexp.MustCompile(`^AKIA[A-Z2-7]{16}$`).MatchString(u) {
			t.Errorf("%s does not look like an access key", u)
		}
	}
	if len(one.SecretAccessKey) != 40 || one.SecretAccessKey == two.SecretAccessKey || one.AccessKeyID == two.AccessKeyID {
		t.Errorf("got %+v and %+v", one, two)
	}
}

func TestSecretsAreRememberedForThisUserAlone(t *testing.T) {
	w := layout.World{Root: t.TempDir(), Slot: 10}
	if err := os.MkdirAll(w.Dir(), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := readSecrets(w); err == nil {
		t.Error("secrets were read that nobody made")
	}
	made := newSecrets()
	if err := made.save(w); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(secretsFile(w)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	read, err := readSecrets(w)
	if err != nil || read.Operator != made.Operator || read.Databases["orders"] != made.Databases["orders"] {
		t.Errorf("got %+v, %v", read, err)
	}
}
