package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
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

func TestEveryFlagIsDocumented(t *testing.T) {
	for file, command := range map[string]*cobra.Command{"verifier.md": verifierCommand(), "operator.md": operatorCommand()} {
		page, err := os.ReadFile("../../docs/" + file)
		if err != nil {
			t.Fatal(err)
		}
		command.Flags().VisitAll(func(flag *pflag.Flag) {
			if !strings.Contains(string(page), "`--"+flag.Name+"`") {
				t.Errorf("--%s is not in docs/%s", flag.Name, file)
			}
		})
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

func TestStalenessIsBoundedByNoLessThanAHealthySilence(t *testing.T) {
	for _, longest := range []time.Duration{0, 2 * time.Minute, 24 * time.Hour} {
		if err := checkStaleness(longest); err != nil {
			t.Errorf("%s: %v", longest, err)
		}
	}
	for _, longest := range []time.Duration{-1, time.Second, 2*time.Minute - 1} {
		if err := checkStaleness(longest); err == nil || !strings.Contains(err.Error(), "--max-staleness") {
			t.Errorf("%s was answered with %v; want an error that names the flag", longest, err)
		}
	}
}
