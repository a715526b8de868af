package valkey

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
)

// Options say where the limits are shared, and what to do while they cannot be.
type Options struct {
	// URL of the server: redis://user:password@host:6379/0, or rediss:// for TLS. Several hosts, with commas between
	// them, are a cluster's members, or a primary and those that may take its place.
	URL string
	// PasswordFile holds the password, in place of the URL. It is read again for each connection.
	PasswordFile string
	// Timeout is how long a request waits for the server; DefaultTimeout where it is zero.
	Timeout time.Duration
	// Outage is what becomes of requests while the server is away.
	Outage Outage
	// Now is a clock in place of the server's. It is for tests.
	Now func() time.Time
	Log logr.Logger
	// Registerer gets the metrics; nil keeps them from view.
	Registerer prometheus.Registerer
}

// DefaultTimeout is long for a server nearby, and short for whoever waits for an answer.
const DefaultTimeout = 100 * time.Millisecond

// Outage is what becomes of requests while the server is away.
type Outage uint8

const (
	// OutageLocal lets each verifier admit its share of each limit, so that all together admit about the limit.
	OutageLocal Outage = iota
	// OutageOpen admits everything.
	OutageOpen
	// OutageClosed admits nothing.
	OutageClosed
)

func (o Outage) String() string {
	switch o {
	case OutageOpen:
		return "open"
	case OutageClosed:
		return "closed"
	}
	return "local"
}

// ParseOutage reads what String wrote; nothing is OutageLocal.
func ParseOutage(text string) (Outage, error) {
	switch text {
	case "", "local":
		return OutageLocal, nil
	case "open":
		return OutageOpen, nil
	case "closed":
		return OutageClosed, nil
	}
	return 0, fmt.Errorf("%q says not what to do while the server of the shared limits is away: say local (each verifier admits its share), open (everything is admitted) or closed (nothing is)", text)
}

// ErrUnavailable is why a request cannot be decided, with OutageClosed.
var ErrUnavailable = errors.New("the shared limits cannot be asked for at the moment: try again later")

// password is the one to connect with now.
func (o *Options) password(inURL string) (string, error) {
	if o.PasswordFile == "" {
		return inURL, nil
	}
	content, err := os.ReadFile(o.PasswordFile)
	if err != nil {
		return "", fmt.Errorf("the password of the server of the shared limits cannot be read: %w", err)
	}
	return strings.TrimRight(string(content), "\r\n"), nil
}
