package valkey

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/limit"
	"github.com/claviger-dev/claviger/test/valkeyserver"
)

// liar stands before a server, and answers in its place what a test says when it is asked for counters.
type liar struct {
	addr    string
	backend string
	lie     atomic.Pointer[string]
	mute    atomic.Pointer[string] // commands with this in them are carried out, and not answered
	muted   atomic.Int64
	slow    atomic.Int64 // nanoseconds until anything is answered
	visits  atomic.Int64 // connections so far
}

func newLiar(t *testing.T, backend string) *liar {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	l := &liar{addr: listener.Addr().String(), backend: backend}
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go l.serve(conn)
		}
	}()
	return l
}

func (l *liar) serve(conn net.Conn) {
	defer conn.Close()
	l.visits.Add(1)
	back, err := net.Dial("tcp", l.backend)
	if err != nil {
		return
	}
	defer back.Close()
	asked, answered := bufio.NewReader(conn), bufio.NewReader(back)
	for {
		command, err := whole(asked)
		if err != nil {
			return
		}
		if lie := l.lie.Load(); lie != nil && strings.Contains(command, keyPrefix) {
			if io.WriteString(conn, *lie); *lie == "" {
				return
			}
			continue
		}
		io.WriteString(back, command)
		answer, err := whole(answered)
		if err != nil {
			return
		}
		time.Sleep(time.Duration(l.slow.Load()))
		if mute := l.mute.Load(); mute != nil && strings.Contains(command, *mute) {
			l.muted.Add(1)
			return
		}
		io.WriteString(conn, answer)
	}
}

// whole reads one command or answer, as it is written.
func whole(r *bufio.Reader) (string, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	n, _ := strconv.Atoi(strings.TrimSpace(line[1:]))
	switch line[0] {
	case '$':
		text := make([]byte, max(0, n+2))
		if n < 0 {
			text = nil
		}
		_, err := io.ReadFull(r, text)
		return line + string(text), err
	case '*':
		for range n {
			part, err := whole(r)
			if err != nil {
				return "", err
			}
			line += part
		}
	}
	return line, nil
}

// lies are answers that no request may be hurt by.
var lies = map[string]string{
	"loading":                     "-LOADING Redis is loading the dataset in memory\r\n",
	"a replica":                   "-READONLY You can't write against a read only replica.\r\n",
	"out of memory":               "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
	"a disk that is full":         "-MISCONF Redis is configured to save RDB snapshots\r\n",
	"busy":                        "-BUSY Redis is busy running a script.\r\n",
	"no password":                 "-NOAUTH Authentication required.\r\n",
	"no permission":               "-NOPERM this user has no permissions\r\n",
	"no primary":                  "-MASTERDOWN Link with MASTER is down\r\n",
	"no cluster":                  "-CLUSTERDOWN Hash slot not served\r\n",
	"moved":                       "-MOVED 1 127.0.0.1:1\r\n",
	"moved nowhere":               "-MOVED\r\n",
	"being moved":                 "-ASK 1 127.0.0.1:1\r\n",
	"being moved, nobody knows":   "-ASK\r\n",
	"try again":                   "-TRYAGAIN Multiple keys request during rehashing of slot\r\n",
	"any error":                   "-ERR something\r\n",
	"no script whatever is done":  "-NOSCRIPT No matching script.\r\n",
	"an empty error":              "-\r\n",
	"a number":                    ":1\r\n",
	"a text":                      "+OK\r\n",
	"nothing":                     "$-1\r\n",
	"no list":                     "*-1\r\n",
	"an empty list":               "*0\r\n",
	"a short list":                "*2\r\n:1\r\n:1\r\n",
	"a list of texts":             "*5\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n$1\r\na\r\n",
	"a list of huge numbers":      "*5\r\n:999999999999999999999999\r\n:1\r\n:1\r\n:1\r\n:1\r\n",
	"a list of negative numbers":  "*5\r\n:-9\r\n:-9\r\n:-9\r\n:-9\r\n:-9\r\n",
	"a list of less than nothing": "*-7\r\n",
	"a text of less than nothing": "$-7\r\n",
	"a text without end":          "$99999999999999\r\n",
	"a list without end":          "*99999999999999\r\n",
	"lists in lists":              strings.Repeat("*1\r\n", 100000),
	"two answers":                 ":1\r\n:1\r\n",
	"a message":                   ">2\r\n+message\r\n+a\r\n",
	"a subscription":              ">3\r\n+subscribe\r\n+a\r\n:1\r\n",
	"another protocol":            "HTTP/1.1 400 Bad Request\r\n\r\n",
	"noise":                       "\x00\x01\x02\xff\xfe\r\n\r\n",
	"a line without end":          "+" + strings.Repeat("a", 100000),
	"half an answer":              "*5\r\n:1\r\n:1",
	"the end":                     "",
}

