package httpapi

import (
	"net/http"
	"strings"
)

// clientURLs are where gateways put the URL that the client asked for: Traefik and Caddy; nginx,
// by convention.
var clientURLs = [...]string{"X-Forwarded-Uri", "X-Original-Uri", "X-Original-Url"}

// appendURLKeys appends the values that a parameter of the client's URL has.
func appendURLKeys(keys []string, header http.Header, parameter string) []string {
	for _, name := range clientURLs {
		for _, url := range header[name] {
			url, _, _ = strings.Cut(url, "#")
			_, query, _ := strings.Cut(url, "?")
			for query != "" {
				var pair string
				pair, query, _ = strings.Cut(query, "&")
				if name, value, ok := unescapePair(pair); ok && name == parameter {
					keys = append(keys, value)
				}
			}
		}
	}
	return keys
}
