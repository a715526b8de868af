package extauthz

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"google.golang.org/grpc/mem"
)

// Exchanges are used again: what one leaves there the next could find.
func TestNoKeyOutlivesItsRequest(t *testing.T) {
	f := unserved(t, func(o *Options) { o.QueryKey = "api_key" })
	r := request([]string{"x-api-key: " + f.key, "authorization: Bearer " + f.key, "x-workspace-id: tenant/shop"}, "scope: read")
	r.Attributes.Request.Http.Path = "/?api_key=" + f.key
	x := &exchange{}
	if err := x.receive(mem.BufferSlice{mem.SliceBuffer(marshal(t, r))}); err != nil {
		t.Fatal(err)
	}
	f.answer(context.Background(), x)
	if x.status != 200 || !strings.Contains(all(x), f.key) {
		t.Fatalf("the key is not where it was expected: %d", x.status)
	}
	x.forget()
	if left := all(x); strings.Contains(left, f.key) || strings.Contains(left, "tenant") {
		t.Errorf("there is left %s", left)
	}
}

// all is whatever an exchange holds, with what its lists hold beyond their ends.
func all(x *exchange) string {
	text := fmt.Sprintf("%+v %+v %s %s %s", x.question, x.decision, x.key.Text, x.in.ID, x.in.Path)
	for _, list := range append(x.values[:], x.allOf, x.anyOf) {
		text += fmt.Sprint(list[:cap(list)])
	}
	return text
}
