package main

import (
	"context"
	"errors"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/claviger-dev/claviger/test/bench/fakeapi"
	"github.com/claviger-dev/claviger/test/bench/population"
)

// fedAPI is an API server with all of the keys.
func (b *bench) fedAPI() (*fakeapi.Server, error) {
	if b.api != nil {
		return b.api, nil
	}
	people, err := b.people(b.keys)
	if err != nil {
		return nil, err
	}
	api := fakeapi.Start()
	b.cleanup(func() error { api.Close(); return nil })
	if err := feed(people, api.Load); err != nil {
		return nil, err
	}
	b.api = api
	return api, nil
}

// feed hands over all the objects of a population, as they are in a cluster.
func feed(people *population.Population, to func(client.Object) error) error {
	for number := range people.Tenants() {
		if err := errors.Join(to(population.Workspace(number)), to(population.ServiceAccount(number)), to(population.KeyLimit(number))); err != nil {
			return err
		}
	}
	for number := range people.Keys.Count() {
		secret := people.Credential(number).Secret(fakeapi.Namespace)
		if err := errors.Join(to(population.Deployed(number)), to(population.Kept(secret, number))); err != nil {
			return err
		}
	}
	return nil
}

// fedVerifier is a verifier process with all of the keys, on the servers' processor.
func (b *bench) fedVerifier(ctx context.Context) (*verifierProcess, error) {
	if b.verifier != nil {
		return b.verifier, nil
	}
	api, err := b.fedAPI()
	if err != nil {
		return nil, err
	}
	err = b.onServerCPU(func() (err error) {
		b.verifier, err = b.startVerifier(ctx, api.Config(), b.path("fed"))
		return err
	})
	return b.verifier, err
}
