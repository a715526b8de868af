package limit

import (
	"math"
	"time"
)

// Succeeds says whether what was used of a rule can be counted by another: where both count the same
// thing, however differently.
func (r *Rule) Succeeds(before *Rule) bool { return r.thing() == before.thing() }

func (r *Rule) thing() Kind {
	if r.Kind == Tokens {
		return Span // requests in a span, both
	}
	return r.Kind
}

// Carry returns the word with which a bucket goes on when its rule is edited, so that an edit by itself
// hands out nothing and takes nothing away: as much is used as before. Only a span whose length changes is as if it had
// always had the new one. The word is of the rule before, which this one Succeeds.
func (r *Rule) Carry(before *Rule, word uint64, now time.Time) uint64 {
	switch {
	case word == 0 || before.Equal(r):
		return word
	case r.Kind == Quota || r.Kind == Budget:
		return r.carryCounted(before, word, now)
	case r.Kind == Span && before.Kind == Span:
		return word // it counts from when it began, for as long as the rule says
	}
	used := before.tokensUsed(word, now)
	if r.Kind == Span {
		began := now.Sub(epoch).Milliseconds()
		return span{began, min(int64(math.Ceil(used)), countMask)}.word()
	}
	nanoseconds := now.Sub(epoch).Nanoseconds()
	wait := math.Ceil(min(used, float64(r.Burst)) * float64(r.interval()))
	return uint64(nanoseconds + int64(wait))
}

// tokensUsed is how many requests of a rate are used up at a time.
func (r *Rule) tokensUsed(word uint64, now time.Time) float64 {
	if r.Kind == Span {
		return float64(spanOf(word).at(now.Sub(epoch).Milliseconds(), r.Per).count)
	}
	nanoseconds := now.Sub(epoch).Nanoseconds()
	return float64(r.fullAt(word, nanoseconds)-nanoseconds) / float64(r.interval())
}

// carryCounted moves a count into the period of another calendar that holds now.
func (r *Rule) carryCounted(before *Rule, word uint64, now time.Time) uint64 {
	current, _ := before.countedAt(word, now)
	if current.count == 0 {
		return 0
	}
	current.endDay = int64(r.Calendar.At(now).EndDay)
	return current.word()
}

// WholeAt is when nothing of what a word tells is used any more; what is kept of it until then is
// worth keeping.
func (r *Rule) WholeAt(word uint64, now time.Time) time.Time {
	switch r.Kind {
	case Span:
		return epoch.Add(time.Duration(spanOf(word).began)*time.Millisecond + r.Per)
	case Tokens:
		return epoch.Add(time.Duration(word))
	}
	if current, period := r.countedAt(word, now); current.count > 0 {
		return period.End
	}
	return now
}
