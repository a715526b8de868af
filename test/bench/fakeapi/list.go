package fakeapi

import (
	"bytes"
	"fmt"
	"net/http"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// serve answers lists and watches of one resource. A list is always whole, and of now: a
// client may ask for pages, and a server need not make them.
func (s *Server) serve(r *resource) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		query := request.URL.Query()
		f := r.kind.negotiate(request.Header.Get("Accept"))
		if watching, _ := strconv.ParseBool(query.Get("watch")); !watching {
			s.list(w, r, f)
			return
		}
		from, _ := strconv.ParseUint(query.Get("resourceVersion"), 10, 64)
		initial, _ := strconv.ParseBool(query.Get("sendInitialEvents"))
		bookmarks, _ := strconv.ParseBool(query.Get("allowWatchBookmarks"))
		timeout, _ := strconv.Atoi(query.Get("timeoutSeconds"))
		if timeout <= 0 {
			timeout = 30 * 60
		}
		s.watch(w, request, &watch{
			resource: r, format: f, from: from, initial: initial, bookmarks: bookmarks,
			end: time.After(time.Duration(timeout) * time.Second),
		})
	})
}

func (s *Server) list(w http.ResponseWriter, r *resource, f format) {
	version, objects := s.snapshot(r)
	items := make([][]byte, len(objects))
	for i, o := range objects {
		var err error
		if items[i], err = r.kind.in(f, o.encoded); err != nil {
			fail(w, http.StatusInternalServerError, err.Error())
			return
		}
	}
	encoded, err := r.kind.list(version, items, f)
	if err != nil {
		fail(w, http.StatusInternalServerError, err.Error())
		return
	}
	w.Header().Set("Content-Type", f.mediaType())
	w.Write(encoded) //nolint:errcheck // the client notices
}

// snapshot is a resource at one moment.
func (s *Server) snapshot(r *resource) (version uint64, objects []object) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.version, append([]object(nil), r.objects...)
}

// protobufList is only for Secrets: nothing else is to be had in protobuf.
func (k kind) protobufList(version uint64, items [][]byte) ([]byte, error) {
	list := &corev1.SecretList{ListMeta: metav1.ListMeta{ResourceVersion: versionText(version)}}
	list.SetGroupVersionKind(k.version.WithKind(k.kind + "List"))
	for _, item := range items {
		o, err := decode(protobufSerializer, item)
		if err != nil {
			return nil, err
		}
		list.Items = append(list.Items, *o.(*corev1.Secret))
	}
	var encoded bytes.Buffer
	err := protobufSerializer.Encode(list, &encoded)
	return encoded.Bytes(), err
}

// fail answers with a Status, as API servers do.
func fail(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":%q,"code":%d,"reason":%q}`,
		message, code, map[int]string{http.StatusGone: string(metav1.StatusReasonExpired)}[code])
}
