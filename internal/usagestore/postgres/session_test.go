package postgres

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claviger-dev/claviger/test/postgresserver"
)

// A verifier that is gone in the middle of a transaction, without a word, as with its node's power, holds nobody up for long.
func TestWhoeverIsGoneWithALockLosesIt(t *testing.T) {
	url := postgresserver.Start(t).Database()
	gone, other := open(t, url), open(t, url)
	gone.idle = 300 * time.Millisecond
	locked, stored := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		ended <- gone.transaction(t.Context(), addTimeout, func(ctx context.Context, tx pgx.Tx) error {
			err := lock(ctx, tx, lockSeq)
			close(locked)
			<-stored
			return err
		})
	}()
	<-locked
	if err := other.Add(t.Context(), batchAt("w", 1, november)); err != nil {
		t.Errorf("while another verifier is gone: %v", err)
	}
	close(stored)
	if err := <-ended; err == nil {
		t.Error("whoever was gone has committed")
	}
}

// Expiry holds a lock for as long as it takes, and says nothing in that transaction meanwhile.
func TestExpiryMayTakeItsTime(t *testing.T) {
	store := open(t, postgresserver.Start(t).Database())
	if err := store.Add(t.Context(), batchAt("w", 1, november)); err != nil {
		t.Fatal(err)
	}
	store.idle = time.Second
	asked := false
	err := store.Expire(t.Context(), november, func(string) (time.Duration, bool) {
		asked = true
		time.Sleep(2 * store.idle)
		return 0, false
	})
	if err != nil || !asked {
		t.Errorf("expiry that took its time: %v, and was asked: %v", err, asked)
	}
}

// Each connection asks its server to look after it, unless the URL says something else.
func TestConnectionsOfWhoeverIsGoneAreGivenUp(t *testing.T) {
	url := postgresserver.Start(t).Database()
	for url, want := range map[string]map[string]string{
		url:                             {"tcp_keepalives_idle": "30", "tcp_keepalives_interval": "10", "tcp_keepalives_count": "3", "tcp_user_timeout": "60000", "idle_in_transaction_session_timeout": "1min"},
		url + "&tcp_keepalives_idle=77": {"tcp_keepalives_idle": "77", "tcp_keepalives_count": "3"},
	} {
		store := open(t, url)
		for name, want := range want {
			var got string
			err := store.transaction(t.Context(), readTimeout, func(ctx context.Context, tx pgx.Tx) error {
				return tx.QueryRow(ctx, "SELECT current_setting($1)", name).Scan(&got)
			})
			if err != nil || got != want {
				t.Errorf("%s is %s, %v; want %s", name, got, err, want)
			}
		}
	}
}
