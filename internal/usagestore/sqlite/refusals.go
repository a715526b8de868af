package sqlite

import (
	"context"
	"database/sql"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/usagestore/grouping"
)

const upsertLimit = `
INSERT INTO key_limits (uid, seq, denied, shadow_denied)
VALUES (?, (SELECT coalesce(max(seq), 0) + 1 FROM key_limits), ?, ?)
ON CONFLICT (uid) DO UPDATE SET
    seq           = excluded.seq,
    denied        = denied + excluded.denied,
    shadow_denied = shadow_denied + excluded.shadow_denied
RETURNING id`

// As with the last use of a key the newer refusal is kept, unless it was stamped by a clock that was ahead.
const upsertRefusal = `
INSERT INTO refusals (key_id, limit_id, refused_ms, until_ms, code, exhausted) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (key_id, limit_id) DO UPDATE SET
    refused_ms = excluded.refused_ms, until_ms = excluded.until_ms, code = excluded.code, exhausted = excluded.exhausted
WHERE (excluded.refused_ms, excluded.until_ms, excluded.code) > (refused_ms, until_ms, code)
    OR refused_ms - excluded.refused_ms > ?`

// addLimits counts what each limit refused, and returns the rows of these limits by their UIDs.
func addLimits(ctx context.Context, tx *sql.Tx, limits []grouping.Limit) (rows map[string]int64, err error) {
	rows = make(map[string]int64, len(limits))
	for i := range limits {
		l := &limits[i]
		var id int64
		if err := tx.QueryRowContext(ctx, upsertLimit, l.UID, l.Denied, l.ShadowDenied).Scan(&id); err != nil {
			return nil, err
		}
		rows[l.UID] = id
	}
	return rows, nil
}

// refuse writes that a limit refused a key.
func (a *addition) refuse(ctx context.Context, key int64, r *grouping.Refusal) error {
	_, err := a.refusal.ExecContext(ctx, key, a.limits[r.Limit], r.At.UnixMilli(), r.Until.UnixMilli(), r.Code, exhausts(r.Code), leapAfter.Milliseconds())
	return err
}

// exhausts says whether a code means that a quota or a budget is used up until its period ends.
func exhausts(code string) bool {
	return code == policy.CodeQuotaExhausted.String() || code == policy.CodeBudgetExhausted.String()
}
