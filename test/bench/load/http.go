package load

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// Peer is one connection that has one question under way at a time.
type Peer interface {
	// Ask sends the question for a record and waits for the answer, which must be the
	// expected one.
	Ask(record []byte) error
	Close() error
}

// longestAnswer is more than any server that is measured sends.
const longestAnswer = 64 << 10

const (
	connectTimeout = 30 * time.Second
	// lifetime is longer than any connection is used: a server that hangs ends the benchmark.
	lifetime = 10 * time.Minute
)

// HTTP is a question over HTTP/1.1.
type HTTP struct {
	Address  string
	Question Template
	// From is the address to ask from; empty: the system chooses.
	From string
	// Status and Body are how the answer must begin; zero: any may come.
	Status int
	Body   []byte
	// Check looks at the whole body of each answer besides, from the goroutine of its connection; nil: nobody does.
	Check func(body []byte) error
}

type httpPeer struct {
	*HTTP
	connection net.Conn
	question   []byte
	buffer     [longestAnswer]byte
}

// Connect opens a connection.
func (h *HTTP) Connect() (Peer, error) {
	connection, err := dial(h.From, h.Address)
	if err != nil {
		return nil, err
	}
	return &httpPeer{HTTP: h, connection: connection, question: bytes.Clone(h.Question.Bytes)}, nil
}

func dial(from, to string) (net.Conn, error) {
	dialer := net.Dialer{Timeout: connectTimeout}
	if from != "" {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	connection, err := dialer.Dial("tcp", to)
	if err != nil {
		return nil, err
	}
	return connection, connection.SetDeadline(time.Now().Add(lifetime))
}

// Ask implements Peer.
func (p *httpPeer) Ask(record []byte) error {
	a, err := p.exchange(record)
	if err != nil {
		return err
	}
	if p.Status != 0 && a.status != p.Status || !bytes.HasPrefix(a.body, p.Body) {
		return fmt.Errorf("the answer is %d %.200q, not %d %.200q", a.status, a.body, p.Status, p.Body)
	}
	if p.Check != nil {
		return p.Check(a.body)
	}
	return nil
}

func (p *httpPeer) exchange(record []byte) (answer, error) {
	p.Question.fill(p.question, record)
	if _, err := p.connection.Write(p.question); err != nil {
		return answer{}, err
	}
	for n := 0; ; {
		if n == len(p.buffer) {
			return answer{}, errors.New("the answer is longer than any should be")
		}
		read, err := p.connection.Read(p.buffer[n:])
		n += read
		a, parseErr := parseAnswer(p.buffer[:n])
		switch {
		case parseErr == nil && a.length == n:
			return a, nil
		case parseErr == nil:
			return answer{}, errors.New("more than the answer was sent")
		case !errors.Is(parseErr, errIncomplete):
			return answer{}, parseErr
		case errors.Is(err, io.EOF):
			return answer{}, io.ErrUnexpectedEOF
		case err != nil:
			return answer{}, err
		}
	}
}

// Close implements Peer.
func (p *httpPeer) Close() error { return p.connection.Close() }

// Record asks once, and returns the whole answer as it was sent.
func (h *HTTP) Record(record []byte) ([]byte, error) {
	peer, err := h.Connect()
	if err != nil {
		return nil, err
	}
	defer peer.Close() //nolint:errcheck // it was only read from
	p := peer.(*httpPeer)
	a, err := p.exchange(record)
	if err != nil {
		return nil, err
	}
	return bytes.Clone(p.buffer[:a.length]), nil
}