func TestNoAnswerHurtsARequest(t *testing.T) {
	server := valkeyserver.Start(t)
	for _, outage := range []Outage{OutageLocal, OutageOpen, OutageClosed} {
		t.Run(outage.String(), func(t *testing.T) {
			t.Parallel()
			l := newLiar(t, server.Addr())
			s := start(t, Options{URL: "redis://" + l.addr, Outage: outage, Timeout: inTime})
			for name, lie := range lies {
				answered(t, s, l, name, lie)
			}
		})
	}
}

func answered(t *testing.T, s *Store, l *liar, name, lie string) {
	a := ask(&limit.Rule{Max: 10, Per: time.Hour})
	waitSettled(t, s)
	take(t, s, a)
	l.lie.Store(&lie)
	results, err := s.Take(context.Background(), time.Now(), []Ask{a}, limit.Cost{Requests: 1}, "x", nil)
	l.lie.Store(nil)
	closed := errors.Is(err, ErrUnavailable)
	if closed != (s.options.Outage == OutageClosed) || !closed && !results[0].Allowed {
		if !strings.Contains(name, "negative") { // which it may say, and which refuses
			t.Errorf("%s: %+v, %v", name, results, err)
		}
	}
	waitSettled(t, s)
	if got := used(t, s, a); got < 1 || got > 2 {
		t.Errorf("%s: %d are counted", name, got)
	}
}

// A server that answers later than a request waits is away, and stays so until it is quick again.
func TestAServerThatIsSlowIsAway(t *testing.T) {
	server := valkeyserver.Start(t)
	for _, outage := range []Outage{OutageLocal, OutageOpen, OutageClosed} {
		t.Run(outage.String(), func(t *testing.T) {
			t.Parallel()
			l := newLiar(t, server.Addr())
			s := start(t, Options{URL: "redis://" + l.addr, Outage: outage, Timeout: inTime})
			a := ask(&limit.Rule{Max: limit.MaxRequests, Per: time.Hour})
			take(t, s, a)
			l.slow.Store(int64(2 * inTime))
			visits := l.visits.Load()
			admitted := int64(1)
			for range 20 {
				results, err := s.Take(context.Background(), time.Now(), []Ask{a}, limit.Cost{Requests: 1}, "x", nil)
				if closed := errors.Is(err, ErrUnavailable); closed != (outage == OutageClosed) || !closed && !results[0].Allowed {
					t.Errorf("%+v, %v", results, err)
				}
				if err == nil {
					admitted++
				}
			}
			wait(t, "it is tried again", func() bool { return l.visits.Load() >= visits+3 })
			if s.connected() {
				t.Error("a slow server is asked")
			}
			l.slow.Store(0)
			waitSettled(t, s)
			if got := used(t, s, a); got < admitted || got > admitted+failures(s) {
				t.Errorf("%d were admitted, and %d are counted", admitted, got)
			}
		})
	}
}

// Where the answer is lost, what was admitted in an outage is told again, and counts once.
func TestWhatIsAdmittedInAnOutageIsCountedOnce(t *testing.T) {
	t.Parallel()
	clock := newClock()
	server := valkeyserver.Start(t)
	l := newLiar(t, server.Addr())
	s := start(t, Options{URL: "redis://" + l.addr, Now: clock.Now, Timeout: inTime})
	m := &team{t: t, server: server, clock: clock, stores: []*Store{s}}
	settling, taking := "settled:", "EVALSHA"
	for _, r := range kinds() {
		a := ask(r)
		for range 10 {
			m.take(s, a)
		}
		waitSettled(t, s)
		l.mute.Store(&taking) // heartbeats as well, so that the outage lasts
		m.take(s, a)          // counted, and not answered: it counts twice
		for range 19 {
			m.take(s, a)
		}
		muted := l.muted.Load()
		l.mute.Store(&settling)
		wait(t, "three answers are lost", func() bool { return l.muted.Load() >= muted+3 })
		for range 5 {
			m.take(s, a) // here or there, as it may be
		}
		l.mute.Store(nil)
		waitSettled(t, s)
		if got := m.takeAll([]Ask{a}, 90); got != 90-10-1-20-5 {
			t.Errorf("%v: %d more are admitted after 35 of 90, of which one counts twice", r.Kind, got)
		}
	}
}

// A wrong password is an outage, and nobody gets to see it.
func TestAWrongPasswordIsAnOutageAndIsNotShown(t *testing.T) {
	t.Parallel()
	server := valkeyserver.Start(t, valkeyserver.Password("right-one"))
	h, log := hear()
	s := run(t, Options{URL: fmt.Sprintf("redis://:wrong-one@%s", server.Addr()), Log: log})
	a := ask(&limit.Rule{Max: 1, Per: time.Hour})
	if results := take(t, s, a); !results[0].Allowed {
		t.Errorf("the share is not admitted: %+v", results)
	}
	if line := <-h.lines; !strings.Contains(line, "WRONGPASS") || strings.Contains(line, "wrong-one") {
		t.Errorf("the log says %s", line)
	}
	server.Do("CONFIG", "SET", "requirepass", "wrong-one")
	wait(t, "the store is connected", s.connected)
}
