package sqlite

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

const selectRefusals = `
SELECT key_id, limit_id, refused_ms, exhausted, key, uid, ` + exhaustedNow + ` OR ` + throttledNow + `
FROM refusals JOIN keys ON keys.id = key_id JOIN key_limits ON key_limits.id = limit_id`

// A refusal that was made anew since it was looked at is not over.
const deleteRefusal = `DELETE FROM refusals WHERE key_id = ? AND limit_id = ? AND refused_ms = ?`

const (
	touchKey   = `UPDATE keys SET seq = (SELECT max(seq) + 1 FROM keys) WHERE id = ?`
	touchLimit = `UPDATE key_limits SET seq = (SELECT max(seq) + 1 FROM key_limits) WHERE id = ?`
)

// A chunk of refusals is deleted in some ten milliseconds.
const lapseChunk = 500

// over is a refusal that is over.
type over struct {
	key, limit, refusedMillis int64
	exhausted                 bool
}

// Lapse deletes the refusals that are over, and has the feed tell so of their keys and limits. It returns how
// many there were.
func (s *Store) Lapse(ctx context.Context, now time.Time, holds usagestore.Holds) (int, error) {
	list, err := s.refusalsOver(ctx, now, holds)
	if err != nil {
		return 0, s.explain(err)
	}
	for chunk := range slices.Chunk(list, lapseChunk) {
		if err := s.transaction(ctx, func(tx *sql.Tx) error { return lapse(ctx, tx, chunk) }); err != nil {
			return 0, s.explain(err)
		}
	}
	return len(list), nil
}

func (s *Store) refusalsOver(ctx context.Context, now time.Time, holds usagestore.Holds) (list []over, err error) {
	rows, err := s.reader.QueryContext(ctx, selectRefusals, moments(now)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	for rows.Next() {
		var o over
		var key, limit string
		var lasts bool
		if err := rows.Scan(&o.key, &o.limit, &o.refusedMillis, &o.exhausted, &key, &limit, &lasts); err != nil {
			return nil, err
		}
		if id, err := keyid.Parse(key); !lasts || err == nil && !holds(id, limit) {
			list = append(list, o)
		}
	}
	return list, rows.Err()
}

func lapse(ctx context.Context, tx *sql.Tx, chunk []over) error {
	touched := map[int64]bool{}
	for _, o := range chunk {
		if _, err := tx.ExecContext(ctx, deleteRefusal, o.key, o.limit, o.refusedMillis); err != nil {
			return err
		}
		if o.exhausted {
			if _, err := tx.ExecContext(ctx, touchKey, o.key); err != nil {
				return err
			}
		}
		if touched[o.limit] {
			continue
		}
		touched[o.limit] = true
		if _, err := tx.ExecContext(ctx, touchLimit, o.limit); err != nil {
			return err
		}
	}
	return nil
}
