package postgres

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

const selectRefusals = `
SELECT r.key_id, r.limit_id, r.refused_ms, k.key, l.uid, ` + exhaustedNow + ` OR ` + throttledNow + `
FROM refusals r JOIN keys k ON k.id = r.key_id JOIN key_limits l ON l.id = r.limit_id`

// A refusal that was made anew since it was looked at is not over.
const (
	deleteRefusals = `
DELETE FROM refusals r USING unnest($1::bigint[], $2::bigint[], $3::bigint[]) AS n (key_id, limit_id, refused_ms)
WHERE r.key_id = n.key_id AND r.limit_id = n.limit_id AND r.refused_ms = n.refused_ms`

	touchKeys = `
UPDATE keys r SET seq = (SELECT coalesce(max(seq), 0) FROM keys) + n.place
FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM (SELECT DISTINCT unnest($1::bigint[]) AS id) d) n WHERE r.id = n.id`
	touchLimits = `
UPDATE key_limits r SET seq = (SELECT coalesce(max(seq), 0) FROM key_limits) + n.place
FROM (SELECT id, row_number() OVER (ORDER BY id) AS place FROM (SELECT DISTINCT unnest($1::bigint[]) AS id) d) n WHERE r.id = n.id`
)

// Lapse implements usagestore.Store. Of several verifiers one does it at a time.
func (s *Store) Lapse(ctx context.Context, now time.Time, holds usagestore.Holds) (count int, err error) {
	err = s.transaction(ctx, addTimeout, func(ctx context.Context, tx pgx.Tx) error {
		if mine, err := tryLock(ctx, tx, lockLapse); err != nil || !mine {
			return err
		}
		over, err := refusalsOver(ctx, tx, now, holds)
		if err != nil || len(over[0]) == 0 {
			return err
		}
		if err := lock(ctx, tx, lockSeq); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, deleteRefusals, over.values()...); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, touchKeys, over[0]); err != nil {
			return err
		}
		count = len(over[0])
		_, err = tx.Exec(ctx, touchLimits, over[1])
		return err
	})
	return count, err
}

func refusalsOver(ctx context.Context, tx pgx.Tx, now time.Time, holds usagestore.Holds) (over columns, err error) {
	over = newColumns(3, 0)
	rows, err := tx.Query(ctx, selectRefusals, moments(now)...)
	if err != nil {
		return over, err
	}
	defer rows.Close()
	for rows.Next() {
		var key, limit, refused int64
		var keyID, uid string
		var lasts bool
		if err := rows.Scan(&key, &limit, &refused, &keyID, &uid, &lasts); err != nil {
			return over, err
		}
		if id, err := keyid.Parse(keyID); !lasts || err == nil && !holds(id, uid) {
			over.add(key, limit, refused)
		}
	}
	return over, rows.Err()
}
