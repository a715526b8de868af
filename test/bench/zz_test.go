package main

import (
	"context"
	"fmt"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/test/bench/population"
	"github.com/claviger-dev/claviger/verifier"
	"math/rand/v2"
	"testing"
)

func BenchmarkZZ(b *testing.B) {
	p, _ := population.New(10000)
	for _, grants := range []bool{true, false} {
		x := keyindex.New()
		for i := range p.Tenants() {
			x.SetWorkspace(population.Workspace(i))
			x.SetServiceAccount(population.ServiceAccount(i))
			x.SetKeyLimit(population.KeyLimit(i))
		}
		for i := range 10000 {
			k := population.ApiKey(i)
			if !grants {
				k.Spec.Grants = nil
			}
			x.SetApiKey(k)
			x.SetCredential(p.Credential(i))
		}
		v, _ := verifier.New(verifier.Options{Index: x})
		for _, hot := range []int{1, 10000} {
			a := askerOf(p.Keys, hot)
			rnd := rand.New(rand.NewPCG(1, 2))
			b.Run(fmt.Sprint("grants=", grants, "/hot=", hot), func(b *testing.B) {
				for b.Loop() {
					d := v.Verify(context.Background(), a.request(rnd.IntN(a.hot)))
					if !d.Valid() {
						b.Fatal(d.Code)
					}
				}
			})
		}
	}
}
