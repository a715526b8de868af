package httpapi_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/httpapi"
)

// A service that verifies keys itself. Here they come from a directory; in a cluster the Source is
// verifier.Cluster{Config: config, Namespace: "claviger-system"}.
func Example() {
	v, err := verifier.New(verifier.Options{Source: verifier.Directory("testdata/example")})
	if err != nil {
		log.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go v.Run(ctx) //nolint:errcheck // it follows changes until the service ends
	if err := v.WaitReady(ctx); err != nil {
		log.Fatal(err)
	}

	guarded := httpapi.Middleware(v, httpapi.MiddlewareOptions{
		Require: func(r *http.Request) httpapi.Requirements {
			if r.Method == http.MethodGet {
				return httpapi.Requirements{Scopes: verifier.Scopes{AllOf: []string{"orders:read"}}}
			}
			return httpapi.Requirements{Scopes: verifier.Scopes{AllOf: []string{"orders:create"}}}
		},
	})
	service := httptest.NewServer(guarded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "orders of %s\n", httpapi.DecisionFrom(r.Context()).Key.Workspace)
	})))
	defer service.Close()

	for _, method := range []string{http.MethodGet, http.MethodPost} {
		request, _ := http.NewRequest(method, service.URL, nil)
		request.Header.Set("X-API-Key", "ak_test_EygfKWdjXzYkSiwRzuElB5mWCo4bhUuR")
		request.Header.Set("X-Request-Id", "1")
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			log.Fatal(err)
		}
		body, _ := io.ReadAll(response.Body)
		response.Body.Close()
		fmt.Print(response.StatusCode, " ", string(body))
	}
	// Output:
	// 200 orders of default/shop
	// 403 {"error":"API key does not have the required scope","code":"SCOPE_INSUFFICIENT","requestId":"1"}
}
