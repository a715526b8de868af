package main

import (
	"fmt"
	"strings"
	"testing"

	"go.uber.org/zap/zapcore"
)

func TestLogLevelsAreWordsOrLogrsNumbers(t *testing.T) {
	for text, want := range map[string]zapcore.Level{
		"error": zapcore.ErrorLevel, "info": zapcore.InfoLevel, "debug": zapcore.DebugLevel, "1": zapcore.DebugLevel, "6": -6,
	} {
		if got, err := parseLevel(text); err != nil || got != want {
			t.Errorf("%s was read as %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "warn?", "0", "-1", "128", "1.5"} {
		if got, err := parseLevel(text); err == nil || !strings.Contains(err.Error(), "--log-level") {
			t.Errorf("%q was read as %v, %v; want an error that names the flag", text, got, err)
		}
	}
}

func TestTrustedProxiesAreNetworksOrAddresses(t *testing.T) {
	got, err := parsePrefixes([]string{"10.0.0.0/8", "192.0.2.7", "2001:db8::1/32"})
	if want := "[10.0.0.0/8 192.0.2.7/32 2001:db8::/32]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("read as %v, %v; want %s", got, err, want)
	}
	for _, text := range []string{"", "proxy", "10.0.0.0/33", "10.0.0"} {
		if got, err := parsePrefixes([]string{text}); err == nil || !strings.Contains(err.Error(), "--trusted-proxies") {
			t.Errorf("%q was read as %v, %v; want an error that names the flag", text, got, err)
		}
	}
}
