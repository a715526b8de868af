package valkey

import (
	"errors"
	"net"
	"sync/atomic"
)

// guard is a connection that only lets through what a server may say. The client library trusts the
// server: it panics, in a goroutine of its own, on an answer that nobody asked for, and on a length that is
// negative or larger than the memory. The protocol is RESP2, of which everything is an answer.
type guard struct {
	net.Conn
	closed func(error) // called when the client library closes the connection, with the reason if there was one
	broken atomic.Pointer[error]

	asked atomic.Int64 // commands written so far
	out   commandScanner
	in    answerScanner
}

func (g *guard) Read(p []byte) (int, error) {
	n, err := g.Conn.Read(p)
	if e := g.in.scan(p[:n]); e != nil {
		n, err = 0, e
	} else if n > 0 && g.in.answers > g.asked.Load() {
		n, err = 0, errUnasked
	}
	return n, g.noted(err)
}

// Write counts the commands before they are on their way, so that no answer can be quicker.
func (g *guard) Write(p []byte) (int, error) {
	g.asked.Add(g.out.scan(p))
	n, err := g.Conn.Write(p)
	return n, g.noted(err)
}

// noted keeps the first error, which is the reason why the connection will be closed.
func (g *guard) noted(err error) error {
	if err != nil {
		g.broken.CompareAndSwap(nil, &err)
	}
	return err
}

func (g *guard) Close() error {
	err := g.Conn.Close()
	if reason := g.broken.Load(); reason != nil {
		g.closed(*reason)
	} else {
		g.closed(errOver)
	}
	return err
}

// commandScanner counts the commands in what the client writes, which is well-formed: a list of texts
// each.
type commandScanner struct {
	line   lineScanner
	texts  int64 // to come of the command
	inText int64 // bytes to come of a text, with its line end
}

func (s *commandScanner) scan(p []byte) (commands int64) {
	for len(p) > 0 {
		if s.inText > 0 {
			n := min(s.inText, int64(len(p)))
			s.inText -= n
			p = p[n:]
			if s.inText == 0 {
				if s.texts--; s.texts == 0 {
					commands++
				}
			}
			continue
		}
		done, _ := s.line.add(p[0])
		p = p[1:]
		if !done {
			continue
		}
		if s.line.kind == '*' {
			s.texts = s.line.number
		} else {
			s.inText = s.line.number + 2
		}
		s.line = lineScanner{}
	}
	return commands
}

const (
	maxText  = 1 << 20
	maxList  = 1 << 16
	maxDepth = 8
	maxLine  = 1 << 12
)

// answerScanner follows the answers of a server.
type answerScanner struct {
	line    lineScanner
	inText  int64           // bytes to come of a text, with its line end
	lists   [maxDepth]int64 // elements to come of each list that is open
	depth   int
	answers int64 // begun so far
}

var (
	errGarbage = errors.New("the server says what is not its protocol")
	errUnasked = errors.New("the server answers what it was not asked")
)

func (s *answerScanner) scan(p []byte) error {
	for len(p) > 0 {
		if s.inText > 0 {
			n := min(s.inText, int64(len(p)))
			s.inText -= n
			p = p[n:]
			if s.inText == 0 {
				s.ended()
			}
			continue
		}
		if s.depth == 0 && s.line.length == 0 {
			s.answers++
		}
		done, err := s.line.add(p[0])
		p = p[1:]
		if err != nil {
			return err
		}
		if done {
			if err := s.header(); err != nil {
				return err
			}
			s.line = lineScanner{}
		}
	}
	return nil
}

func (s *answerScanner) header() error {
	n := s.line.number
	switch s.line.kind {
	case '+', '-', ':':
		s.ended()
	case '$':
		if n < -1 || n > maxText {
			return errGarbage
		}
		if n == -1 {
			s.ended()
			return nil
		}
		s.inText = n + 2
	case '*':
		if n < -1 || n > maxList || n > 0 && s.depth == maxDepth {
			return errGarbage
		}
		if n <= 0 {
			s.ended()
			return nil
		}
		s.lists[s.depth] = n
		s.depth++
	}
	return nil
}

// ended counts an element in the list that it is in, and that list, if it is complete, in its own.
func (s *answerScanner) ended() {
	for s.depth > 0 {
		if s.lists[s.depth-1]--; s.lists[s.depth-1] > 0 {
			return
		}
		s.depth--
	}
}

// lineScanner reads a line: what kind it is of and, but for texts and errors, the number it says.
type lineScanner struct {
	kind     byte
	number   int64
	length   int
	negative bool
	carriage bool // the last one was a carriage return
}

func (l *lineScanner) add(b byte) (done bool, err error) {
	l.length++
	switch {
	case l.length == 1:
		l.kind = b
		switch b {
		case '+', '-', ':', '$', '*':
			return false, nil
		}
		return false, errGarbage
	case l.length > maxLine:
		return false, errGarbage
	case b == '\n':
		if !l.carriage {
			return false, errGarbage
		}
		if l.negative {
			l.number = -l.number
		}
		return true, nil
	case l.carriage:
		return false, errGarbage
	case b == '\r':
		l.carriage = true
		if l.length == 2 && l.kind != '+' {
			return false, errGarbage
		}
		return false, nil
	case l.kind == '+' || l.kind == '-':
		return false, nil
	case b == '-' && l.length == 2:
		l.negative = true
		return false, nil
	case b < '0' || b > '9' || l.number > 1<<58:
		return false, errGarbage
	}
	l.number = l.number*10 + int64(b-'0')
	return false, nil
}
