package analytics

import (
	"net/http"
	"strings"
	"testing"

	"github.com/claviger-dev/claviger/internal/usage"
)

// everyRoute are all routes, of the key k.
func everyRoute() (targets []string) {
	for path := range Paths() {
		targets = append(targets, strings.ReplaceAll(path, "{id}", id("k")))
	}
	return targets
}

// withoutID is a body without the request's ID.
func withoutID(w interface{ Header() http.Header }, body string) string {
	return strings.ReplaceAll(body, w.Header().Get("X-Request-Id"), "ID")
}

// Every route, with every credential that is not the right one: nobody sees another workspace, nor whether there is one.
func TestNobodySeesWhatIsNotTheirs(t *testing.T) {
	f := newFixture(t)
	const secret = 123456789
	f.add(t, event(t, "k", shop, now, usage.Allowed, spends(secret, usage.Details{Tier: "secret-tier", Domain: "secret.example"})))
	credentials := map[string]struct {
		headers []string
		// The status for the routes of k, for those of the workspace, and for these where not one workspace is named.
		key, workspace, misnamed int
	}{
		"none":                                          {nil, 401, 401, 401},
		"no key":                                        {[]string{"X-API-Key", "nonsense"}, 401, 401, 401},
		"a revoked key that might read":                 {[]string{"X-API-Key", f.revoked}, 401, 401, 401},
		"another workspace's key":                       {[]string{"X-API-Key", f.otherKey}, 403, 401, 403},
		"another workspace's reader":                    {[]string{"X-API-Key", f.otherReader}, 404, 401, 400},
		"the same as Bearer":                            {[]string{"Authorization", "Bearer " + f.otherReader}, 404, 401, 400},
		"a token that Kubernetes does not know":         {[]string{"Authorization", "Bearer a.b.c"}, 401, 401, 401},
		"an identity that may nothing":                  {[]string{"Authorization", "Bearer h.nobody.s"}, 404, 404, 400},
		"one that may what has the same name elsewhere": {[]string{"Authorization", "Bearer h.elsewhere.s"}, 404, 404, 400},
		"one that may the other workspace":              {[]string{"Authorization", "Bearer h.ofOther.s"}, 404, 404, 400},
		"one that may the workspace and not the key":    {[]string{"Authorization", "Bearer h.ofShop.s"}, 404, 200, 400},
		"one that may the key and not the workspace":    {[]string{"Authorization", "Bearer h.ofKey.s"}, 200, 404, 400},
		"the key itself":                                {[]string{"X-API-Key", f.key}, 200, 403, 403},
		"the workspace's reader":                        {[]string{"X-API-Key", f.reader}, 200, 200, 400},
	}
	for name, test := range credentials {
		for _, target := range everyRoute() {
			want, headers := test.key, test.headers
			if strings.HasPrefix(target, WorkspacePath) {
				want, headers = test.workspace, append([]string{"X-Workspace-Id", shop}, headers...)
			}
			ask := func(want int, headers ...string) {
				t.Helper()
				w := f.get(target, headers...)
				if w.Code != want {
					t.Errorf("%s, with %s: %d %s, want %d", target, name, w.Code, w.Body, want)
				}
				if w.Code != http.StatusOK && (strings.Contains(w.Body.String(), "secret") || strings.Contains(w.Body.String(), "123456789")) {
					t.Errorf("%s, with %s, tells %s", target, name, w.Body)
				}
			}
			ask(want, headers...)
			// Whoever may not ask is not told how the question would have to be put.
			misnamed := test.misnamed
			if strings.HasPrefix(target, KeysPath) {
				if misnamed = want; want == 200 {
					misnamed = 400
				}
			}
			ask(misnamed, append([]string{"X-Workspace-Id", shop, "X-Organization-Id", other}, test.headers...)...)
			if strings.HasPrefix(target, WorkspacePath) {
				ask(misnamed, test.headers...)
				ask(misnamed, append([]string{"X-Workspace-Id", "shop"}, test.headers...)...)
			}
		}
	}
}

// What is somebody else's looks like what there is not.
func TestAnotherKeyLooksLikeNone(t *testing.T) {
	f := newFixture(t)
	f.add(t, event(t, "k", shop, now, usage.Allowed), event(t, "gone", other, now, usage.Allowed))
	for name, headers := range map[string][]string{
		"a reader": {"X-API-Key", f.reader}, "a key": {"X-API-Key", f.key}, "an identity": {"Authorization", "Bearer h.ofShop.s"},
	} {
		var bodies []string
		for _, which := range []string{id("o"), id("gone"), id("never"), "nonsense", "5f0c2a3e-0000-4000-8000-000000000001"} {
			w := f.get(KeysPath+which+"/usage", headers...)
			bodies = append(bodies, http.StatusText(w.Code)+withoutID(w, w.Body.String()))
		}
		for _, body := range bodies[1:] {
			if body != bodies[0] {
				t.Errorf("%s is told %q and %q", name, bodies[0], body)
			}
		}
	}
	var bodies []string
	for _, workspace := range []string{other, "tenant/none", "nowhere/none"} {
		w := f.get(WorkspacePath+"overview", "Authorization", "Bearer h.ofShop.s", "X-Workspace-Id", workspace)
		bodies = append(bodies, http.StatusText(w.Code)+withoutID(w, w.Body.String()))
	}
	if bodies[0] != bodies[1] || bodies[1] != bodies[2] || !strings.HasPrefix(bodies[0], "Not Found") {
		t.Errorf("workspaces are answered %q", bodies)
	}
}

