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

// AppendQueryKeys appends the keys that a query holds in a parameter.
func AppendQueryKeys(keys []string, query, parameter string) []string {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if name, value, ok := QueryPair(pair); ok && name == parameter {
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
