package presented

import (
	"encoding/base64"
	"strings"
	"testing"
)

// foreign knows some keys of other forms.
func foreign(text string) bool { return text == "key-1,2:3" || text == "x-1" || text == "1" }

func FuzzKeyOf(f *testing.F) {
	for _, seed := range []string{"Bearer x", "bearer  x ", "Basic eDp5", "Basic =", "Digest a", "Bearer", "Bearer a, Bearer b", "\x00 \xff", "Basic Og=="} {
		f.Add("", seed)
		f.Add("ak_live_x", seed)
		f.Add("a, b", seed)
		f.Add("key-1,2:3", seed)
	}
	f.Fuzz(func(t *testing.T, apiKey, authorization string) {
		found, err := KeyOf([]string{apiKey}, []string{authorization}, foreign)
		key := found.Text
		if err != nil {
			if found != (Key{}) {
				t.Fatal("an error comes with a key")
			}
			return
		}
		if key != strings.TrimSpace(key) && !strings.HasPrefix(strings.ToLower(strings.TrimSpace(authorization)), "basic ") {
			t.Fatalf("the key %q has blanks around it", key)
		}
		// Saying the same twice changes nothing.
		twice, err := KeyOf([]string{apiKey, apiKey}, []string{authorization, authorization}, foreign)
		if err != nil || twice != found {
			t.Fatalf("once it is %v, twice %v, %v", found, twice, err)
		}
		// Whatever is sent as a whole key in each of the forms comes out as it went in.
		for _, sent := range []string{
			"Bearer " + key, "Basic " + base64.StdEncoding.EncodeToString([]byte(key+":")),
			"Basic " + base64.StdEncoding.EncodeToString([]byte("me:"+key)), "Basic " + base64.StdEncoding.EncodeToString([]byte(key)),
		} {
			if !LooksLikeKey(key) || strings.ContainsAny(key, ": ") || key != strings.TrimSpace(key) {
				break
			}
			if got, err := KeyOf(nil, []string{sent}, foreign); err != nil || got.Text != key || !got.InAuthorization {
				t.Fatalf("%q sent as %q came out as %v, %v", key, sent, got, err)
			}
		}
	})
}
