package valkey

import (
	"io"
	"math"
	"net"
	"strconv"
	"strings"
	"testing"
)

func TestAnswersAreFollowed(t *testing.T) {
	tests := map[string]struct {
		said    string
		answers int64
		garbage bool
	}{
		"nothing":                  {"", 0, false},
		"a text":                   {"+OK\r\n", 1, false},
		"an empty text":            {"+\r\n", 1, false},
		"an error":                 {"-ERR no\r\n", 1, false},
		"numbers":                  {":1\r\n:-2\r\n:0\r\n", 3, false},
		"texts with line ends":     {"$4\r\n\r\n\r\n\r\n$0\r\n\r\n$-1\r\n", 3, false},
		"lists":                    {"*2\r\n:1\r\n*2\r\n$1\r\na\r\n*0\r\n*-1\r\n", 2, false},
		"half of a list":           {"*2\r\n:1\r\n", 1, false},
		"a list after a list":      {"*1\r\n*1\r\n:1\r\n*1\r\n:1\r\n", 2, false},
		"no type":                  {"hello\r\n", 0, true},
		"a push":                   {">1\r\n+a\r\n", 0, true},
		"a list too long":          {"*65537\r\n", 0, true},
		"a text too long":          {"$1048577\r\n", 0, true},
		"less than nothing":        {"*-2\r\n", 0, true},
		"a text of less":           {"$-2\r\n", 0, true},
		"lists too deep":           {strings.Repeat("*1\r\n", 9), 0, true},
		"no number":                {":1a\r\n", 0, true},
		"no digits":                {":\r\n", 0, true},
		"a number without end":     {":" + strings.Repeat("9", 40), 0, true},
		"a line that ends halfway": {"+a\n", 0, true},
		"a carriage that returns":  {"+a\rb\r\n", 0, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			for size := 1; size <= len(test.said)+1; size++ { // however it is cut
				var s answerScanner
				var err error
				for rest := test.said; rest != "" && err == nil; {
					n := min(size, len(rest))
					err = s.scan([]byte(rest[:n]))
					rest = rest[n:]
				}
				if (err != nil) != test.garbage || err == nil && s.answers != test.answers {
					t.Errorf("in parts of %d: %d answers, %v", size, s.answers, err)
				}
			}
		})
	}
}

func TestCommandsAreCounted(t *testing.T) {
	said := "*1\r\n$4\r\nPING\r\n*3\r\n$3\r\nSET\r\n$0\r\n\r\n$12\r\n*1\r\n$4\r\nPI\r\n\r\n*2\r\n$4\r\nAUTH\r\n"
	for size := 1; size <= len(said); size++ {
		var s commandScanner
		var commands int64
		for rest := said; rest != ""; {
			n := min(size, len(rest))
			commands += s.scan([]byte(rest[:n]))
			rest = rest[n:]
		}
		if commands != 2 {
			t.Errorf("in parts of %d: %d commands", size, commands)
		}
	}
}

// The reader of the client library believes the lengths it is told.
func FuzzAnswers(f *testing.F) {
	for _, lie := range lies {
		f.Add([]byte(lie))
	}
	f.Fuzz(func(t *testing.T, said []byte) {
		var s answerScanner
		if s.scan(said) != nil {
			return
		}
		// A reader as simple as that one must come to the same end, without lengths that hurt.
		rest, answers := string(said), int64(0)
		for rest != "" {
			answers++
			var whole bool
			if rest, whole = readAnswer(t, rest, 0); !whole {
				break
			}
		}
		if answers != s.answers {
			t.Errorf("%q: %d answers, want %d", said, s.answers, answers)
		}
	})
}

func readAnswer(t *testing.T, said string, depth int) (rest string, whole bool) {
	line, rest, ok := strings.Cut(said, "\r\n")
	if !ok {
		return "", false
	}
	if line[0] == '+' || line[0] == '-' || line[0] == ':' {
		return rest, true
	}
	n, err := strconv.ParseInt(line[1:], 10, 64)
	if line[1:] == "-" {
		n, err = 0, nil // as that reader has it
	}
	if err != nil || n < -1 || n > math.MaxInt32 || depth > 100 {
		t.Fatalf("%q was let through", line)
	}
	if line[0] == '$' && n >= 0 {
		if len(rest) < int(n)+2 {
			return "", false
		}
		return rest[n+2:], true
	}
	for range max(0, n) * int64(strings.Count(line[:1], "*")) {
		if rest == "" {
			return "", false
		}
		if rest, ok = readAnswer(t, rest, depth+1); !ok {
			return "", false
		}
	}
	return rest, true
}

func TestTheReasonWhyAConnectionBreaksIsKept(t *testing.T) {
	client, server := net.Pipe()
	var reasons []error
	g := &guard{Conn: client, closed: func(err error) { reasons = append(reasons, err) }}
	go io.WriteString(server, "+OK\r\n")
	if n, err := g.Read(make([]byte, 10)); n != 0 || err != errUnasked {
		t.Errorf("read %d, %v", n, err)
	}
	g.Close()
	if len(reasons) != 1 || reasons[0] != errUnasked {
		t.Errorf("closed for %v", reasons)
	}
}
