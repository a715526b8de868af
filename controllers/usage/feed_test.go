package usage

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// verifier serves answer over HTTPS and returns a feed that trusts it.
func verifier(t *testing.T, token string, answer http.HandlerFunc) *feed {
	t.Helper()
	server := httptest.NewTLSServer(answer)
	t.Cleanup(server.Close)
	ca := filepath.Join(t.TempDir(), "ca.crt")
	writeFile(t, ca, authority(server))
	tokenFile := filepath.Join(t.TempDir(), "token")
	writeFile(t, tokenFile, []byte(token))
	f, err := newFeed([]string{server.URL}, ca, tokenFile)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func authority(server *httptest.Server) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}

func writeFile(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func writePage(w http.ResponseWriter, page usagefeed.Page) {
	json.NewEncoder(w).Encode(page) //nolint:errcheck // a test
}

// pages is a verifier with the keys 1 to n, two on a page.
func pages(epoch *string, n *int64) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var after int64
		json.Unmarshal([]byte(r.URL.Query().Get("after")), &after) //nolint:errcheck // a test
		page := usagefeed.Page{Epoch: *epoch, Next: after}
		for page.Next < *n && len(page.Keys) < 2 {
			page.Next++
			page.Keys = append(page.Keys, usagefeed.Key{ID: string(rune('0' + page.Next))})
		}
		writePage(w, page)
	}
}

func keysOf(f *feed) *cursor[usagefeed.Key] { return &cursor[usagefeed.Key]{read: f.keys} }

func readIDs(t *testing.T, c *cursor[usagefeed.Key]) (ids []string) {
	t.Helper()
	err := c.readAll(context.Background(), start, func(keys []usagefeed.Key) {
		for _, key := range keys {
			ids = append(ids, key.ID)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestTheFeedIsReadToItsEndAndThenOnlyWhatIsNew(t *testing.T) {
	epoch, n := "e", int64(5)
	c := keysOf(verifier(t, "token", pages(&epoch, &n)))
	if got, want := readIDs(t, c), []string{"1", "2", "3", "4", "5"}; !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
	if got := readIDs(t, c); len(got) != 0 {
		t.Errorf("read %v though nothing changed", got)
	}
	n = 6
	if got, want := readIDs(t, c), []string{"6"}; !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
}

func TestAnotherEpochIsReadFromItsBeginning(t *testing.T) {
	epoch, n := "november", int64(3)
	c := keysOf(verifier(t, "token", pages(&epoch, &n)))
	readIDs(t, c)
	epoch = "december"
	if got, want := readIDs(t, c), []string{"1", "2", "3"}; !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
	epoch, n = "another store", 1
	if got, want := readIDs(t, c), []string{"1"}; !slices.Equal(got, want) {
		t.Errorf("read %v, want %v", got, want)
	}
}

func TestAFeedIsReadAnewAtMostOnceInAWhile(t *testing.T) {
	epoch, n := "e", int64(3)
	c := keysOf(verifier(t, "token", pages(&epoch, &n)))
	readIDs(t, c)
	read := func(now time.Time) (count int) {
		if err := c.readAll(context.Background(), now, func(keys []usagefeed.Key) { count += len(keys) }); err != nil {
			t.Fatal(err)
		}
		return count
	}
	for _, step := range []struct {
		again bool
		at    time.Duration
		want  int
	}{
		{false, 0, 0}, {true, time.Second, 3}, {false, 2 * time.Second, 0},
		{true, 3 * time.Second, 0}, {false, time.Second + restartEvery, 3}, {false, 3 * restartEvery, 0},
	} {
		if step.again {
			c.again.Store(true)
		}
		if got := read(start.Add(step.at)); got != step.want {
			t.Errorf("after %v %d keys are read, want %d", step.at, got, step.want)
		}
	}
}

func TestTheFeedOfLimitsIsReadLikeThatOfKeys(t *testing.T) {
	f := verifier(t, "token", func(w http.ResponseWriter, r *http.Request) {
		page := usagefeed.LimitPage{Epoch: "e", Next: 1}
		if r.URL.Path != usagefeed.LimitsPath {
			http.NotFound(w, r)
			return
		}
		if r.URL.Query().Get("after") == "0" {
			page.Limits = []usagefeed.Limit{{ID: "l", Denied: 7, ThrottledKeys: 1}}
		}
		json.NewEncoder(w).Encode(page) //nolint:errcheck // a test
	})
	c := cursor[usagefeed.Limit]{read: f.limits}
	var got []usagefeed.Limit
	err := c.readAll(context.Background(), start, func(limits []usagefeed.Limit) { got = append(got, limits...) })
	if err != nil || len(got) != 1 || got[0] != (usagefeed.Limit{ID: "l", Denied: 7, ThrottledKeys: 1}) {
		t.Errorf("read %+v, %v", got, err)
	}
}

func TestWhatIsNoFeedIsAnError(t *testing.T) {
	tests := map[string]struct {
		answer http.HandlerFunc
		says   string
	}{
		"not allowed": {func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, `{"error":"may not get /usage"}`, http.StatusForbidden)
		}, "may not get /usage"},
		"no JSON": {func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte("<html>")) //nolint:errcheck // a test
		}, "as a verifier does"},
		"JSON of other types": {func(w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte(`{"next":"1","keys":{}}`)) //nolint:errcheck // a test
		}, "as a verifier does"},
		"one that never stays the same": {func(w http.ResponseWriter, _ *http.Request) {
			writePage(w, usagefeed.Page{Epoch: rand.Text(), Next: 1})
		}, "several verifiers"},
		"one that goes backwards": {func(w http.ResponseWriter, _ *http.Request) {
			writePage(w, usagefeed.Page{Next: -1})
		}, "goes back"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := keysOf(verifier(t, "token", test.answer))
			err := c.readAll(context.Background(), start, func([]usagefeed.Key) {})
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("the error is %v, want %q in it", err, test.says)
			}
		})
	}
}
