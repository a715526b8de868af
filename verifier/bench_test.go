package verifier_test

import (
	"testing"
	"time"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/verifier"
)

func BenchmarkVerify(b *testing.B) {
	index := indextest.New()
	indextest.SetLimit(index, "wide", 10_000_000, time.Second, 0)
	key := indextest.Issue(b, index, "k", func(s *spec) {
		s.Scopes = []v1alpha1.Scope{"read", "orders.**"}
		s.LimitRefs = indextest.Refs("wide")
	})
	v, err := verifier.New(verifier.Options{Index: index})
	if err != nil {
		b.Fatal(err)
	}
	request := verifier.Request{Key: key, Scopes: verifier.Scopes{AllOf: []string{"orders.items:read"}}, Workspace: "tenant/shop"}
	b.ReportAllocs()
	for b.Loop() {
		if d := v.Verify(b.Context(), request); !d.Valid() {
			b.Fatal(d.Code)
		}
	}
}

// discard is a Recorder that forgets.
type discard struct{}

func (discard) Record(usage.Event) {}
func (discard) Report(usage.Event) {}

// Making the event of a decision is on the path of each request.
func BenchmarkVerifyAndRecord(b *testing.B) {
	index := indextest.New()
	key := indextest.Issue(b, index, "k")
	v, err := verifier.New(verifier.Options{Index: index, Recorder: discard{}})
	if err != nil {
		b.Fatal(err)
	}
	request := verifier.Request{
		ID: "SNEEYTM7S3FAXEDBGHUNFFRD", Key: key, Resource: "property/4711",
		Labels: verifier.Labels{Tier: "gold", Domain: "shop.example.com"},
	}
	b.ReportAllocs()
	for b.Loop() {
		if d := v.Verify(b.Context(), request); !d.Valid() {
			b.Fatal(d.Code)
		}
	}
}
