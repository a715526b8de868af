package httpapi

import (
	"context"
	"crypto/rand"
	"net/http"
)

const (
	headerRequestID    = "X-Request-Id"
	maxRequestIDLength = 128
)

type requestIDKey struct{}

// identified gives every request an ID: the one it came with, if that may be repeated, or a
// new one. It is in every answer, none of which may be kept by a cache.
func identified(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get(headerRequestID)
		if !validRequestID(id) {
			id = rand.Text()
		}
		w.Header().Set(headerRequestID, id)
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), requestIDKey{}, id)))
	})
}

func requestID(r *http.Request) string {
	id, _ := r.Context().Value(requestIDKey{}).(string)
	return id
}

// validRequestID accepts what can stand in a header, in JSON and in a log as it is. A key that
// somebody sent here by mistake cannot: it would be repeated in all of them.
func validRequestID(id string) bool {
	if id == "" || len(id) > maxRequestIDLength || looksLikeKey(id) {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '_' || c == '-') {
			return false
		}
	}
	return true
}
