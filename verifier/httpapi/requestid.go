package httpapi

import (
	"context"
	"net/http"

	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

const headerRequestID = "X-Request-Id"

type requestIDKey struct{}

// identified gives every request an ID: the one it came with, if that may be repeated, or a
// new one. It is in every answer, none of which may be kept by a cache.
func identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := presented.RequestID(r.Header.Get(headerRequestID))
		w.Header().Set(headerRequestID, id)
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

func requestID(r *http.Request) string {
	id, _ := r.Context().Value(requestIDKey{}).(string)
	return id
}
