package policy

import (
	"net/http"
	"net/netip"
	"testing"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/network"
	"github.com/claviger-dev/claviger/internal/scope"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func valid() *Record {
	return &Record{
		Key: Key{ID: keyid.Derive("k"), ExpiresAt: now.Add(time.Hour)},
		Class: &Class{
			Workspace: "shop", WorkspaceID: "default/shop", Account: "robot",
			Scopes:   scope.NewSet([]string{"orders:read", "stock.**"}),
			Grants:   scope.CompileGrants([]scope.Grant{{Resource: "shelf/7", Scopes: []string{"stock.items:read"}}, {Resource: "safe/*"}}, nil, []string{"orders:read"}, nil, scope.Catalogue{}),
			Networks: network.New([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")}),
		},
		Workspace: &Workspace{},
		Account:   &Account{},
	}
}

func TestCheck(t *testing.T) {
	from := netip.MustParseAddr("10.1.2.3")
	tests := map[string]struct {
		spoil   func(*Record)
		request Request
		want    Code
	}{
		"a good key without any question":           {nil, Request{ClientIP: from}, CodeValid},
		"a good key for all it was asked":           {nil, Request{ClientIP: from, Workspace: "default/shop", AllOf: []string{"orders:read", "stock.items:write"}, AnyOf: []string{"nope", "orders:read"}}, CodeValid},
		"the same name in another namespace":        {nil, Request{ClientIP: from, Workspace: "other/shop"}, CodeWorkspaceMismatch},
		"a scope that a grant has":                  {nil, Request{ClientIP: from, Resource: "shelf/7", AllOf: []string{"stock.items:read"}}, CodeValid},
		"a scope that a grant took away":            {nil, Request{ClientIP: from, Resource: "shelf/7", AllOf: []string{"orders:read"}}, CodeScopeInsufficient},
		"a resource without a grant":                {nil, Request{ClientIP: from, Resource: "shelf/8", AllOf: []string{"orders:read"}}, CodeValid},
		"a resource with nothing granted":           {nil, Request{ClientIP: from, Resource: "safe/1"}, CodeResourceDenied},
		"one scope of all missing":                  {nil, Request{ClientIP: from, AllOf: []string{"orders:read", "orders:write"}}, CodeScopeInsufficient},
		"none of any":                               {nil, Request{ClientIP: from, AnyOf: []string{"a", "b"}}, CodeScopeInsufficient},
		"a deleted workspace":                       {func(r *Record) { r.Workspace = nil }, Request{ClientIP: from}, CodeKeyInvalid},
		"a deleted account":                         {func(r *Record) { r.Account = nil }, Request{ClientIP: from}, CodeKeyInvalid},
		"a key that acts for no account":            {func(r *Record) { r.Account, r.Class.Account = nil, "" }, Request{ClientIP: from}, CodeValid},
		"a deleted key":                             {func(r *Record) { r.Class = nil }, Request{ClientIP: from}, CodeKeyInvalid},
		"a revoked key":                             {func(r *Record) { r.Key.State = Revoked }, Request{ClientIP: from}, CodeKeyRevoked},
		"an unheard-of state is as good as revoked": {func(r *Record) { r.Key.State = 77 }, Request{ClientIP: from}, CodeKeyRevoked},
		"a disabled key":                            {func(r *Record) { r.Key.State = Disabled }, Request{ClientIP: from}, CodeKeyDisabled},
		"a suspended workspace":                     {func(r *Record) { r.Workspace.Suspended = true }, Request{ClientIP: from}, CodeWorkspaceSuspended},
		"a suspended account":                       {func(r *Record) { r.Account.Suspended = true }, Request{ClientIP: from}, CodeAccountSuspended},
		"a key whose time is over":                  {func(r *Record) { r.Key.ExpiresAt = now.Add(-time.Nanosecond) }, Request{ClientIP: from}, CodeKeyExpired},
		"the very moment it ends":                   {func(r *Record) { r.Key.ExpiresAt = now }, Request{ClientIP: from}, CodeKeyExpired},
		"a key without an end":                      {func(r *Record) { r.Key.ExpiresAt = time.Time{} }, Request{ClientIP: from}, CodeValid},
		"an address outside the networks":           {nil, Request{ClientIP: netip.MustParseAddr("192.0.2.1")}, CodeAddressDenied},
		"an address nobody knows":                   {nil, Request{}, CodeAddressDenied},
		"an IPv4 address written as IPv6":           {nil, Request{ClientIP: netip.MustParseAddr("::ffff:10.1.2.3")}, CodeValid},
		"an IPv6 address within":                    {nil, Request{ClientIP: netip.MustParseAddr("2001:db8::1")}, CodeValid},
		"another tenant learns nothing of a state":  {func(r *Record) { r.Key.State = Revoked }, Request{ClientIP: from, Workspace: "other/x"}, CodeWorkspaceMismatch},
		"revoked is told before expired":            {func(r *Record) { r.Key.State, r.Key.ExpiresAt = Revoked, now }, Request{ClientIP: from}, CodeKeyRevoked},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			record := valid()
			if test.spoil != nil {
				test.spoil(record)
			}
			if got := Check(&test.request, record, now); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
	if got := Check(&Request{}, nil, now); got != CodeKeyInvalid {
		t.Errorf("an unknown key: %s", got)
	}
}

func TestExpiresAtIsTheEarliestEnd(t *testing.T) {
	at := func(h int) *time.Time { t := now.Add(time.Duration(h) * time.Hour); return &t }
	tests := map[string]struct {
		explicit *time.Time
		ttl      time.Duration
		approved *time.Time
		want     time.Time
	}{
		"no end at all":                         {nil, 0, nil, time.Time{}},
		"an explicit end":                       {at(3), 0, nil, *at(3)},
		"a time to live from the issue":         {nil, 2 * time.Hour, nil, *at(2)},
		"the approved end holds though removed": {nil, 0, at(1), *at(1)},
		"a later end waits for approval":        {at(9), 0, at(1), *at(1)},
		"an earlier end holds at once":          {at(1), 0, at(9), *at(1)},
		"the zero time is an end, and not none": {&time.Time{}, 0, nil, time.Unix(0, 0).UTC()},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := ExpiresAt(test.explicit, test.ttl, now, test.approved); !got.Equal(test.want) {
				t.Errorf("got %v, want %v", got, test.want)
			}
		})
	}
}

func TestEveryRefusalTellsTheClientWhat(t *testing.T) {
	for _, code := range Codes() {
		if code == CodeValid {
			continue
		}
		if http.StatusText(code.Status()) == "" || code.Status() < 400 {
			t.Errorf("%s has status %d", code, code.Status())
		}
		if code.Message() == "" {
			t.Errorf("%s has no text", code)
		}
		if code.Status() == 401 && code != CodeKeyRequired && code.Challenge() != "invalid_token" {
			t.Errorf("%s: RFC 6750 wants invalid_token with 401", code)
		}
	}
}

func TestOtherTenantsKeysLookLikeUnknownOnes(t *testing.T) {
	mismatch, unknown := CodeWorkspaceMismatch, CodeKeyInvalid
	if mismatch.Public() != unknown.Public() || mismatch.Status() != unknown.Status() ||
		mismatch.Message() != unknown.Message() || mismatch.Challenge() != unknown.Challenge() {
		t.Error("a key of another tenant can be told from an unknown one")
	}
}
