package chart

import (
	"math"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestSparkline(t *testing.T) {
	for _, c := range []struct {
		name   string
		values []int64
		want   string
	}{
		{"nothing", nil, ""},
		{"only zeros", []int64{0, 0, 0}, "▁▁▁"},
		{"one number", []int64{5}, "█"},
		{"each level", []int64{0, 1, 2, 3, 4, 5, 6, 7}, "▁▂▃▄▅▆▇█"},
		{"what is below zero is as zero", []int64{-7, 7}, "▁█"},
		{"the greatest numbers there are", []int64{math.MaxInt64, math.MaxInt64 / 2, math.MinInt64}, "█▅▁"},
	} {
		if got := Sparkline(c.values); got != c.want {
			t.Errorf("%s: %s, not %s", c.name, got, c.want)
		}
	}
}

func TestASparklineHasACharacterForEachNumberAndRisesWithThem(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOf(rapid.Int64()).Draw(t, "values")
		line := []rune(Sparkline(values))
		if len(line) != len(values) {
			t.Fatalf("%d characters for %d numbers", len(line), len(values))
		}
		for i := range values {
			for j := range values {
				if values[i] < values[j] && line[i] > line[j] {
					t.Fatalf("%d is drawn above %d", values[i], values[j])
				}
			}
		}
	})
}

func TestBar(t *testing.T) {
	for _, c := range []struct {
		value, highest int64
		width          int
		want           string
	}{
		{0, 10, 4, ""}, {10, 10, 4, "████"}, {5, 10, 4, "██"}, {1, 1000, 4, "▏"}, {3, 8, 1, "▍"},
		{1, 0, 4, ""}, {-1, 10, 4, ""}, {20, 10, 4, "████"}, {math.MaxInt64, math.MaxInt64, 3, "███"},
	} {
		if got := Bar(c.value, c.highest, c.width); got != c.want || utf8.RuneCountInString(got) > c.width {
			t.Errorf("%d of %d in %d: %q, not %q", c.value, c.highest, c.width, got, c.want)
		}
	}
}
