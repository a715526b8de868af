package fakeapi

import (
	"bufio"
	"net/http"
	"reflect"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Real servers send one about every minute.
const bookmarkEvery = 10 * time.Second

// watch is one client that watches one resource.
type watch struct {
	resource *resource
	format   format
	// from is the version after which changes are wanted; 0: from what there is now.
	from uint64
	// initial asks for all there is first, and then a bookmark that says so (KEP-3157).
	initial, bookmarks bool
	end                <-chan time.Time
	out                *bufio.Writer
	flush              func()
}

func (s *Server) watch(w http.ResponseWriter, request *http.Request, to *watch) {
	version, objects := s.snapshot(to.resource)
	if !to.initial && to.from != 0 && to.from < to.resource.since {
		fail(w, http.StatusGone, "too old resource version")
		return
	}
	mediaType := to.format.mediaType()
	if to.format == (protobufFormat{}) {
		mediaType += ";stream=watch"
	}
	w.Header().Set("Content-Type", mediaType)
	w.WriteHeader(http.StatusOK)
	to.out = bufio.NewWriterSize(w, 64<<10)
	to.flush = w.(http.Flusher).Flush
	if to.initial || to.from == 0 {
		to.from = version
		if err := to.begin(objects); err != nil {
			return
		}
	}
	if to.initial {
		if err := to.bookmark(true); err != nil {
			return
		}
	}
	s.follow(request, to)
}

// begin sends all there is.
func (w *watch) begin(objects []object) error {
	for _, o := range objects {
		if err := w.send("ADDED", o.encoded); err != nil {
			return err
		}
	}
	return w.flushed()
}

// follow sends changes until the client has gone or its time is over.
func (s *Server) follow(request *http.Request, to *watch) {
	bookmark := time.NewTicker(bookmarkEvery)
	defer bookmark.Stop()
	for {
		changes, more := s.changesAfter(to)
		for _, c := range changes {
			if err := to.send(c.event, c.encoded); err != nil {
				return
			}
			to.from = c.version
		}
		if err := to.flushed(); err != nil {
			return
		}
		select {
		case <-more:
		case <-bookmark.C:
			if err := to.bookmark(false); err != nil {
				return
			}
		case <-request.Context().Done():
			return
		case <-to.end:
			return
		}
	}
}

// changesAfter are those that the watch has not seen, and a channel that is closed at the next.
func (s *Server) changesAfter(to *watch) ([]change, <-chan struct{}) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	log := to.resource.log
	first := len(log)
	for first > 0 && log[first-1].version > to.from {
		first--
	}
	return log[first:len(log):len(log)], to.resource.watchers
}

func (w *watch) send(event string, encoded []byte) error {
	encoded, err := w.resource.kind.in(w.format, encoded)
	if err != nil {
		return err
	}
	return w.format.event(w.out, event, encoded)
}

// bookmark says up to which version all was sent; the one at the end of the initial events
// says that, too.
func (w *watch) bookmark(endOfInitial bool) error {
	if !w.bookmarks && !endOfInitial {
		return nil
	}
	mark := reflect.New(reflect.TypeOf(w.resource.kind.example).Elem()).Interface().(client.Object)
	mark.SetResourceVersion(versionText(w.from))
	if endOfInitial {
		mark.SetAnnotations(map[string]string{metav1.InitialEventsAnnotationKey: "true"})
	}
	encoded, err := w.format.object(mark)
	if err != nil {
		return err
	}
	if err := w.format.event(w.out, "BOOKMARK", encoded); err != nil {
		return err
	}
	return w.flushed()
}

func (w *watch) flushed() error {
	err := w.out.Flush()
	w.flush()
	return err
}
