package manifests

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const shop = `apiVersion: keys.claviger.dev/v1alpha1
kind: Workspace
metadata: {name: shop}
spec:
  scopes:
  - name: orders:read
  - name: orders:create
    implies: [orders:read]
---
apiVersion: keys.claviger.dev/v1alpha1
kind: KeyLimit
metadata: {name: standard}
spec:
  rates: [{requests: 100, per: 1m}]
`

const checkout = `apiVersion: keys.claviger.dev/v1alpha1
kind: ApiKey
metadata: {name: checkout}
spec:
  workspaceRef: {name: shop}
  scopes: [orders:read]
  limitRefs: [{name: standard}]
`

// demoKey is well-formed, and used nowhere but in tests and examples.
const (
	demoKey    = "ak_live_demoDEMOdemoDEMOdemoDEMO0010iZUh"
	demoSHA256 = "3891ce3821b2031bdafa2be1b1c281a8560777ca16d805d4c0fd989c88990281"
)

const checkoutHash = `apiVersion: v1
kind: Secret
type: keys.claviger.dev/hash
metadata: {name: checkout}
stringData:
  sha256: ` + demoSHA256 + "\n"

const checkoutSecret = `apiVersion: v1
kind: Secret
metadata: {name: checkout}
stringData:
  api-key: ` + demoKey + "\n"

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

type files map[string]string

