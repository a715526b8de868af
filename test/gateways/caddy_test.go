package gateways

import "testing"

func TestCaddy(t *testing.T) {
	caddy := program(t, "caddy")
	s := newSite(t)
	config := write(t, t.TempDir(), "Caddyfile", s.configure(t, block(t, "caddy.md", "caddy")))
	s.run(t, caddy, "run", "--adapter", "caddyfile", "--config", config)
	s.protects(t)
}
