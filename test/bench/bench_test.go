package main

import (
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/test/bench/population"
	"github.com/claviger-dev/claviger/test/bench/report"
)

func TestWhatWasSeenIsAnsweredAgain(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) //nolint:errcheck // a test
		w.Header().Set("Content-Type", "application/json")
		w.Header()["X-Twice"] = []string{"a", "b"}
		w.WriteHeader(http.StatusTeapot)
		io.WriteString(w, `{"valid":true}`)
	}))
	defer server.Close()
	people, err := population.New(1)
	if err != nil {
		t.Fatal(err)
	}
	records := people.Keys.Records()
	for _, door := range []httpDoor{verifyDoor, authDoor} {
		question, err := door.question(server.Listener.Addr().String(), records)
		if err != nil {
			t.Fatal(err)
		}
		seen, err := question.Record(records.At(0))
		if err != nil {
			t.Fatal(err)
		}
		r, err := parseRecorded(seen)
		if err != nil {
			t.Fatal(err)
		}
		again := httptest.NewServer(bareHandler(map[string]*recorded{door.path: r}))
		defer again.Close()
		question.Address = again.Listener.Addr().String()
		answer, err := question.Record(records.At(0))
		if err != nil {
			t.Fatal(err)
		}
		if got, want := lines(answer), lines(seen); !slices.Equal(got, want) {
			t.Errorf("%s is answered with %q, not %q", door.path, got, want)
		}
		if err := sameSize(seen, answer); err != nil {
			t.Error(err)
		}
		if sameSize(seen, answer[:len(answer)/2]) == nil {
			t.Error("half of the answer is said to be of the same size")
		}
	}
}

// lines are those of an answer, without the time, in no order.
func lines(answer []byte) []string {
	all := strings.Split(string(answer), "\r\n")
	all = slices.DeleteFunc(all, func(line string) bool { return strings.HasPrefix(line, "Date: ") })
	slices.Sort(all)
	return all
}

func TestQuestionsAreOfTheirKey(t *testing.T) {
	people, err := population.New(3)
	if err != nil {
		t.Fatal(err)
	}
	records := people.Keys.Records()
	asked := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		asked[r.URL.String()+string(body)+strings.Join(slices.Concat(slices.Sorted(maps.Keys(r.Header)), r.Header["X-Api-Key"], r.Header["X-Workspace-Id"], r.Header["X-Forwarded-For"]), " ")] = true
	}))
	defer server.Close()
	for _, question := range []httpDoor{verifyDoor, authDoor, {"", strangerQuestion}} {
		q, err := question.question(server.Listener.Addr().String(), records)
		if err != nil {
			t.Fatal(err)
		}
		for number := range 3 {
			clear(asked)
			if _, err := q.Record(records.At(number)); err != nil {
				t.Fatal(err)
			}
			for text := range asked {
				for _, part := range []string{people.Keys.At(number), population.WorkspaceID(number), population.Resource(number)} {
					if !strings.Contains(text, part) {
						t.Errorf("the question about key %d does not hold %s: %s", number, part, text)
					}
				}
			}
			if len(asked) != 1 {
				t.Errorf("%d questions were asked", len(asked))
			}
		}
	}
}

func TestOptionsAreChecked(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "claviger")
	if err := os.WriteFile(binary, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := (options{binary: binary, only: []string{"http", "revoke"}}).check(); err != nil {
		t.Error(err)
	}
	for _, o := range []options{{binary: binary, only: []string{"https"}}, {binary: binary + "2"}} {
		if o.check() == nil {
			t.Errorf("%+v was accepted", o)
		}
	}
}

func TestFiguresAreWrittenWhereBenchJSONSays(t *testing.T) {
	file := filepath.Join(t.TempDir(), "figures.json")
	r := &report.Report{Progress: io.Discard}
	r.Section("s")
	r.Add(report.Row{Metric: "revoke_p99_ms", Value: 12.5, Unit: "ms"})
	t.Setenv("BENCH_JSON", file)
	if err := writeJSON(r); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(file); err != nil || !strings.Contains(string(text), `"name": "revoke_p99_ms"`) {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestTheHeapIsReadOutOfAProfile(t *testing.T) {
	profile := []byte("heap profile: 1: 2 [3: 4] @ heap/1048576\n\n# runtime.MemStats\n# HeapIdle = 1064960\n# HeapReleased = 4096\n")
	if idle, released := heapStat(profile, "HeapIdle"), heapStat(profile, "HeapReleased"); idle != 1064960 || released != 4096 {
		t.Errorf("got %d and %d", idle, released)
	}
	if heapStat(profile, "Heap") != 0 {
		t.Error("half a name was found")
	}
}

func TestTheFirstLineIsFoundHoweverItComes(t *testing.T) {
	f := &firstLine{found: make(chan string, 1)}
	for _, part := range []string{"listening ", "on 127", ".0.0.1:1\n"} {
		io.WriteString(f, part)
	}
	if line := <-f.found; line != "listening on 127.0.0.1:1" {
		t.Errorf("got %q", line)
	}
}