func (f files) write(t *testing.T, directory string) {
	t.Helper()
	for name, text := range f {
		at := filepath.Join(directory, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func (f files) load(t *testing.T) result {
	t.Helper()
	directory := t.TempDir()
	f.write(t, directory)
	found, err := load(read(directory), noon)
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestMistakesSayFileLineAndField(t *testing.T) {
	const ours = "apiVersion: keys.claviger.dev/v1alpha1\n"
	tests := map[string]struct {
		add  files
		want []string
	}{
		"none": {files{}, nil},
		"a scope that the workspace has not": {
			files{"keys/a.yaml": strings.Replace(checkout, "[orders:read]", "\n  - orders:read\n  - orders:delete", 1)},
			[]string{`keys/a.yaml:8: spec.scopes[1]: Invalid value: "orders:delete": is not in the catalogue of Workspace "shop", which has orders:create, orders:read: use what it has, or add the scope to its spec.scopes`},
		},
		"a field nobody knows": {
			files{"keys/a.yaml": checkout + "  colour: red\n"},
			[]string{"keys/a.yaml:8: spec.colour: Forbidden: there is no such field: look for a misspelling or a wrong indentation"},
		},
		"in the second document, after a comment": {
			files{"b.yaml": "# one\n---\n# two\n" + ours + "kind: KeyLimit\nmetadata:\n  name: b\nspec:\n  rates:\n  - requests: 0\n    per: 1m\n"},
			[]string{"b.yaml:10: spec.rates[0].requests: Invalid value: 0: spec.rates[0].requests in body should be greater than or equal to 1"},
		},
		"in an item of a List": {
			files{"b.yaml": "apiVersion: v1\nkind: List\nitems:\n- apiVersion: keys.claviger.dev/v1alpha1\n  kind: KeyLimit\n  metadata: {name: b}\n  spec:\n    rates: []\n"},
			[]string{`b.yaml:7: spec: Invalid value: state rates, quota or concurrency; to turn the limit off, set enabled: false`},
		},
		"in JSON with tabs": {
			files{"b.json": "{\n\t\"apiVersion\": \"keys.claviger.dev/v1alpha1\",\n\t\"kind\": \"KeyLimit\",\n\t\"metadata\": {\"name\": \"b\"},\n\t\"spec\": {\n\t\t\"rates\": [{\"requests\": 1, \"per\": \"1d\"}]\n\t}\n}"},
			[]string{`b.json:6: spec.rates[0].per: Invalid value: "1d": must be from 1s to 744h, in hours, minutes and seconds: 24h is a day`},
		},
		"a reference to nothing": {
			files{"keys/a.yaml": strings.Replace(checkout, "name: standard", "name: generous", 1)},
			[]string{`keys/a.yaml:7: spec.limitRefs[0].name: Not found: "generous"`},
		},
		"a duplicate": {
			files{"z.yaml": checkout},
			[]string{`z.yaml:3: metadata.name: Duplicate value: "ApiKey default/checkout, which keys/a.yaml:1 declares"`},
		},
		"a name that none can have": {
			files{"b.yaml": ours + "kind: Workspace\nmetadata:\n  name: Shop\n"},
			[]string{"b.yaml:4: metadata.name: Invalid value: \"Shop\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"},
		},
		"no name": {
			files{"b.yaml": ours + "kind: Workspace\n"},
			[]string{"b.yaml:1: metadata.name: Required value: name the object"},
		},
		"a kind of ours that there is not": {
			files{"b.yaml": ours + "kind: ApiKeys\nmetadata: {name: b}\n"},
			[]string{`b.yaml:2: kind: Unsupported value: "ApiKeys": supported values: "ApiKey", "KeyLimit", "ServiceAccount", "Workspace"`},
		},
		"a version of ours that there is not": {
			files{"b.yaml": "kind: ApiKey\napiVersion: keys.claviger.dev/v2\n"},
			[]string{`b.yaml:2: apiVersion: Unsupported value: "keys.claviger.dev/v2": supported values: "keys.claviger.dev/v1alpha1"`},
		},
		"no YAML": {
			files{"b.yaml": "a: 1\nb: [\n"},
			[]string{"b.yaml:2: is not YAML: did not find expected node content"},
		},
		"a name twice": {
			files{"b.yaml": "---\na: 1\na: 2\n"},
			[]string{`b.yaml:3: is not YAML: key "a" already set in map`},
		},
		"a document that nothing separates": {
			files{"b.yaml": "a: 1\n...\nb: 1\n"},
			[]string{"b.yaml:2: is not YAML: did not find expected <document start>"},
		},
		"no object": {
			files{"b.yaml": "- a\n"},
			[]string{"b.yaml:1: is not a manifest: it must have apiVersion, kind and metadata"},
		},
		"no text": {
			files{"b.yaml": "a: \xff\n"},
			[]string{"b.yaml: is not in UTF-8: save it as that"},
		},
		"two mistakes in two files": {
			files{"a.yaml": "a: [\n", "b.yaml": "b: [\n"},
			[]string{"a.yaml:1: is not YAML: did not find expected node content", "b.yaml:1: is not YAML: did not find expected node content"},
		},
		"a Secret that holds no key": {
			files{"keys/s.yaml": strings.Replace(checkoutSecret, demoKey, "hunter2", 1)},
			[]string{"keys/s.yaml:5: stringData[api-key]: Invalid value: not an API key: it must read <prefix>_<live|test>_<32 letters and digits>, with nothing around it, no line break either"},
		},
		"a Secret in the place of a key": {
			files{"keys/s.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: checkout}\nstringData: {password: hunter2}\n"},
			[]string{"keys/s.yaml:4: stringData[api-key]: Required value: this Secret has the name of one that a key is delivered to: put the key here, or name the Secret otherwise"},
		},
		"a Secret with a key, and a misspelling": {
			files{"keys/s.yaml": strings.Replace(checkoutSecret, "{name: checkout}", "\n  name: checkout\n  anotations: {}", 1)},
			[]string{"keys/s.yaml:5: metadata.anotations: Forbidden: there is no such field: look for a misspelling or a wrong indentation"},
		},
		"an item that is none": {
			files{"b.yaml": "apiVersion: v1\nkind: List\nitems:\n- a\n"},
			[]string{"b.yaml:4: is not a manifest: it must have apiVersion, kind and metadata"},
		},
		"a key of another environment": {
			files{"keys/a.yaml": checkout + "  environment: test\n", "keys/s.yaml": checkoutSecret},
			[]string{"keys/s.yaml:3: metadata: Forbidden: the key is not one of the environment test, which ApiKey checkout states"},
		},
		"a short hash": {
			files{"keys/s.yaml": strings.Replace(checkoutHash, demoSHA256, "abc", 1)},
			[]string{"keys/s.yaml:6: stringData[sha256]: Invalid value: must be 64 hexadecimal digits, as sha256sum prints them of the key without a line break"},
		},
		"data that is no base64": {
			files{"keys/s.yaml": strings.Replace(checkoutHash, "stringData", "data", 1) + "  other: '*'\n"},
			[]string{"keys/s.yaml:7: data[other]: Invalid value: must be base64; plain text goes under stringData"},
		},
		"the same key twice": {
			files{"keys/h.yaml": checkoutHash, "keys/s.yaml": checkoutSecret},
			[]string{
				"keys/s.yaml:3: metadata: Forbidden: holds the same key as keys/h.yaml:1: each ApiKey has a key of its own",
				"keys/s.yaml:3: metadata: Forbidden: ApiKey checkout has another key of generation 1: remove one, or tell them apart with the annotation keys.claviger.dev/generation",
			},
		},
		"a ttl that counts from nothing": {
			files{"keys/a.yaml": checkout + "  ttl: 24h\n", "keys/h.yaml": checkoutHash},
			[]string{"keys/h.yaml:5: stringData[issued-at]: Required value: ApiKey checkout may live for a time from when its key was issued: say when, such as 2027-01-31T12:00:00Z"},
		},
		"a UID that is none": {
			files{"b.yaml": ours + "kind: Workspace\nmetadata:\n  name: b\n  uid: \"4711\"\n"},
			[]string{`b.yaml:5: metadata.uid: Invalid value: "4711": must be a UUID as Kubernetes gives it: leave it out to have one derived from the name`},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			all := files{"shop.yaml": shop, "keys/a.yaml": checkout}
			for name, text := range test.add {
				all[name] = text
			}
			var got []string
			for _, m := range all.load(t).mistakes {
				got = append(got, m.String())
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(test.want, "\n\t"))
			}
		})
	}
}
