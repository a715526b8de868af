package httpapi

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/claviger-dev/claviger/api/v1alpha1"
	"github.com/claviger-dev/claviger/internal/keyindex/indextest"
)

const form = "Content-Type: application/x-www-form-urlencoded"

func TestIntrospectionOfAGoodKey(t *testing.T) {
	end := metav1.NewTime(now.Add(time.Hour))
	f := newFixture(t, func(s *spec) {
		s.ExpiresAt = &end
		s.ServiceAccountRef = &v1alpha1.LocalReference{Name: "robot"}
		s.LimitRefs = indextest.Refs("once")
	})
	indextest.SetAccount(f.index, "robot")
	indextest.SetLimit(f.index, "once", 1, time.Minute, 0)
	id := string(indextest.UID("key", "k"))
	want := map[string]any{
		"active": true, "scope": "read write", "client_id": id, "sub": "serviceaccount:tenant/robot", "token_type": "Bearer", "exp": float64(end.Unix()),
		"key": map[string]any{
			"id": id, "name": "k", "namespace": "tenant", "workspace": "tenant/shop", "environment": "live",
			"scopes": []any{"read", "write"}, "serviceAccount": "robot", "expiresAt": "2026-03-01T14:00:00Z",
		},
	}
	for range 3 { // asking takes nothing
		w := f.do("POST", "/v1/introspect", "token="+f.key+"&token_type_hint=access_token&unknown=ignored", form+"; charset=UTF-8")
		var got map[string]any
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != 200 || !reflect.DeepEqual(got, want) {
			t.Errorf("got %d, %v\n%s", w.Code, err, w.Body)
		}
		if strings.Contains(w.Body.String(), f.key) {
			t.Error("the answer repeats the key")
		}
	}
}

func TestAKeyThatActsForNoAccountIsItsOwnSubject(t *testing.T) {
	f := newFixture(t)
	if w := f.do("POST", "/v1/introspect", "token="+f.key, form); !strings.Contains(w.Body.String(), `"sub":"apikey:tenant/k","token_type":"Bearer","key"`) {
		t.Errorf("got %s", w.Body)
	}
}

// RFC 7662 section 2.2: nothing more may be told of a token that is not active.
func TestIntrospectionOfAnyOtherKeyTellsNothing(t *testing.T) {
	f := newFixture(t, func(s *spec) { s.State = v1alpha1.KeyRevoked })
	bound := indextest.Issue(t, f.index, "bound", func(s *spec) { s.AllowedCIDRs = []v1alpha1.CIDR{"203.0.113.0/24"} })
	for name, body := range map[string]string{
		"revoked":                 "token=" + f.key,
		"unknown":                 "token=" + stranger(t),
		"noise":                   "token=%20",
		"bound, from nowhere":     "token=" + bound,
		"bound, from elsewhere":   "token=" + bound + "&client_ip=198.51.100.1",
		"bound, from a liar's IP": "client_ip=198.51.100.1&token=" + bound,
	} {
		if w := f.do("POST", "/v1/introspect", body, form, "X-Forwarded-For: 203.0.113.9"); w.Code != 200 || w.Body.String() != `{"active":false}` {
			t.Errorf("%s: %d %s", name, w.Code, w.Body)
		}
	}
	if w := f.do("POST", "/v1/introspect", "token="+bound+"&client_ip=203.0.113.9", form); !strings.HasPrefix(w.Body.String(), `{"active":true`) {
		t.Errorf("bound, from its network: %s", w.Body)
	}
}

func TestIntrospectionsThatMakeNoSense(t *testing.T) {
	const text = "Bad request: send token=... as application/x-www-form-urlencoded"
	f := newFixture(t)
	for name, test := range map[string]struct {
		contentType, body, text string
	}{
		"no form":                  {"Content-Type: application/json", `{"token": "a"}`, text},
		"no type":                  {"Accept: */*", "token=a", text},
		"an empty form":            {form, "", text},
		"an empty token":           {form, "token=", text},
		"a key in another field":   {form, "key=" + f.key, text},
		"a form that ends badly":   {form, "token=%", text},
		"a semicolon":              {form, "token=a;token=b", text},
		"a token twice":            {form, "token=a&token=a", "Bad request: token is there twice"},
		"an address that is none":  {form, "token=a&client_ip=here", "Bad request: client_ip must be an IP address"},
		"a body beyond all bounds": {form, "token=" + strings.Repeat("a", maxBody), "Bad request: the body is longer than 65536 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			w := f.do("POST", "/v1/introspect", test.body, test.contentType)
			if p := problemOf(t, w); w.Code/100 != 4 || p.Code != "REQUEST_INVALID" || p.Error != test.text {
				t.Errorf("got %d %+v, want %q", w.Code, p, test.text)
			}
		})
	}
}

// Whatever the form, it is active only if it holds the key once, as net/url reads it.
func FuzzIntrospect(f *testing.F) {
	fixture := newFixture(f)
	for _, seed := range []string{"token=KEY", "token=KEY&token=KEY", "token=K%45Y", "token=KEY&client_ip=::1", "a=%&token=KEY", "token=KEY;", "&&token=KEY&", "token=+KEY", "client_ip=&token=KEY", "token&token=KEY"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, body string) {
		body = strings.ReplaceAll(body, "KEY", fixture.key)
		r := httptest.NewRequest("POST", "/v1/introspect", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		fixture.ServeHTTP(w, r)
		if !json.Valid(w.Body.Bytes()) || w.Code != http.StatusOK && w.Code != http.StatusBadRequest && w.Code != http.StatusRequestEntityTooLarge {
			t.Fatalf("%q: %d %s", body, w.Code, w.Body)
		}
		values, err := url.ParseQuery(body)
		alone := err == nil && len(values["token"]) == 1 && values["token"][0] == fixture.key
		if active := strings.HasPrefix(w.Body.String(), `{"active":true`); active && !alone || !active && alone && values["client_ip"] == nil && len(body) <= maxBody {
			t.Fatalf("%q: active %t: %s", body, active, w.Body)
		}
	})
}
