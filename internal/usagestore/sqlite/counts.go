package sqlite

import (
	"context"
	"database/sql"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/internal/limitstore/local"
)

const (
	upsertRule = `
INSERT INTO limit_rules (key_limit, rule, kind, max, burst, per_ns, calendar) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (key_limit, rule) DO UPDATE SET
    kind = excluded.kind, max = excluded.max, burst = excluded.burst, per_ns = excluded.per_ns, calendar = excluded.calendar`

	upsertCount = `
INSERT INTO limit_counts (rule_id, subject, word, whole_ms)
SELECT id, ?3, ?4, ?5 FROM limit_rules WHERE key_limit = ?1 AND rule = ?2
ON CONFLICT (rule_id, subject) DO UPDATE SET word = excluded.word, whole_ms = excluded.whole_ms`

	selectRules = `
SELECT key_limit, rule, kind, max, burst, per_ns, calendar FROM limit_rules
WHERE EXISTS (SELECT 1 FROM limit_counts WHERE rule_id = id AND whole_ms > ?) ORDER BY id`

	selectCounts = `
SELECT key_limit, rule, subject, word, whole_ms FROM limit_counts JOIN limit_rules ON id = rule_id WHERE whole_ms > ?`

	deleteCounts = `
DELETE FROM limit_counts WHERE (rule_id, subject) IN (
    SELECT rule_id, subject FROM limit_counts WHERE whole_ms < ? ORDER BY whole_ms LIMIT ?)`
)

// KeepCounts implements local.Disk.
func (s *Store) KeepCounts(ctx context.Context, rules []local.KeptRule, counts []local.KeptCount) error {
	return s.explain(s.transaction(ctx, func(tx *sql.Tx) error {
		for i := range rules {
			if err := keepRule(ctx, tx, &rules[i]); err != nil {
				return err
			}
		}
		upsert, err := tx.PrepareContext(ctx, upsertCount)
		if err != nil {
			return err
		}
		defer upsert.Close() //nolint:errcheck // it goes with the transaction
		for i := range counts {
			c := &counts[i]
			// SQLite has no unsigned integers; the bits are what matters.
			if _, err := upsert.ExecContext(ctx, string(c.Limit), c.Rule, int64(c.Subject), int64(c.Word), c.WholeAt.UnixMilli()); err != nil {
				return err
			}
		}
		return nil
	}))
}

func keepRule(ctx context.Context, tx *sql.Tx, rule *local.KeptRule) error {
	d := &rule.Definition
	calendar := ""
	if d.Calendar != nil {
		calendar = d.Calendar.String()
	}
	_, err := tx.ExecContext(ctx, upsertRule, string(rule.Limit), rule.Name, d.Kind.String(), d.Max, d.Burst, int64(d.Per), calendar)
	return err
}

// KeptCounts implements local.Disk.
func (s *Store) KeptCounts(ctx context.Context, now time.Time) (rules []local.KeptRule, counts []local.KeptCount, err error) {
	err = s.each(ctx, selectRules, now, func(rows *sql.Rows) error {
		rule, err := scanRule(rows)
		if err == nil {
			rules = append(rules, rule)
		}
		return err
	})
	if err != nil {
		return nil, nil, err
	}
	err = s.each(ctx, selectCounts, now, func(rows *sql.Rows) error {
		var id string
		var count local.KeptCount
		var subject, word, whole int64
		if err := rows.Scan(&id, &count.Rule, &subject, &word, &whole); err != nil {
			return err
		}
		count.Limit, count.Subject, count.Word, count.WholeAt = types.UID(id), local.Subject(subject), uint64(word), fromMillis(whole)
		counts = append(counts, count)
		return nil
	})
	return rules, counts, err
}

func (s *Store) each(ctx context.Context, query string, now time.Time, look func(*sql.Rows) error) error {
	rows, err := s.reader.QueryContext(ctx, query, now.UnixMilli())
	if err != nil {
		return s.explain(err)
	}
	defer rows.Close() //nolint:errcheck // rows.Err tells
	for rows.Next() {
		if err := look(rows); err != nil {
			return s.explain(err)
		}
	}
	return s.explain(rows.Err())
}

func scanRule(rows *sql.Rows) (rule local.KeptRule, err error) {
	var id, kind, calendar string
	var per int64
	d := &rule.Definition
	if err := rows.Scan(&id, &rule.Name, &kind, &d.Max, &d.Burst, &per, &calendar); err != nil {
		return rule, err
	}
	rule.Limit, d.Per = types.UID(id), time.Duration(per)
	if d.Kind, err = limit.ParseKind(kind); err != nil {
		return rule, err
	}
	if calendar != "" {
		d.Calendar, err = limit.ParseCalendar(calendar)
	}
	return rule, err
}

// ExpireCounts deletes counts of which nothing is used any more. As a clock may be ahead for a moment, they are
// given some time.
func (s *Store) ExpireCounts(ctx context.Context, now time.Time) error {
	for {
		result, err := s.writer.ExecContext(ctx, deleteCounts, now.Add(-countsGrace).UnixMilli(), deleteChunk)
		if err != nil {
			return s.explain(err)
		}
		if deleted, err := result.RowsAffected(); err != nil || deleted < deleteChunk {
			return s.explain(err)
		}
	}
}

const countsGrace = 24 * time.Hour
