package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"

	"golang.org/x/term"

	"github.com/claviger-dev/claviger/internal/token"
)

var (
	looksLikeKey = regexp.MustCompile(`[a-z][a-z0-9]{0,15}_(live|test)_[0-9A-Za-z]{32}`)
	ageIdentity  = regexp.MustCompile(`(?i)AGE-SECRET-KEY-1`)
)

// refuseSecrets keeps keys off the command line. By then it is too late for this one, so it says that, too.
func refuseSecrets(arguments []string) error {
	for _, argument := range arguments {
		if ageIdentity.MatchString(argument) {
			return errors.New("an age identity is a secret, and no command takes one as an argument; it is now in your shell's history: remove it there")
		}
		for _, text := range looksLikeKey.FindAllString(argument, -1) {
			if _, err := token.Parse(text); err == nil {
				return errors.New("an argument is a key. Keys do not belong on the command line, where the shell's history and the list of processes show them: " +
					"pass it by standard input (kubectl claviger verify < FILE, or let it ask). Remove it from your history, and consider it leaked")
			}
		}
	}
	return nil
}

// maxKey is more than any key that was brought along can have, in bytes.
const maxKey = 8 << 10

// readKey reads a key from standard input. At a terminal it asks for it, and does not show it.
func (p *Plugin) readKey(ctx context.Context) (string, error) {
	text, err := p.input(ctx)
	if err != nil {
		return "", fmt.Errorf("the key cannot be read from standard input: %w", err)
	}
	key := strings.TrimSpace(text)
	switch {
	case key == "":
		return "", errors.New("there is no key on standard input: pipe it in, for example from a file, or run this at a terminal to be asked")
	case len(key) > maxKey:
		return "", fmt.Errorf("what is on standard input is longer than %d KiB, so it is no key", maxKey>>10)
	case strings.ContainsAny(key, "\r\n"):
		return "", errors.New("there are several lines on standard input: pass one key, and nothing else")
	}
	return key, nil
}

func (p *Plugin) input(ctx context.Context) (string, error) {
	file, ok := p.In.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		text, err := io.ReadAll(io.LimitReader(p.In, maxKey+2))
		return string(text), err
	}
	terminal := int(file.Fd())
	before, err := term.GetState(terminal)
	if err != nil {
		return "", err
	}
	fmt.Fprint(p.ErrOut, "Key (it is not shown): ") //nolint:errcheck // it can be typed all the same
	defer p.say("")
	type line struct {
		text []byte
		err  error
	}
	typed := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(terminal)
		typed <- line{text, err}
	}()
	select {
	case l := <-typed:
		return string(l.text), l.err
	case <-ctx.Done():
		// Or the terminal would go on showing nothing.
		return "", errors.Join(ctx.Err(), term.Restore(terminal, before))
	}
}
