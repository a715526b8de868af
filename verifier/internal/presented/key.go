// Package presented reads what a request presents to the doors: its key, the workspace it
// speaks of, the address it comes from and its ID. Every door reads them by the same rules.
//
// Values are those of a header field in the order in which they were sent. Nothing is kept of
// them but parts of the strings that are returned.
package presented

import (
	"encoding/base64"
	"errors"
	"strings"
)

// ErrTwoKeys is for a request that bears two different keys.
var ErrTwoKeys = errors.New("two different keys were sent; send one")

// undecodable stands for credentials that cannot be read: a key, but never a valid one.
const undecodable = "?"

// Key is what a request bears for a key.
type Key struct {
	// Text is the key as it was sent; empty: there is none.
	Text string
	// InAuthorization says that a key was in Authorization, be it the only place or not, so that
	// the field is ours and not for the service behind the gateway.
	InAuthorization bool
}

func (k *Key) add(text string) error {
	switch {
	case text == "" || text == k.Text:
		return nil
	case k.Text != "":
		return ErrTwoKeys
	}
	k.Text = text
	return nil
}

// Foreign says whether a text is a key that was brought along, whatever it looks like; nil: nothing is. It is asked
// only where the form does not tell.
type Foreign func(text string) bool

func (f Foreign) is(text string) bool { return f != nil && f(text) }

// KeyOf finds the key that a request bears: in X-API-Key, in Authorization as Bearer, or as
// Basic (the base64 of the key, or the key as user or as password). The same key in several places
// is one key; two different ones are ErrTwoKeys. Keys from the URL, where they are looked for, go
// with those of X-API-Key.
//
// Authorization may also be meant for the service behind the gateway, a user's JWT say. So
// beside an X-API-Key it counts only if it holds something that looks like a key, or the same key. Whether
// it is a key of another form must make no difference there: keys could be tried, beside one that is valid.
func KeyOf(apiKeys, authorizations []string, foreign Foreign) (Key, error) {
	var key Key
	for _, value := range apiKeys {
		// Proxies join repeated headers with commas, which no key of ours holds.
		if text := strings.TrimSpace(value); strings.IndexByte(text, ',') >= 0 && foreign.is(text) {
			if err := key.add(text); err != nil {
				return Key{}, err
			}
			continue
		}
		for text := range strings.SplitSeq(value, ",") {
			if err := key.add(strings.TrimSpace(text)); err != nil {
				return Key{}, err
			}
		}
	}
	chosen := key.Text != ""
	for _, value := range authorizations {
		for _, text := range authorizationKeys(value, key.Text, foreign) {
			if text == "" || chosen && text != key.Text && !LooksLikeKey(text) {
				continue
			}
			if err := key.add(text); err != nil {
				return Key{}, err
			}
			key.InAuthorization = true
		}
	}
	return key, nil
}

// authorizationKeys reads one Authorization header, which holds two keys at most; known is a key that
// was found before. Schemes other than Bearer and Basic are none of our business and hold no key.
func authorizationKeys(value, known string, foreign Foreign) (keys [2]string) {
	scheme, credentials, _ := strings.Cut(strings.TrimSpace(value), " ")
	credentials = strings.TrimSpace(credentials)
	switch {
	case credentials == "":
	case strings.EqualFold(scheme, "Bearer"):
		keys[0] = credentials
	case strings.EqualFold(scheme, "Basic"):
		return basicKeys(credentials, known, foreign)
	}
	return keys
}

func basicKeys(credentials, known string, foreign Foreign) (keys [2]string) {
	text, ok := decodeBase64(credentials)
	if !ok {
		return [2]string{undecodable}
	}
	text = strings.TrimRight(text, "\r\n") // echo "$KEY" | base64
	user, password, isPair := strings.Cut(text, ":")
	if !isPair {
		return [2]string{text}
	}
	if user == "" && password == "" {
		return keys
	}
	if LooksLikeKey(user) {
		keys[0] = user
	}
	if LooksLikeKey(password) {
		keys[1] = password
	}
	if keys == [2]string{} {
		return foreignKeys(text, user, password, known, foreign)
	}
	return keys
}

// foreignKeys finds keys that do not look like one in a user and a password, or in both as a whole: a key of
// others may have a colon in it.
func foreignKeys(text, user, password, known string, foreign Foreign) (keys [2]string) {
	is := func(text string) bool { return text != "" && text == known || foreign.is(text) }
	switch {
	case is(text):
		keys[0] = text
	case is(user), is(password):
		if is(user) {
			keys[0] = user
		}
		if is(password) {
			keys[1] = password
		}
	default:
		keys[0] = undecodable // a user and a password of something else
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

// LooksLikeKey tells keys, cut or mistyped ones too, from other credentials.
func LooksLikeKey(text string) bool {
	return strings.Contains(text, "_live_") || strings.Contains(text, "_test_")
}
