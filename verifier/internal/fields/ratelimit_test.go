package fields

import (
	"testing"
	"time"
)

func TestSpansAreNamedAsPeopleCallThem(t *testing.T) {
	for per, want := range map[time.Duration]string{
		time.Second: "second", time.Minute: "minute", time.Hour: "hour", 24 * time.Hour: "day", 7 * 24 * time.Hour: "week",
		48 * time.Hour: "48h", 90 * time.Minute: "90m", 90 * time.Second: "1m30s", 30 * time.Second: "30s", time.Millisecond: "1ms",
	} {
		if got := string(AppendSpan(nil, per)); got != want {
			t.Errorf("%d is called %q, want %q", per, got, want)
		}
	}
}
