package sqlite

import (
	"errors"
	"testing"

	"github.com/claviger-dev/claviger/internal/usagestore"
)

// What the columns refuse is told from what may go better the next time.
func TestWhatIsNoNumberIsTheBatchsFault(t *testing.T) {
	store := newStore(t)
	_, err := store.writer.ExecContext(t.Context(), "INSERT INTO writers (writer, last) VALUES ('w', 'x')")
	if err := store.explain(err); !errors.Is(err, usagestore.ErrUnstorable) {
		t.Errorf("a text in the place of a number: %v", err)
	}
	_, err = store.writer.ExecContext(t.Context(), "INSERT INTO nowhere VALUES (1)")
	if err := store.explain(err); err == nil || errors.Is(err, usagestore.ErrUnstorable) {
		t.Errorf("a table that there is not: %v", err)
	}
}
