package usage

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	testclock "k8s.io/utils/clock/testing"

	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// replica is one of several verifiers.
type replica struct {
	name         string
	away, shared bool
	asked        int
}

func (r *replica) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.asked++
	if r.away {
		http.Error(w, "away", http.StatusServiceUnavailable)
		return
	}
	var answer any
	switch request.URL.Path {
	case usagefeed.Path:
		answer = usagefeed.Page{Epoch: "e", Shared: r.shared, Keys: []usagefeed.Key{{ID: r.name}}}
	case usagefeed.GroupsPath:
		answer = usagefeed.GroupPage{Epoch: "e", Shared: r.shared, Groups: []usagefeed.Group{{Name: r.name}}}
	case usagefeed.LimitsPath:
		answer = usagefeed.LimitPage{Epoch: "e", Limits: []usagefeed.Limit{{ID: r.name}}}
	}
	json.NewEncoder(w).Encode(answer) //nolint:errcheck // a test
}

// feedOf trusts a number of verifiers.
func feedOf(t *testing.T, replicas ...*replica) *feed {
	t.Helper()
	var urls []string
	var authorities []byte
	for _, r := range replicas {
		server := httptest.NewTLSServer(r)
		t.Cleanup(server.Close)
		urls = append(urls, server.URL)
		authorities = append(authorities, authority(server)...)
	}
	ca, token := filepath.Join(t.TempDir(), "ca.crt"), filepath.Join(t.TempDir(), "token")
	writeFile(t, ca, authorities)
	writeFile(t, token, []byte("token"))
	f, err := newFeed(urls, ca, token)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// told is who answered for keys, groups and limits; empty: nobody did.
func told(t *testing.T, f *feed) (names []string) {
	t.Helper()
	name := func(count int, name func() string, err error) {
		if err == nil && count == 1 {
			names = append(names, name())
		} else {
			names = append(names, "")
		}
	}
	keys, err := f.keys(t.Context(), 0)
	name(len(keys.items), func() string { return keys.items[0].ID }, err)
	groups, err := f.groups(t.Context(), 0)
	name(len(groups.items), func() string { return groups.items[0].Name }, err)
	limits, err := f.limits(t.Context(), 0)
	name(len(limits.items), func() string { return limits.items[0].ID }, err)
	return names
}

func all(name string) []string { return []string{name, name, name} }

func TestAnotherVerifierStandsInForTheFirstWhereUsageIsShared(t *testing.T) {
	first, second := &replica{name: "first", shared: true}, &replica{name: "second", shared: true}
	f := feedOf(t, first, second)
	if got := told(t, f); !slices.Equal(got, all("first")) || second.asked > 0 {
		t.Errorf("while the first is there %q answer, and the second is asked %d times", got, second.asked)
	}
	first.away = true
	if got := told(t, f); !slices.Equal(got, all("second")) {
		t.Errorf("while the first is away %q answer", got)
	}
	asked := first.asked
	if got := told(t, f); !slices.Equal(got, all("second")) || first.asked != asked {
		t.Errorf("then %q answer, and the first, which did not, is asked before", got)
	}
	first.away, second.away = false, true
	if got := told(t, f); !slices.Equal(got, all("first")) {
		t.Errorf("while the second is away %q answer", got)
	}
}

func TestAVerifierThatCountsForItselfStandsInForNobody(t *testing.T) {
	first, second := &replica{name: "first", away: true}, &replica{name: "second"}
	f := feedOf(t, first, second)
	if got := told(t, f); !slices.Equal(got, all("")) {
		t.Errorf("%q answer", got)
	}
	_, err := f.keys(t.Context(), 0)
	if err == nil || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), "counts usage for itself") {
		t.Errorf("the error is %v, want both reasons", err)
	}
	first.away = false
	if got := told(t, f); !slices.Equal(got, all("first")) {
		t.Errorf("once the first is back %q answer", got)
	}
}

func TestOfSeveralVerifiersUsageIsKnownWhereTheyShareIt(t *testing.T) {
	w := newWriteBack(newCluster(t, nil, nil), testclock.NewFakeClock(start), unlimited)
	for i, shared := range []bool{false, true, false} {
		now := start.Add(time.Duration(i) * time.Minute)
		w.keys.read = func(_ context.Context, after int64) (page[usagefeed.Key], error) {
			return page[usagefeed.Key]{epoch: "e", next: after, shared: shared}, nil
		}
		if err := w.readKeys(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		var want time.Time
		alone := now.Add(-tellsWithin)
		if shared {
			want, alone = now.Add(-seenWithin), now.Add(-seenWithin)
		}
		if got := w.KnownUntilOf("any", false); !got.Equal(want) {
			t.Errorf("with shared %v usage is known until %v, want %v", shared, got, want)
		}
		if got := w.KnownUntilOf("any", true); !got.Equal(alone) {
			t.Errorf("with one verifier usage is known until %v", got)
		}
	}
}
