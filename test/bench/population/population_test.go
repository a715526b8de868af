package population

import (
	"net/netip"
	"testing"

	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/verifier"
)

func TestEveryKeyMayDoWhatIsAsked(t *testing.T) {
	const keys = 2400 // of every kind, and several in each workspace
	p, err := New(keys)
	if err != nil {
		t.Fatal(err)
	}
	x := keyindex.New()
	if err := p.Fill(x); err != nil {
		t.Fatal(err)
	}
	if counts := x.Counts(); counts.ApiKeys != keys || counts.Credentials != keys || counts.Workspaces != Workspaces {
		t.Errorf("the index holds %+v", counts)
	}
	v, err := verifier.New(verifier.Options{Index: x})
	if err != nil {
		t.Fatal(err)
	}
	records := p.Keys.Records()
	for number := range keys {
		record := records.At(number)
		d := v.Verify(t.Context(), verifier.Request{
			Key:       string(record[AtKey:AtWorkspace]),
			Workspace: string(record[AtWorkspace:AtResource]),
			Resource:  string(record[AtResource:AtAddress]),
			Scopes:    verifier.Scopes{AllOf: Scopes()},
			ClientIP:  netip.MustParseAddr(ClientIP),
		})
		if !d.Valid() || d.Limits.Len() != 1 {
			t.Fatalf("key %d: %s, %d limits", number, d.Code, d.Limits.Len())
		}
	}
}

func TestNamesAreUniqueAndOfASensibleLength(t *testing.T) {
	seen := map[string]bool{}
	for number := range 10_000 {
		k := ApiKey(number)
		if seen[k.Name] || seen[string(k.UID)] || len(k.Name) < 16 || len(k.Name) > 20 {
			t.Fatalf("key %d is named %s, with the UID %s", number, k.Name, k.UID)
		}
		seen[k.Name], seen[string(k.UID)] = true, true
	}
}
