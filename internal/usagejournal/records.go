package usagejournal

import (
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
)

func event(w *wire, e *usage.Event) {
	w.key(&e.Key)
	number(w, &e.Generation)
	attribution(w, &e.Attribution)
	details(w, &e.Details)
	w.text(&e.RequestID)
	w.time(&e.At)
	w.time(&e.PeriodStart)
	w.flag(&e.Quarters)
	number(w, (*int64)(&e.KeepLine))
	number(w, &e.SpendMicrocents)
	number(w, (*int64)(&e.Latency))
	number(w, &e.Bytes)
	number(w, &e.HTTPStatus)
	// What was left of limits, and which refused, is in the roll-up.
	if w.reading {
		e.Remaining, e.BudgetRemaining = usage.NoLimit, usage.NoLimit
	}
}

func attribution(w *wire, a *usage.Attribution) {
	w.text(&a.Workspace)
	w.text(&a.ServiceAccount)
	w.text(&a.EntityKind)
	w.text(&a.EntityID)
	w.text(&a.Department)
	w.text(&a.Environment)
}

func details(w *wire, d *usage.Details) {
	number(w, &d.Status)
	w.text(&d.Error)
	w.text(&d.Tier)
	w.text(&d.Domain)
	w.text(&d.Resource)
}

func bucket(w *wire, b *usage.Bucket, m *usage.Measures) {
	w.key(&b.Key)
	attribution(w, &b.Attribution)
	details(w, &b.Details)
	number(w, &b.Start)
	number(w, &m.Count)
	number(w, &m.SpendMicrocents)
	number(w, &m.LatencyMicros)
	number(w, &m.Timed)
	number(w, &m.Bytes)
}

func last(w *wire, key *keyid.ID, l *usage.Last) {
	w.key(key)
	attribution(w, &l.Attribution)
	for _, at := range []*time.Time{&l.PeriodStart, &l.UsedAt, &l.ResetAt, &l.BudgetResetAt, &l.PassedAt} {
		w.time(at)
	}
	number(w, &l.Remaining)
	number(w, &l.BudgetRemaining)
	for i := range l.Generations {
		number(w, &l.Generations[i].Number)
		w.time(&l.Generations[i].UsedAt)
	}
}

func refused(w *wire, p *usage.Pair, r *usage.Refused) {
	w.text(&p.Limit)
	w.key(&p.Key)
	number(w, &r.Denied)
	number(w, &r.ShadowDenied)
	w.time(&r.At)
	w.time(&r.Until)
	w.text(&r.Code)
}

// batch reads or writes all but the reports, which have files of their own.
func batch(w *wire, b *usage.Batch) {
	each(w, b.Rollup.Buckets, bucket)
	each(w, b.Rollup.Last, last)
	each(w, b.Rollup.Refused, refused)
	length := w.length(len(b.Lines))
	if w.reading {
		b.Lines = make([]usage.Event, 0, min(length, 1<<16))
	}
	for i := 0; i < length && w.err == nil; i++ {
		if w.reading {
			b.Lines = append(b.Lines, usage.Event{})
		}
		event(w, &b.Lines[i])
	}
}

// each reads or writes a map.
func each[Key comparable, Value any](w *wire, m map[Key]Value, item func(*wire, *Key, *Value)) {
	length := w.length(len(m))
	if w.reading {
		for i := 0; i < length && w.err == nil; i++ {
			var key Key
			var value Value
			item(w, &key, &value)
			m[key] = value
		}
		return
	}
	for key, value := range m {
		item(w, &key, &value)
	}
}
