package valkey

import (
	"crypto/tls"
	"errors"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// target is where a URL points to.
type target struct {
	hosts    []string // with their ports
	user     string
	password string
	db       int
	tls      bool
}

const defaultPort = "6379"

// parseURL reads a URL. No error shows it, since there may be a password in it.
func parseURL(text string) (target, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	if !ok || !slices.Contains([]string{"redis", "rediss", "valkey", "valkeys"}, scheme) {
		return target{}, errors.New("the URL of the shared limits must begin with redis:// or, for TLS, with rediss://")
	}
	t := target{tls: scheme == "rediss" || scheme == "valkeys"}
	authority, path, _ := strings.Cut(rest, "/")
	hosts := authority
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		hosts = authority[at+1:]
		if err := t.credentials(authority[:at]); err != nil {
			return target{}, err
		}
	}
	if path != "" {
		db, err := strconv.Atoi(path)
		if err != nil || db < 0 {
			return target{}, errors.New("after its hosts, the URL of the shared limits may name the number of a database, as in redis://host:6379/0, and nothing else; a / in a password must be written %2F")
		}
		t.db = db
	}
	for host := range strings.SplitSeq(hosts, ",") {
		address, err := address(host)
		if err != nil {
			return target{}, err
		}
		t.hosts = append(t.hosts, address)
	}
	return t, nil
}

func (t *target) credentials(text string) error {
	user, password, _ := strings.Cut(text, ":")
	var err, err2 error
	t.user, err = url.PathUnescape(user)
	t.password, err2 = url.PathUnescape(password)
	if err != nil || err2 != nil {
		return errors.New("the user or the password in the URL of the shared limits cannot be read: a % in them must be written %25")
	}
	return nil
}

// address adds the port where it is missing.
func address(host string) (string, error) {
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name, port = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), defaultPort
		if strings.Contains(name, ":") && net.ParseIP(name) == nil {
			name = ""
		}
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if name == "" || err != nil || number == 0 || strings.ContainsAny(name, "?#@/ ") {
		return "", errors.New("each host in the URL of the shared limits must be a name or an address with, after a colon, its port, as in redis://valkey-0:6379,valkey-1:6379; nothing may follow but the number of a database")
	}
	return net.JoinHostPort(name, port), nil
}

// tlsFor is how to speak TLS to a server; nil for not at all. Where a cluster names its members by
// addresses, they are expected to show the certificate of the first host.
func (t *target) tlsFor(server string) *tls.Config {
	if !t.tls {
		return nil
	}
	name, _, _ := net.SplitHostPort(server)
	if net.ParseIP(name) != nil {
		name, _, _ = net.SplitHostPort(t.hosts[0])
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, ServerName: name}
}

// redacted is an error without the password, should a server send that back.
type redacted struct {
	err      error
	password string
}

func (r redacted) Error() string {
	text := r.err.Error()
	if r.password != "" {
		text = strings.ReplaceAll(text, r.password, "***")
	}
	return text
}

func (r redacted) Unwrap() error { return r.err }
