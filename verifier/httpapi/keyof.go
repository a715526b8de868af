package httpapi

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
)

var errTwoKeys = malformed("two different keys were sent; send one")

// undecodable stands for credentials that cannot be read: a key, but never a valid one.
const undecodable = "?"

// keyOf finds the key that a request bears, or "" if it bears none: in X-API-Key, in
// Authorization as Bearer, or as Basic (the base64 of the key, or the key as user or as password).
// The same key in several places is one key; two different ones are an error. A key in the URL is
// not looked for, as URLs end up in logs.
//
// Authorization may also be meant for the service behind the gateway, a user's JWT say. So
// beside an X-API-Key it counts only if it holds something that looks like a key.
func keyOf(header http.Header) (string, error) {
	var keys []string
	add := func(key string) {
		if key != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	for _, value := range header["X-Api-Key"] {
		// Proxies join repeated headers with commas, which no key holds.
		for key := range strings.SplitSeq(value, ",") {
			add(strings.TrimSpace(key))
		}
	}
	chosen := len(keys) > 0
	for _, value := range header["Authorization"] {
		for _, key := range authorizationKeys(value) {
			if !chosen || looksLikeKey(key) {
				add(key)
			}
		}
	}
	switch len(keys) {
	case 0:
		return "", nil
	case 1:
		return keys[0], nil
	default:
		return "", errTwoKeys
	}
}

// authorizationKeys reads one Authorization header. Schemes other than Bearer and Basic are
// none of our business and hold no key.
func authorizationKeys(value string) []string {
	scheme, credentials, _ := strings.Cut(strings.TrimSpace(value), " ")
	credentials = strings.TrimSpace(credentials)
	switch {
	case credentials == "":
		return nil
	case strings.EqualFold(scheme, "Bearer"):
		return []string{credentials}
	case strings.EqualFold(scheme, "Basic"):
		return basicKeys(credentials)
	}
	return nil
}

func basicKeys(credentials string) []string {
	text, ok := decodeBase64(credentials)
	if !ok {
		return []string{undecodable}
	}
	text = strings.TrimRight(text, "\r\n") // echo "$KEY" | base64
	user, password, isPair := strings.Cut(text, ":")
	if !isPair {
		return []string{text}
	}
	if user == "" && password == "" {
		return nil
	}
	var keys []string
	for _, part := range []string{user, password} {
		if looksLikeKey(part) {
			keys = append(keys, part)
		}
	}
	if keys == nil {
		return []string{undecodable} // a user and a password of something else
	}
	return keys
}

// decodeBase64 bears missing padding and the alphabet for URLs: clients make them up by hand.
func decodeBase64(text string) (string, bool) {
	text = strings.TrimRight(text, "=")
	for _, encoding := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if decoded, err := encoding.DecodeString(text); err == nil {
			return string(decoded), true
		}
	}
	return "", false
}

// looksLikeKey tells keys, cut or mistyped ones too, from other credentials.
func looksLikeKey(text string) bool {
	return strings.Contains(text, "_live_") || strings.Contains(text, "_test_")
}
