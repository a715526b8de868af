package postgres

import (
	"testing"
	"time"

	"github.com/go-logr/logr"

	"github.com/claviger-dev/claviger/internal/usagestore"
	"github.com/claviger-dev/claviger/internal/usagestore/storetest"
	"github.com/claviger-dev/claviger/test/postgresserver"
)

func open(t testing.TB, url string) *Store {
	t.Helper()
	store, err := Open(t.Context(), Options{URL: url, Log: logr.Discard()})
	if err != nil {
		t.Fatal(err)
	}
	store.now = func() time.Time { return november }
	t.Cleanup(func() { store.Close() }) //nolint:errcheck // a test
	return store
}

func TestItIsAStoreOfUsage(t *testing.T) {
	server := postgresserver.Start(t)
	storetest.Run(t, func(t testing.TB) usagestore.Store { return open(t, server.Database()) })
}
