package valkey

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
)

func TestURLs(t *testing.T) {
	tests := map[string]target{
		"redis://valkey":               {hosts: []string{"valkey:6379"}},
		"valkey://valkey:7000/":        {hosts: []string{"valkey:7000"}},
		"redis://a:1,b:2,c/3":          {hosts: []string{"a:1", "b:2", "c:6379"}, db: 3},
		"rediss://u:p@valkey":          {hosts: []string{"valkey:6379"}, user: "u", password: "p", tls: true},
		"valkeys://:p%2Fq%40@valkey/0": {hosts: []string{"valkey:6379"}, password: "p/q@", tls: true},
		"redis://u:p@q@[::1]:7000,::2": {hosts: []string{"[::1]:7000", "[::2]:6379"}, user: "u", password: "p@q"},
	}
	for text, want := range tests {
		if got, err := parseURL(text); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

func TestAWrongURLIsAnErrorAtOnceAndIsNotShown(t *testing.T) {
	for _, text := range []string{
		"", "secret", "http://u:secret@valkey", "redis://", "redis://u:secret@", "redis://u:secret@valkey:", "redis://u:secret@valkey:x",
		"redis://u:secret@valkey:99999", "redis://u:secret@valkey/x", "redis://u:secret@valkey/-1", "redis://u:secret@valkey,",
		"redis://u:secret@valkey:6379?db=1", "redis://u:secret%@valkey", "redis://u:sec/ret@valkey", "redis://u:secret@a b",
	} {
		_, err := New(Options{URL: text})
		if err == nil {
			t.Errorf("%s is no error", text)
		} else if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "sec/") {
			t.Errorf("%s: the error shows the password: %v", text, err)
		}
	}
	if _, err := New(Options{URL: "redis://valkey", Timeout: -time.Second}); err == nil {
		t.Error("a negative timeout is no error")
	}
}

func TestACertificateIsOfTheHostThatWasNamed(t *testing.T) {
	secure := target{hosts: []string{"valkey.example:6379"}, tls: true}
	for server, want := range map[string]string{"member-1.example:6379": "member-1.example", "10.0.0.1:6379": "valkey.example"} {
		if got := secure.tlsFor(server).ServerName; got != want {
			t.Errorf("%s must show the certificate of %s, want %s", server, got, want)
		}
	}
	if (&target{hosts: secure.hosts}).tlsFor("a:1") != nil {
		t.Error("TLS is spoken where it was not asked for")
	}
}

func TestOutagesAreReadAsTheyAreWritten(t *testing.T) {
	for _, o := range []Outage{OutageLocal, OutageOpen, OutageClosed} {
		if got, err := ParseOutage(o.String()); err != nil || got != o {
			t.Errorf("%v: %v, %v", o, got, err)
		}
	}
	if _, err := ParseOutage("maybe"); err == nil || !strings.Contains(err.Error(), "local") {
		t.Errorf("no sentence says what there is: %v", err)
	}
}

func TestARequestIsLateWhenItsTimeIsOver(t *testing.T) {
	var w watch
	for range 100 { // wherever the hand stands
		place := w.begin()
		for range hours {
			if w.move() {
				t.Fatal("it is late before its time is over")
			}
		}
		other := w.begin()
		if !w.move() {
			t.Fatal("it is not late after its time and a move more")
		}
		w.end(place)
		w.end(other)
	}
	for range 20 {
		if w.move() {
			t.Fatal("a request is late that has ended")
		}
	}
}

// What is in a word is internal/limit's, and must be the same here.
func TestWordsAreThoseOfTheLimits(t *testing.T) {
	now := newClock().Now()
	for _, r := range kinds()[:4] {
		var b limit.Bucket
		r.Take(&b, now.Add(-10*time.Second), 7)
		at := now.Add(time.Second)
		a, n, ok := seedOf(r, at, b.Word())
		if got := wordOf(r, at, a, n); !ok || got != b.Word() {
			t.Errorf("%v: %x is read as %d and %d, which is %x", r.Kind, b.Word(), a, n, got)
		}
		var again limit.Bucket
		again.SetWord(partWord(r, b.Word(), 3, at))
		if left := r.Look(&again, at).Remaining; r.Kind != limit.Tokens && left != 87 {
			t.Errorf("%v: a third of 7 leaves %d of 90", r.Kind, left)
		}
	}
}
