package gateways

import (
	"testing"
)

func TestTraefik(t *testing.T) {
	t.Parallel()
	traefik := program(t, "traefik")
	s := newSite(t)
	dir := t.TempDir()
	write(t, dir, "claviger.yml", replace(t, block(t, "traefik.md", "dynamic"), guideVerifier, s.verifier.address, guideUpstream, s.upstream.address))
	static := replace(t, block(t, "traefik.md", "static"), guideGateway, s.port(), "/etc/traefik/dynamic", dir)
	s.run(t, traefik, "--configFile="+write(t, t.TempDir(), "traefik.yml", static))
	s.protects(t)
}
