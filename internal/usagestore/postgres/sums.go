package postgres

import (
	"context"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore/grouping"
)

// atMost keeps what is added to a sum from making it overflow before the statement bounds it.
func atMost(n int64) int64 { return min(n, usage.MaxSum) }

// What is set of a row r by n, which has the same columns. Of two billing periods the later one is kept, so that
// batches may be added in any order. Where something of the new period was counted under another one before, because
// the workspace's periods were changed, the row does not know its sum, and says so with a start of zero.
const setSums = `
    requests         = r.requests + n.requests,
    denied           = r.denied + n.denied,
    succeeded        = r.succeeded + n.succeeded,
    failed           = r.failed + n.failed,
    spend_microcents = least(r.spend_microcents + n.spend_microcents, ` + grouping.MaxSum + `),
    period_requests  = CASE WHEN r.period_start <= n.period_start THEN n.period_requests ELSE 0 END + CASE WHEN r.period_start >= n.period_start THEN r.period_requests ELSE 0 END,
    period_denied    = CASE WHEN r.period_start <= n.period_start THEN n.period_denied ELSE 0 END + CASE WHEN r.period_start >= n.period_start THEN r.period_denied ELSE 0 END,
    period_succeeded = CASE WHEN r.period_start <= n.period_start THEN n.period_succeeded ELSE 0 END + CASE WHEN r.period_start >= n.period_start THEN r.period_succeeded ELSE 0 END,
    period_failed    = CASE WHEN r.period_start <= n.period_start THEN n.period_failed ELSE 0 END + CASE WHEN r.period_start >= n.period_start THEN r.period_failed ELSE 0 END,
    period_spend_microcents = least(CASE WHEN r.period_start <= n.period_start THEN n.period_spend_microcents ELSE 0 END +
        CASE WHEN r.period_start >= n.period_start THEN r.period_spend_microcents ELSE 0 END, ` + grouping.MaxSum + `),
    period_start     = CASE
        WHEN n.period_start > r.period_start THEN CASE WHEN r.newest_hour >= n.period_start THEN 0 ELSE n.period_start END
        WHEN n.period_start < r.period_start THEN CASE WHEN n.newest_hour >= r.period_start THEN 0 ELSE r.period_start END
        ELSE r.period_start END,
    newest_hour      = greatest(r.newest_hour, n.newest_hour)`

// sumColumns are those of sumsOf, which are the first parameters of a statement.
const (
	sumColumns = `requests, denied, succeeded, failed, spend_microcents, period_start, period_requests, period_denied,
    period_succeeded, period_failed, period_spend_microcents, newest_hour`
	sumArrays = `$1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::bigint[],
    $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[]`
	sumWidth = 12
)

func sumsOf(s *grouping.Sums) []int64 {
	t, p := &s.Total, &s.Period
	return []int64{
		t.Requests, t.Denied, t.Succeeded, t.Failed, atMost(t.SpendMicrocents),
		s.PeriodStart.Unix(), p.Requests, p.Denied, p.Succeeded, p.Failed, atMost(p.SpendMicrocents), s.Newest,
	}
}

// Of two values for the last use the newer one is kept. But a last use that is leapAfter ahead of the one
// to add was stamped by a clock that was wrong for a moment, and would otherwise stay until
// the world has caught up with it; of the period the feed takes care. An outcome is no use. In both statements $13 is leapAfter.
const (
	keepsLast = `(n.last_used_ms = 0 OR r.last_used_ms - n.last_used_ms BETWEEN 1 AND $13::bigint)`

	updateKeys = `
UPDATE keys r SET ` + setSums + `,
    seq              = (SELECT coalesce(max(seq), 0) FROM keys) + n.place,
    workspace        = n.workspace,
    service_account  = n.service_account,
    remaining        = CASE WHEN ` + keepsLast + ` THEN r.remaining ELSE n.remaining END,
    reset_ms         = CASE WHEN ` + keepsLast + ` THEN r.reset_ms ELSE n.reset_ms END,
    budget_remaining = CASE WHEN ` + keepsLast + ` THEN r.budget_remaining ELSE n.budget_remaining END,
    budget_reset_ms  = CASE WHEN ` + keepsLast + ` THEN r.budget_reset_ms ELSE n.budget_reset_ms END,
    passed_ms        = CASE WHEN n.last_used_ms > 0 AND r.passed_ms - n.last_used_ms > $13::bigint THEN n.passed_ms ELSE greatest(r.passed_ms, n.passed_ms) END,
    last_used_ms     = CASE WHEN ` + keepsLast + ` THEN r.last_used_ms ELSE n.last_used_ms END
FROM unnest(` + sumArrays + `, $14::bigint[], $15::text[], $16::text[], $17::bigint[], $18::bigint[], $19::bigint[], $20::bigint[], $21::bigint[], $22::bigint[])
    WITH ORDINALITY AS n (` + sumColumns + `, id, workspace, service_account, last_used_ms, remaining, reset_ms, budget_remaining, budget_reset_ms, passed_ms, place)
WHERE r.id = n.id`

	upsertGroups = `
WITH given AS (
    SELECT * FROM unnest(` + sumArrays + `, $14::text[], $15::text[], $16::bigint[])
        WITH ORDINALITY AS n (` + sumColumns + `, kind, name, last_used_ms, place)
), changed AS (
    UPDATE usage_groups r SET ` + setSums + `,
        seq = (SELECT coalesce(max(seq), 0) FROM usage_groups) + n.place,
        last_used_ms = CASE WHEN ` + keepsLast + ` THEN r.last_used_ms ELSE n.last_used_ms END
    FROM given n WHERE r.kind = n.kind AND r.name = n.name RETURNING r.kind, r.name
)
INSERT INTO usage_groups (` + sumColumns + `, kind, name, last_used_ms, seq)
SELECT ` + sumColumns + `, kind, name, last_used_ms, (SELECT coalesce(max(seq), 0) FROM usage_groups) + place
FROM given n WHERE NOT EXISTS (SELECT 1 FROM changed c WHERE c.kind = n.kind AND c.name = n.name)`
)

