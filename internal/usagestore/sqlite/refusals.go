package sqlite

import (
	"context"
	"database/sql"
	"maps"
	"slices"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/usage"
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
func addLimits(ctx context.Context, tx *sql.Tx, rollup *usage.Rollup) (rows map[string]int64, err error) {
	sums := map[string]usage.Refused{}
	for pair, refused := range rollup.Refused {
		sum := sums[pair.Limit]
		sum.Denied += refused.Denied
		sum.ShadowDenied += refused.ShadowDenied
		sums[pair.Limit] = sum
	}
	rows = make(map[string]int64, len(sums))
	for _, uid := range slices.Sorted(maps.Keys(sums)) {
		var id int64
		if err := tx.QueryRowContext(ctx, upsertLimit, uid, sums[uid].Denied, sums[uid].ShadowDenied).Scan(&id); err != nil {
			return nil, err
		}
		rows[uid] = id
	}
	return rows, nil
}

// refuse writes that a limit refused a key.
func (a *addition) refuse(ctx context.Context, key, limit int64, r *usage.Refused) error {
	_, err := a.refusalOf.ExecContext(ctx, key, limit, r.At.UnixMilli(), r.Until.UnixMilli(), r.Code, exhausts(r.Code), leapAfter.Milliseconds())
	return err
}

// exhausts says whether a code means that a quota or a budget is used up until its period ends.
func exhausts(code string) bool {
	return code == policy.CodeQuotaExhausted.String() || code == policy.CodeBudgetExhausted.String()
}
