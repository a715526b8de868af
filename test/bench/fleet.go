package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex"
	"github.com/claviger-dev/claviger/test/bench/population"
	"github.com/claviger-dev/claviger/verifier"
)

// fleet is some verifiers in this process, each with an index, leases and a connection of its own.
type fleet struct {
	verifiers  []*verifier.Verifier
	registries []*prometheus.Registry
	asker      *asker
	end        func()
}

// fleetOptions say what a fleet is of.
type fleetOptions struct {
	verifiers int
	people    *population.Population
	recorder  verifier.Recorder
	// url is of the server that they share limits in; empty: each counts for itself.
	url string
	// limit is what each key is held to.
	limit v1alpha1.KeyLimitSpec
}

// startFleet starts one, and waits until its verifiers count together. It is to be ended while the server is there.
func startFleet(ctx context.Context, o fleetOptions) (*fleet, error) {
	running, cancel := context.WithCancel(ctx)
	var ending sync.WaitGroup
	f := &fleet{asker: askerOf(o.people.Keys, o.people.Keys.Count()), end: func() { cancel(); ending.Wait() }}
	for range o.verifiers {
		v, registry, err := newMember(o)
		if err != nil {
			f.end()
			return nil, err
		}
		ending.Go(func() { v.Run(running) }) //nolint:errcheck // it ends when it is told to
		f.verifiers, f.registries = append(f.verifiers, v), append(f.registries, registry)
	}
	if o.url == "" {
		return f, nil
	}
	err := awaitTogether(ctx, o.verifiers, func(i int) (metrics, error) { return metricsOf(f.registries[i]), nil })
	if err != nil {
		f.end()
		return nil, err
	}
	return f, nil
}

func newMember(o fleetOptions) (*verifier.Verifier, *prometheus.Registry, error) {
	x := keyindex.New()
	if err := o.people.Fill(x); err != nil {
		return nil, nil, err
	}
	for number := range o.people.Tenants() {
		l := population.KeyLimit(number)
		l.Spec = o.limit
		x.SetKeyLimit(l)
	}
	registry := prometheus.NewRegistry()
	options := verifier.Options{Index: x, Recorder: o.recorder, Registerer: registry}
	if o.url != "" {
		options.SharedLimits = &verifier.SharedLimits{URL: o.url}
	}
	v, err := verifier.New(options)
	return v, registry, err
}

// call asks one of the verifiers about any of the keys.
func (f *fleet) call(caller int, random *rand.Rand) error {
	d := f.verifiers[caller%len(f.verifiers)].Verify(context.Background(), f.asker.request(random.IntN(f.asker.hot)))
	if !d.Valid() {
		return fmt.Errorf("the answer is %s", d.Code)
	}
	return nil
}

// questions are those that the fleet had for the server, and how many of them were not answered.
func (f *fleet) questions() (all, unanswered float64) {
	for _, registry := range f.registries {
		m := metricsOf(registry)
		all += m.answered() + m.unanswered()
		unanswered += m.unanswered()
	}
	return all, unanswered
}
