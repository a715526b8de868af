package presented

import (
	"net/url"
	"strings"
)

// QueryOf is the query of a URL, or of the path of a request.
func QueryOf(url string) string {
	url, _, _ = strings.Cut(url, "#")
	_, query, _ := strings.Cut(url, "?")
	return query
}

// AppendQueryKeys appends the keys that a query holds in a parameter. Its name must be there as it is:
// gateways, which take it out afterwards, would not find one that is escaped.
func AppendQueryKeys(keys []string, query, parameter string) []string {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if name, _, _ := strings.Cut(pair, "="); name != parameter {
			continue
		}
		if _, value, ok := QueryPair(pair); ok {
			keys = append(keys, value)
		}
	}
	return keys
}

// QueryPair reads name=value as url.ParseQuery does: a semicolon is none of the separators.
func QueryPair(pair string) (name, value string, ok bool) {
	if strings.IndexByte(pair, ';') >= 0 {
		return "", "", false
	}
	name, value, _ = strings.Cut(pair, "=")
	if strings.ContainsAny(pair, "%+") {
		var errs [2]error
		name, errs[0] = url.QueryUnescape(name)
		value, errs[1] = url.QueryUnescape(value)
		if errs[0] != nil || errs[1] != nil {
			return "", "", false
		}
	}
	return name, value, true
}
