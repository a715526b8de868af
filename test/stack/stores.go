package stack

import (
	"testing"

	"github.com/claviger-dev/claviger/test/postgresserver"
)

// OnEachStore runs a test on a stack that counts usage in SQLite, which is the one that is handed over, and on one that
// counts it in PostgreSQL.
func OnEachStore(t *testing.T, embedded *Stack, test func(*testing.T, *Stack)) {
	t.Run("SQLite", func(t *testing.T) { test(t, embedded) })
	t.Run("PostgreSQL", func(t *testing.T) {
		server := postgresserver.Start(t)
		s, err := Start(t.TempDir(), "--usage-url="+server.Database())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Stop(); err != nil {
				t.Error(err)
			}
		})
		test(t, s)
	})
}
