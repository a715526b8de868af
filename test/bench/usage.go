package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
	"github.com/claviger-dev/claviger/internal/usagestore/postgres"
	"github.com/claviger-dev/claviger/internal/usagestore/sqlite"
	"github.com/claviger-dev/claviger/test/bench/report"
	"github.com/claviger-dev/claviger/test/postgresserver"
)

// measureUsage is how many events are taken in, with a line in the log for each, against a bare insert of the same
// rows; what counting costs the doors; and how long questions take.
func measureUsage(ctx context.Context, b *bench) error {
	if err := b.ingestSQLite(ctx); err != nil {
		return err
	}
	if err := b.ingestPostgres(ctx); err != nil {
		return err
	}
	if err := b.costOfCounting(ctx); err != nil {
		return err
	}
	return b.questions(ctx)
}

// eventKeys are whose events are taken in: a busy tenant's.
const eventKeys = 1000

// someEvents are events of a month of as many keys, as a service would have them.
type someEvents struct {
	random *rand.Rand
	keys   []keyid.ID
	number int
	at     time.Time
	step   time.Duration
}

func newEvents(begin time.Time, step time.Duration) *someEvents {
	e := &someEvents{random: rand.New(rand.NewPCG(1, 2)), at: begin, step: step}
	for i := range eventKeys {
		e.keys = append(e.keys, keyid.Derive(fmt.Sprint(i)))
	}
	return e
}

// next is one event. The keys are used as unevenly as such are.
func (s *someEvents) next() usage.Event {
	s.number++
	s.at = s.at.Add(s.step)
	key := int(float64(eventKeys) * s.random.Float64() * s.random.Float64())
	e := usage.Event{
		Key: s.keys[key], Generation: 1, At: s.at, PeriodStart: usagefeed.PeriodStart(s.at),
		Attribution: usage.Attribution{
			Workspace: fmt.Sprintf("team-%d/shop", key%10), Environment: "live", EntityKind: "Agent", EntityID: fmt.Sprint("agent-", key%100), Department: "research",
		},
		Details:   usage.Details{Tier: []string{"standard", "enterprise"}[key%2], Domain: fmt.Sprintf("www%d.example.com", s.random.IntN(3))},
		RequestID: fmt.Sprintf("%024X", s.random.Uint64()), KeepLine: 90 * 24 * time.Hour, SpendMicrocents: 25,
		Remaining: usage.NoLimit, BudgetRemaining: usage.NoLimit,
	}
	if s.number%20 == 0 {
		e.Status, e.Error, e.SpendMicrocents = usage.Denied, "RATE_LIMITED", 0
	}
	return e
}

// ingest has events taken in as fast as the store can, for a time, and returns how many that were in a second.
func (b *bench) ingest(store usagestore.Writer, dir string) (float64, error) {
	registry := prometheus.NewRegistry()
	recorder, err := startRecorder(store, dir, registry)
	if err != nil {
		return 0, err
	}
	events := newEvents(time.Now(), time.Microsecond)
	begin, recorded := time.Now(), 0
	for time.Since(begin) < b.ingestFor() {
		for range 500 {
			recorder.Record(events.next())
		}
		recorded += 500
		time.Sleep(time.Millisecond)      // as many in a second as no verifier decides, and no more than the queue bears
		for waiting(registry) > 250_000 { // what comes faster would only wait on the disk
			time.Sleep(10 * time.Millisecond)
		}
	}
	if err := recorder.Close(context.Background()); err != nil {
		return 0, err
	}
	if dropped := valueOf(registry, "claviger_usage_events_dropped_total"); dropped > 0 {
		return 0, fmt.Errorf("%v of %d events were dropped", dropped, recorded)
	}
	return float64(recorded) / time.Since(begin).Seconds(), nil
}

func (b *bench) ingestFor() time.Duration { return b.size.ingest }

func waiting(registry *prometheus.Registry) float64 {
	return valueOf(registry, "claviger_usage_pending_events")
}

func valueOf(registry *prometheus.Registry, name string) float64 {
	families, err := registry.Gather()
	if err != nil {
		return 0
	}
	for _, family := range families {
		if family.GetName() == name {
			return family.GetMetric()[0].GetGauge().GetValue() + family.GetMetric()[0].GetCounter().GetValue()
		}
	}
	return 0
}

// bareColumns are what an event is in a table that nothing is thought about.
const bareColumns = "at_us, key, workspace, entity_kind, entity_id, department, environment, status, error, tier, domain, request_id, spend_microcents"