func (a *addition) addKeys(ctx context.Context, keys []*grouping.Key) error {
	sums := newColumns(sumWidth, len(keys))
	rows, used := make([]int64, len(keys)), make([]int64, len(keys))
	workspaces, accounts := make([]string, len(keys)), make([]string, len(keys))
	remaining, reset, budget, budgetReset, passed := nullable(keys), nullable(keys), nullable(keys), nullable(keys), nullable(keys)
	for i, k := range keys {
		sums.add(sumsOf(&k.Sums)...)
		rows[i], used[i] = a.keys[k.ID.String()], usedMillis(k.Last.UsedAt)
		workspaces[i], accounts[i] = k.Last.Workspace, k.Last.ServiceAccount
		remaining[i], reset[i] = left(k.Last.Remaining, k.Last.ResetAt)
		budget[i], budgetReset[i] = left(k.Last.BudgetRemaining, k.Last.BudgetResetAt)
		passed[i] = millis(k.Last.PassedAt)
	}
	values := append(sums.values(), leapAfter.Milliseconds(), rows, workspaces, accounts, used, remaining, reset, budget, budgetReset, passed)
	if _, err := a.Exec(ctx, updateKeys, values...); err != nil {
		return err
	}
	return a.addUses(ctx, keys)
}

func nullable(keys []*grouping.Key) []*int64 { return make([]*int64, len(keys)) }

func (a *addition) addGroups(ctx context.Context, groups []*grouping.Group) error {
	sums := newColumns(sumWidth, len(groups))
	kinds, names, used := make([]string, len(groups)), make([]string, len(groups)), make([]int64, len(groups))
	for i, g := range groups {
		sums.add(sumsOf(&g.Sums)...)
		kinds[i], names[i], used[i] = g.Kind, g.Name, usedMillis(g.UsedAt)
	}
	_, err := a.Exec(ctx, upsertGroups, append(sums.values(), leapAfter.Milliseconds(), kinds, names, used)...)
	return err
}

const upsertUses = `
INSERT INTO key_generations AS r (key_id, generation, last_used_ms)
SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[])
ON CONFLICT (key_id, generation) DO UPDATE SET last_used_ms =
    CASE WHEN r.last_used_ms - excluded.last_used_ms BETWEEN 1 AND $4::bigint THEN r.last_used_ms ELSE excluded.last_used_ms END`

// The newest two are kept.
const deleteUses = `
DELETE FROM key_generations g USING unnest($1::bigint[]) AS n (id) WHERE g.key_id = n.id AND (
    SELECT count(*) FROM key_generations newer WHERE newer.key_id = g.key_id AND newer.generation > g.generation) >= 2`

func (a *addition) addUses(ctx context.Context, keys []*grouping.Key) error {
	c := newColumns(3, len(keys))
	for _, k := range keys {
		for _, g := range k.Last.Generations {
			if g.Number > 0 {
				c.add(a.keys[k.ID.String()], int64(g.Number), g.UsedAt.UnixMilli())
			}
		}
	}
	if len(c[0]) == 0 {
		return nil
	}
	if _, err := a.Exec(ctx, upsertUses, append(c.values(), leapAfter.Milliseconds())...); err != nil {
		return err
	}
	_, err := a.Exec(ctx, deleteUses, c[0])
	return err
}

// left is what was left of a limit and when it is whole again; nil where there is no limit.
func left(remaining int64, resetAt time.Time) (amount, ms *int64) {
	if remaining == usage.NoLimit {
		return nil, nil
	}
	return &remaining, millis(resetAt)
}

// millis is nil for the zero time.
func millis(at time.Time) *int64 {
	if at.IsZero() {
		return nil
	}
	ms := at.UnixMilli()
	return &ms
}

// usedMillis is 0 for the zero time.
func usedMillis(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMilli()
}

// fromMillis is nil, or zero, where there is no time.
func fromMillis(ms *int64) *time.Time {
	if ms == nil {
		return nil
	}
	at := time.UnixMilli(*ms).UTC()
	return &at
}
