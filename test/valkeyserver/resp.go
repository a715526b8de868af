package valkeyserver

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"time"
)

// Do sends the server one command, and fails the test where that fails. The answer is a string, an int64, nil
// or a list of such.
func (s *Server) Do(command ...string) any {
	s.t.Helper()
	answer, err := s.Ask(command...)
	if err != nil {
		s.t.Fatalf("%s: %v", command[0], err)
	}
	return answer
}

// Ask is Do where an error is expected.
func (s *Server) Ask(command ...string) (any, error) {
	conn, err := net.DialTimeout("tcp", s.Addr(), patience)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	answers := bufio.NewReader(conn)
	if s.options.password != "" {
		if _, err := exchange(conn, answers, "AUTH", s.options.password); err != nil {
			return nil, err
		}
	}
	return exchange(conn, answers, command...)
}

func exchange(w io.Writer, r *bufio.Reader, command ...string) (any, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(&b, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(w, b.String()); err != nil {
		return nil, err
	}
	return read(r)
}

// read reads an answer in RESP2, the protocol that a connection begins with.
func read(r *bufio.Reader) (any, error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return nil, err
	}
	kind, rest := line[0], strings.TrimSpace(line[1:])
	switch kind {
	case '+':
		return rest, nil
	case '-':
		return nil, fmt.Errorf("the server says: %s", rest)
	}
	n, err := strconv.ParseInt(rest, 10, 64)
	if err != nil || kind == ':' {
		return n, err
	}
	if n < 0 {
		return nil, nil
	}
	if kind == '$' {
		text := make([]byte, n+2)
		_, err := io.ReadFull(r, text)
		return string(text[:n]), err
	}
	list := make([]any, n)
	for i := range list {
		if list[i], err = read(r); err != nil {
			return nil, err
		}
	}
	return list, nil
}
