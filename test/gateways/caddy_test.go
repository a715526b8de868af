package gateways

import "testing"

func TestCaddy(t *testing.T) {
	t.Parallel()
	caddy := program(t, "caddy")
	s := newSite(t)
	config := write(t, t.TempDir(), "Caddyfile", s.configure(t, block(t, "caddy.md", "caddy")))
	s.run(t, caddy, "run", "--adapter", "caddyfile", "--config", config)
	t.Run("gives up waiting for the verifier", s.givesUpWaiting)
	s.protects(t)
}
