package population

import "github.com/claviger-dev/claviger/api/v1alpha1"

// services give keys their names: 8 to 12 characters.
var services = []string{"checkout", "inventory", "storefront", "recommender", "notification"}

// asked are the scopes that every request asks for.
var asked = []v1alpha1.Scope{"orders.items:read", "orders.items:create"}

// Scopes are the scopes that every request asks for, and every key has one way or another.
func Scopes() []string { return []string{string(asked[0]), string(asked[1])} }

// scopeLists are what keys have: a few lists, each by many keys.
var scopeLists = [][]v1alpha1.Scope{
	asked,
	{"orders.items:read", "orders.items:create", "customers:read"},
	{"orders.**"},
	{"orders.**", "customers:read", "invoices:read", "products.catalogue:read"},
	{"orders.items:manage", "products.catalogue:read"},
	{"**"},
}

// ClientIP is where requests come from.
const ClientIP = "10.64.3.7"

// networkLists are where keys may be used from. ClientIP is in all of them.
var networkLists = [][]v1alpha1.CIDR{
	{"10.0.0.0/8"},
	{"192.0.2.0/24", "10.64.0.0/10", "2001:db8::/32"},
	{"10.64.0.0/16", "10.65.0.0/16", "198.51.100.0/24", "203.0.113.0/24", "2001:db8:1::/48"},
	{"0.0.0.0/0", "::/0"},
}

// catalogue is that of every workspace.
var catalogue = func() []v1alpha1.ScopeDefinition {
	var definitions []v1alpha1.ScopeDefinition
	for _, area := range []string{"orders.items", "orders.refunds", "customers", "invoices", "products.catalogue", "reports"} {
		var each []v1alpha1.Scope
		for _, verb := range []string{"read", "create", "update", "delete"} {
			scope := v1alpha1.Scope(area + ":" + verb)
			each = append(each, scope)
			definitions = append(definitions, v1alpha1.ScopeDefinition{Name: scope, Description: verb + " " + area})
		}
		definitions = append(definitions, v1alpha1.ScopeDefinition{Name: v1alpha1.Scope(area + ":manage"), Implies: each})
	}
	return definitions
}()
