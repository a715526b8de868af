package local

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/clock"

	"github.com/claviger-dev/claviger/internal/limit"
)

// KeptRule is a rule as it is kept on disk.
type KeptRule struct {
	Limit      types.UID
	Name       string // among the rules of the limit
	Definition limit.Rule
}

// KeptCount is what was used of a rule by a subject.
type KeptCount struct {
	Limit   types.UID
	Rule    string
	Subject Subject
	Word    uint64
	// WholeAt is when nothing of it is used any more, and it need not be kept.
	WholeAt time.Time
}

// Disk keeps counts over restarts.
type Disk interface {
	// KeepCounts keeps rules and counts, in place of what was kept of the same ones: all of them or, with an error, none.
	KeepCounts(context.Context, []KeptRule, []KeptCount) error
	// KeptCounts is all that is kept and not whole yet.
	KeptCounts(ctx context.Context, now time.Time) ([]KeptRule, []KeptCount, error)
}

// keepEvery is less than a second, which is the most that a killed process may have counted in vain.
const keepEvery = 500 * time.Millisecond

// Keeper writes what changes of a Store to a Disk, off the path of requests.
type Keeper struct {
	store *Store
	disk  Disk
	clock clock.WithTicker
	log   logr.Logger

	places  map[Counter]place
	edition int // of the places
	failing bool
}

// place is where a Counter's counts are kept.
type place struct {
	limit types.UID
	rule  Rule
	kept  bool // its definition is on disk
	moved bool // all its counts are still elsewhere
}

// Restore fills an empty Store with what was kept, and returns who will keep it from then on.
func Restore(ctx context.Context, store *Store, disk Disk, clock clock.WithTicker, log logr.Logger) (*Keeper, error) {
	rules, counts, err := disk.KeptCounts(ctx, clock.Now())
	if err != nil {
		return nil, err
	}
	store.restore(rules, counts, clock.Now())
	return &Keeper{store: store, disk: disk, clock: clock, log: log, places: map[Counter]place{}, edition: -1}, nil
}

// restore defines limits as they were, so that whatever has become of them since is an edit like any other.
func (s *Store) restore(rules []KeptRule, counts []KeptCount, now time.Time) {
	byLimit := map[types.UID][]limit.Rule{}
	for _, rule := range rules {
		byLimit[rule.Limit] = append(byLimit[rule.Limit], rule.Definition)
	}
	type name struct {
		limit types.UID
		rule  string
	}
	counters := map[name]Counter{}
	for id, list := range byLimit {
		defined, _ := s.Define(id, list, now)
		for _, rule := range defined {
			counters[name{id, rule.Name}] = rule.Counter
		}
	}
	for _, count := range counts {
		if counter := counters[name{count.Limit, count.Rule}]; counter != 0 {
			s.Bucket(counter, count.Subject).SetWord(count.Word)
		}
	}
}

// Run keeps what changes until the context ends. Then Close keeps the rest.
func (k *Keeper) Run(ctx context.Context) {
	ticker := k.clock.NewTicker(keepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C():
		}
		err := k.Keep(ctx)
		// An outage is told once when it begins and once when it ends.
		switch {
		case err != nil && ctx.Err() != nil:
		case err != nil && !k.failing:
			k.log.Error(err, "What is used of the limits cannot be kept on disk; it is counted in memory, and tried again until it can")
			k.failing = true
		case err == nil && k.failing:
			k.log.Info("What is used of the limits is kept on disk again")
			k.failing = false
		}
	}
}

// Keep writes what has changed since the last time. It must not be called while Run runs.
func (k *Keeper) Keep(ctx context.Context) error {
	k.look()
	rules, counts, cells := k.changed(k.clock.Now())
	if len(rules) == 0 && len(counts) == 0 {
		return nil
	}
	if err := k.disk.KeepCounts(ctx, rules, counts); err != nil {
		return err
	}
	for i, c := range cells {
		c.saved = counts[i].Word
	}
	for counter, p := range k.places {
		p.kept, p.moved = true, false
		k.places[counter] = p
	}
	return nil
}

// look brings the places up to date.
func (k *Keeper) look() {
	k.store.mu.Lock()
	defer k.store.mu.Unlock()
	if k.edition == k.store.edition {
		return
	}
	k.edition = k.store.edition
	places := make(map[Counter]place, len(k.places))
	for id, rules := range k.store.limits {
		for _, rule := range rules {
			before, known := k.places[rule.Counter]
			renamed := known && before.rule.Name != rule.Name
			places[rule.Counter] = place{
				limit: id, rule: rule,
				kept:  known && before.kept && !renamed && before.rule.Equal(&rule.Rule),
				moved: renamed || before.moved,
			}
		}
	}
	k.places = places
}

// changed gathers what is not on disk as it is.
func (k *Keeper) changed(now time.Time) (rules []KeptRule, counts []KeptCount, cells []*cell) {
	for _, p := range k.places {
		if !p.kept && p.rule.Kind != limit.Concurrency {
			rules = append(rules, KeptRule{Limit: p.limit, Name: p.rule.Name, Definition: p.rule.Rule})
		}
	}
	k.store.cells.Load().each(func(counter Counter, subject Subject, c *cell) {
		p, ok := k.places[counter]
		word := c.Word()
		if !ok || word == 0 || word == c.saved && !p.moved {
			return
		}
		counts = append(counts, KeptCount{
			Limit: p.limit, Rule: p.rule.Name, Subject: subject, Word: word, WholeAt: p.rule.WholeAt(word, now),
		})
		cells = append(cells, c)
	})
	return rules, counts, cells
}