func TestTheUsageOfADeletedKeyIsTheWorkspaces(t *testing.T) {
	f := newFixture(t)
	f.add(t, event(t, "gone", shop, now, usage.Allowed))
	for name, test := range map[string]struct {
		headers []string
		want    int
	}{
		"its reader":                    {[]string{"X-API-Key", f.reader}, 200},
		"whoever may get the workspace": {[]string{"Authorization", "Bearer h.ofShop.s"}, 200},
		"another workspace's reader":    {[]string{"X-API-Key", f.otherReader}, 404},
		"whoever may get another":       {[]string{"Authorization", "Bearer h.ofOther.s"}, 404},
		"another key of the workspace":  {[]string{"X-API-Key", f.key}, 403},
		"one that names another, too":   {[]string{"Authorization", "Bearer h.ofShop.s", "X-Workspace-Id", other}, 404},
	} {
		if w := f.get(KeysPath+id("gone")+"/usage", test.headers...); w.Code != test.want {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, test.want)
		}
	}
}

func TestAWorkspaceMustBeNamedAndMustBeTheKeys(t *testing.T) {
	f := newFixture(t)
	for name, test := range map[string]struct {
		target  string
		headers []string
		want    int
	}{
		"not at all":          {WorkspacePath + "overview", nil, 400},
		"in the header":       {WorkspacePath + "overview", []string{"X-Workspace-Id", shop}, 200},
		"in the query":        {WorkspacePath + "overview?workspace=tenant%2Fshop", nil, 200},
		"in both":             {WorkspacePath + "overview?workspace=tenant%2Fshop", []string{"X-Workspace-Id", shop}, 200},
		"two of them":         {WorkspacePath + "overview?workspace=tenant%2Fother", []string{"X-Workspace-Id", shop}, 400},
		"twice":               {WorkspacePath + "overview?workspace=tenant%2Fshop&workspace=tenant%2Fshop", nil, 400},
		"without a namespace": {WorkspacePath + "overview?workspace=shop", nil, 400},
		"another":             {WorkspacePath + "overview?workspace=tenant%2Fother", nil, 401},
		"of a key, another":   {KeysPath + "self/usage", []string{"X-Workspace-Id", other}, 401},
		"of a key, its own":   {KeysPath + "self/usage", []string{"X-Organization-Id", shop}, 200},
	} {
		if w := f.get(test.target, append([]string{"X-API-Key", f.reader}, test.headers...)...); w.Code != test.want {
			t.Errorf("%s: %d %s, want %d", name, w.Code, w.Body, test.want)
		}
	}
}

func TestRefusalsAreThoseOfTheDoors(t *testing.T) {
	f := newFixture(t)
	for name, test := range map[string]struct {
		target    string
		headers   []string
		text      string
		challenge string
	}{
		"no key":      {KeysPath + "self/usage", nil, "API key is required", `Bearer realm="claviger"`},
		"revoked":     {KeysPath + "self/usage", []string{"X-API-Key", f.revoked}, "API key has been revoked", `error="invalid_token"`},
		"lacks scope": {KeysPath + id("reader") + "/usage", []string{"X-API-Key", f.key}, "", `error="insufficient_scope"`},
	} {
		w := f.get(test.target, test.headers...)
		if !strings.Contains(w.Body.String(), test.text) || !strings.Contains(w.Header().Get("WWW-Authenticate"), test.challenge) {
			t.Errorf("%s: %s, %s", name, w.Body, w.Header().Get("WWW-Authenticate"))
		}
		if name == "lacks scope" && !strings.Contains(w.Header().Get("WWW-Authenticate"), `scope="usage:read"`) {
			t.Errorf("it is not told which: %s", w.Header().Get("WWW-Authenticate"))
		}
	}
}

func TestAnAPIServerThatIsAwayLetsNobodyRead(t *testing.T) {
	f := newFixture(t)
	f.kubernetes.away = true
	for _, target := range everyRoute() {
		if w := f.get(target, "Authorization", "Bearer h.ofShop.s", "X-Workspace-Id", shop); w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s: %d %s", target, w.Code, w.Body)
		}
	}
}
