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
	w.unique(&e.RequestID)
	w.time(&e.At)
	w.time(&e.PeriodStart)
	w.flag(&e.Quarters)
	number(w, &e.KeepLine)
	number(w, &e.SpendMicrocents)
	number(w, &e.Latency)
	number(w, &e.Bytes)
	number(w, &e.HTTPStatus)
	// What was left of limits, and which refused, is in the roll-up.
	if w.reading {
		e.Remaining, e.BudgetRemaining = usage.NoLimit, usage.NoLimit
	}
}

func attribution(w *wire, a *usage.Attribution) {
	w.like(w.before.attribution[:], &a.Workspace, &a.ServiceAccount, &a.EntityKind, &a.EntityID, &a.Department, &a.Environment)
}

func details(w *wire, d *usage.Details) {
	number(w, &d.Status)
	w.like(w.before.details[:], &d.Error, &d.Tier, &d.Domain, &d.Resource)
}

// use is what was counted of a key.
func use(w *wire, key *keyid.ID, of **usage.Use) {
	if w.reading {
		*of = &usage.Use{}
	}
	u := *of
	w.key(key)
	last(w, &u.Last)
	length := w.length(len(u.Counts))
	for i := 0; i < length && w.err == nil; i++ {
		if w.reading {
			var c usage.Count
			c.Key = *key
			count(w, &c)
			known := u.At(&c.Bucket)
			known.Add(c.Measures)
			w.series(&known.Series)
			continue
		}
		count(w, u.Counts[i])
		w.series(&u.Counts[i].Series)
	}
}

func count(w *wire, c *usage.Count) {
	attribution(w, &c.Attribution)
	details(w, &c.Details)
	number(w, &c.Start)
	number(w, &c.Count)
	number(w, &c.SpendMicrocents)
	number(w, &c.LatencyMicros)
	number(w, &c.Timed)
	number(w, &c.Bytes)
}

func last(w *wire, l *usage.Last) {
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

// line names its series by the number that that has in the batch.
func line(w *wire, l *usage.Line) {
	w.seriesNumber(&l.Series)
	w.unique(&l.RequestID)
	w.time(&l.At)
	number(w, &l.Keep)
	number(w, &l.SpendMicrocents)
	number(w, &l.Latency)
	number(w, &l.Bytes)
	number(w, &l.HTTPStatus)
}

// batch reads or writes all but the reports, which have files of their own.
func batch(w *wire, b *usage.Batch) {
	w.numbering = len(b.Lines) > 0
	each(w, b.Rollup.Keys, use)
	each(w, b.Rollup.Refused, refused)
	length := w.length(len(b.Lines))
	if w.reading {
		b.Lines = make([]usage.Line, 0, min(length, 1<<16))
	}
	for i := 0; i < length && w.err == nil; i++ {
		if w.reading {
			b.Lines = append(b.Lines, usage.Line{})
		}
		line(w, &b.Lines[i])
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
