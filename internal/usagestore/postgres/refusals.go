package postgres

import (
	"context"

	"github.com/claviger-dev/claviger/internal/policy"
	"github.com/claviger-dev/claviger/internal/usagestore/grouping"
)

const upsertLimits = `
INSERT INTO key_limits AS r (uid, seq, denied, shadow_denied)
SELECT n.uid, (SELECT coalesce(max(seq), 0) FROM key_limits) + n.place, n.denied, n.shadow_denied
FROM unnest($1::text[], $2::bigint[], $3::bigint[]) WITH ORDINALITY AS n (uid, denied, shadow_denied, place)
ON CONFLICT (uid) DO UPDATE SET seq = excluded.seq, denied = r.denied + excluded.denied, shadow_denied = r.shadow_denied + excluded.shadow_denied
RETURNING uid, id`

// As with the last use of a key the newer refusal is kept, unless it was stamped by a clock that was ahead.
const upsertRefusals = `
INSERT INTO refusals AS r (key_id, limit_id, refused_ms, until_ms, code, exhausted)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::text[], $6::boolean[])
ON CONFLICT (key_id, limit_id) DO UPDATE SET
    refused_ms = excluded.refused_ms, until_ms = excluded.until_ms, code = excluded.code, exhausted = excluded.exhausted
WHERE (excluded.refused_ms, excluded.until_ms, excluded.code) > (r.refused_ms, r.until_ms, r.code) OR r.refused_ms - excluded.refused_ms > $7::bigint`

// addRefusals counts what each limit refused, and notes whom.
func (a *addition) addRefusals(ctx context.Context, changes *grouping.Changes) error {
	if len(changes.Limits) == 0 {
		return nil
	}
	uids, counts := make([]string, len(changes.Limits)), newColumns(2, len(changes.Limits))
	for i, l := range changes.Limits {
		uids[i] = l.UID
		counts.add(l.Denied, l.ShadowDenied)
	}
	limits := map[string]int64{}
	rows, err := a.Query(ctx, upsertLimits, append([]any{uids}, counts.values()...)...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var uid string
		var id int64
		if err := rows.Scan(&uid, &id); err != nil {
			return err
		}
		limits[uid] = id
	}
	if err := rows.Err(); err != nil {
		return err
	}
	numbers := newColumns(4, 0)
	var codes []string
	var exhausted []bool
	for _, k := range changes.Keys {
		for i := range k.Refusals {
			r := &k.Refusals[i]
			numbers.add(a.keys[k.ID.String()], limits[r.Limit], r.At.UnixMilli(), r.Until.UnixMilli())
			codes = append(codes, r.Code)
			exhausted = append(exhausted, r.Code == policy.CodeQuotaExhausted.String() || r.Code == policy.CodeBudgetExhausted.String())
		}
	}
	if len(codes) == 0 {
		return nil
	}
	_, err = a.Exec(ctx, upsertRefusals, append(numbers.values(), codes, exhausted, leapAfter.Milliseconds())...)
	return err
}
