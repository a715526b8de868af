package sqlite

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/claviger-dev/claviger/internal/usagestore"
	"github.com/claviger-dev/claviger/internal/usagestore/storetest"
)

func TestItIsAStoreOfUsage(t *testing.T) {
	storetest.Run(t, func(t testing.TB) usagestore.Store {
		store, err := Open(context.Background(), filepath.Join(t.TempDir(), "usage.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() }) //nolint:errcheck // a test
		return store
	})
}
