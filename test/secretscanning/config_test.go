package secretscanning_test

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// scanner finds keys in a text as a scanner would that is given one of the shipped files.
type scanner struct {
	regex    *regexp.Regexp
	entropy  float64
	keywords []string
	allowed  func(secret string) bool
}

func (s scanner) find(text string) (found []string) {
	if !containsAny(strings.ToLower(text), s.keywords) {
		return nil
	}
	for _, match := range s.regex.FindAllString(text, -1) {
		// As gitleaks does: what was matched is matched again, without the lines around it.
		secret := s.regex.FindStringSubmatch(strings.Trim(match, "\n"))[1]
		if entropy(secret) > s.entropy && !s.allowed(secret) {
			found = append(found, secret)
		}
	}
	return found
}

func containsAny(text string, words []string) bool {
	for _, word := range words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}

// entropy is Shannon's, in bits a character, as both scanners reckon it.
func entropy(text string) (bits float64) {
	counts := map[rune]int{}
	for _, r := range text {
		counts[r]++
	}
	for _, n := range counts {
		p := float64(n) / float64(len(text))
		bits -= p * math.Log2(p)
	}
	return bits
}

// scanners are the shipped files, by name.
func scanners(t *testing.T) map[string]scanner {
	t.Helper()
	return map[string]scanner{"gitleaks": gitleaks(t), "trufflehog": trufflehog(t)}
}

func gitleaks(t *testing.T) scanner {
	t.Helper()
	tables, err := parseTOML(read(t, "gitleaks.toml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(tables["rules"]) != 1 || len(tables["rules.allowlists"]) != 1 || tables["extend"][0]["useDefault"] != true {
		t.Fatalf("gitleaks.toml holds %v", tables)
	}
	rule, allowlist := tables["rules"][0], tables["rules.allowlists"][0]
	if rule["id"] == "" || rule["description"] == "" || rule["secretGroup"] != 1.0 {
		t.Errorf("the rule is %v", rule)
	}
	var allowed []*regexp.Regexp
	for _, text := range allowlist["regexes"].([]any) {
		allowed = append(allowed, regexp.MustCompile(text.(string)))
	}
	s := scanner{
		regex: regexp.MustCompile(rule["regex"].(string)), entropy: rule["entropy"].(float64),
		allowed: func(secret string) bool {
			for _, regex := range allowed {
				if regex.MatchString(secret) {
					return true
				}
			}
			return false
		},
	}
	for _, keyword := range rule["keywords"].([]any) {
		s.keywords = append(s.keywords, keyword.(string))
	}
	return s
}

func trufflehog(t *testing.T) scanner {
	t.Helper()
	// As its CUSTOM_DETECTORS.md has them.
	var file struct {
		Detectors []struct {
			Name         string            `json:"name"`
			Keywords     []string          `json:"keywords"`
			Regex        map[string]string `json:"regex"`
			Entropy      float64           `json:"entropy"`
			ExcludeWords []string          `json:"exclude_words"`
		} `json:"detectors"`
	}
	if err := yaml.UnmarshalStrict([]byte(read(t, "trufflehog.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	if len(file.Detectors) != 1 || len(file.Detectors[0].Regex) != 1 || file.Detectors[0].Name == "" {
		t.Fatalf("trufflehog.yaml holds %+v", file)
	}
	detector := file.Detectors[0]
	return scanner{
		regex: regexp.MustCompile(detector.Regex["key"]), entropy: detector.Entropy, keywords: detector.Keywords,
		allowed: func(secret string) bool { return containsAny(secret, detector.ExcludeWords) },
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile("../../config/secret-scanning/" + name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

var (
	tomlTable = regexp.MustCompile(`^\[([a-z.]+)\]$`)
	tomlArray = regexp.MustCompile(`^\[\[([a-z.]+)\]\]$`)
	tomlPair  = regexp.MustCompile(`^([A-Za-z]+) = (.+)$`)
	tomlText  = regexp.MustCompile(`^(?:'''([^\n]*?)'''|"([^"\\]*)")`)
)

// parseTOML reads as much of TOML as the file needs, and refuses everything else. What is before the first table
// is in the one named "".
func parseTOML(text string) (map[string][]map[string]any, error) {
	current := map[string]any{}
	tables := map[string][]map[string]any{"": {current}}
	for i, line := range strings.Split(text, "\n") {
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if table := tomlTable.FindStringSubmatch(line); table != nil && tables[table[1]] == nil {
			current = map[string]any{}
			tables[table[1]] = []map[string]any{current}
		} else if array := tomlArray.FindStringSubmatch(line); array != nil {
			current = map[string]any{}
			tables[array[1]] = append(tables[array[1]], current)
		} else if pair := tomlPair.FindStringSubmatch(line); pair != nil && current[pair[1]] == nil {
			value, rest, err := tomlValue(pair[2])
			if err != nil || rest != "" {
				return nil, fmt.Errorf("line %d: %q cannot be read (%v)", i+1, line, err)
			}
			current[pair[1]] = value
		} else {
			return nil, fmt.Errorf("line %d: %q cannot be read", i+1, line)
		}
	}
	return tables, nil
}

// tomlValue reads a text, a number, a truth or a list of texts.
func tomlValue(text string) (value any, rest string, err error) {
	if match := tomlText.FindStringSubmatch(text); match != nil {
		return match[1] + match[2], text[len(match[0]):], nil
	}
	if list, ok := strings.CutPrefix(text, "["); ok {
		var values []any
		for !strings.HasPrefix(list, "]") {
			if value, list, err = tomlValue(list); err != nil {
				return nil, "", err
			}
			values = append(values, value)
			list = strings.TrimPrefix(list, ", ")
		}
		return values, list[1:], nil
	}
	if truth, err := strconv.ParseBool(text); err == nil && len(text) > 1 {
		return truth, "", nil
	}
	number, err := strconv.ParseFloat(text, 64)
	return number, "", err
}