func bareRow(e *usage.Event) []any {
	return []any{
		e.At.UnixMicro(), e.Key.String(), e.Workspace, e.EntityKind, e.EntityID, e.Department, e.Environment, e.Status.String(), e.Error,
		e.Tier, e.Domain, e.RequestID, e.SpendMicrocents,
	}
}

// So many rows are in a transaction of the bare ones: about half a second's.
const bareBatch = 20_000

// bare inserts as many as it can for a time, in batches.
func (b *bench) bare(insert func([]usage.Event) error) (float64, error) {
	events := newEvents(time.Now(), time.Microsecond)
	begin, inserted := time.Now(), 0
	batch := make([]usage.Event, bareBatch)
	for time.Since(begin) < b.ingestFor() {
		for i := range batch {
			batch[i] = events.next()
		}
		if err := insert(batch); err != nil {
			return 0, err
		}
		inserted += len(batch)
	}
	return float64(inserted) / time.Since(begin).Seconds(), nil
}

func (b *bench) ingestSQLite(ctx context.Context) error {
	store, err := sqlite.Open(ctx, b.path("ingest.db"))
	if err != nil {
		return err
	}
	ours, err := b.ingest(store, b.path("ingest.pending"))
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", "file:"+b.path("bare.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)")
	if err != nil {
		return err
	}
	defer db.Close() //nolint:errcheck // it was only measured
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "CREATE TABLE bare ("+bareColumns+")"); err != nil {
		return err
	}
	bare, err := b.bare(func(events []usage.Event) error { return insertBare(ctx, db, events) })
	if err != nil {
		return err
	}
	b.addIngest("SQLite", "usage_ingest_sqlite_ratio", ours, bare)
	return os.Remove(b.path("bare.db"))
}

// insertBare inserts fifty rows with each statement, as the store does with the lines of its log.
func insertBare(ctx context.Context, db *sql.DB, events []usage.Event) error {
	const atOnce = 50
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	row := "(" + strings.TrimSuffix(strings.Repeat("?, ", strings.Count(bareColumns, ",")+1), ", ") + ")"
	statement, err := tx.PrepareContext(ctx, "INSERT INTO bare VALUES "+row+strings.Repeat(", "+row, atOnce-1))
	if err != nil {
		return err
	}
	for i := 0; i < len(events); i += atOnce {
		var values []any
		for j := range atOnce {
			values = append(values, bareRow(&events[i+j])...)
		}
		if _, err := statement.ExecContext(ctx, values...); err != nil {
			return err
		}
	}
	return tx.Commit()
}

func (b *bench) ingestPostgres(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "claviger-bench-postgres-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := postgresserver.StartIn(dir)
	if err != nil {
		b.report.Note("Not measured with PostgreSQL: " + err.Error() + ".")
		return nil
	}
	defer server.Kill()
	store, err := postgres.Open(ctx, postgres.Options{URL: server.Database(), Log: logr.Discard()})
	if err != nil {
		return err
	}
	defer store.Close() //nolint:errcheck // it was only measured
	ours, err := b.ingest(store, b.path("postgres.pending"))
	if err != nil {
		return err
	}
	connection, err := pgx.Connect(ctx, server.Database())
	if err != nil {
		return err
	}
	defer connection.Close(ctx) //nolint:errcheck // it was only measured
	types := strings.ReplaceAll(bareColumns, ",", " text,")
	types = strings.Replace(strings.Replace(types, "at_us text", "at_us bigint", 1), "spend_microcents", "spend_microcents bigint", 1)
	if _, err := connection.Exec(ctx, "CREATE TABLE bare ("+types+")"); err != nil {
		return err
	}
	bare, err := b.bare(func(events []usage.Event) error {
		_, err := connection.CopyFrom(ctx, pgx.Identifier{"bare"}, strings.Split(bareColumns, ", "),
			pgx.CopyFromSlice(len(events), func(i int) ([]any, error) { return bareRow(&events[i]), nil }))
		return err
	})
	if err != nil {
		return err
	}
	b.addIngest("PostgreSQL", "usage_ingest_postgres_ratio", ours, bare)
	return nil
}

func (b *bench) addIngest(store, metric string, ours, bare float64) {
	b.report.Add(report.Row{
		What:     fmt.Sprintf("events into %s for %s, counted and logged, against a bare batched insert", store, b.ingestFor()),
		Measured: report.Count(ours) + "/s", Bare: report.Count(bare) + "/s", Metric: metric, Value: ours / bare, Unit: "ratio",
	})
}
