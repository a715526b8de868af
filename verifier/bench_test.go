package verifier_test

import (
	"testing"
	"time"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
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
