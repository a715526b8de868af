package httpapi

import (
	"errors"
	"math/rand/v2"
	"net/http"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// inFlightPerProcessor is how many requests there may be at once for each processor, unless the
// Options say so. A request needs one for some microseconds, so that as many waiting for it are
// far more than it can be behind.
const inFlightPerProcessor = 512

// hurried is how long a body may take once many are waited for: one that was sent with its
// request is there at once.
const hurried = 200 * time.Millisecond

// gate bounds how many requests are in flight. What is above is answered at once: whoever is
// told so can ask elsewhere, whoever waits cannot.
//
// A body that is slow in coming keeps its place meanwhile. So bodies are waited for in a quarter of
// the places only, and but briefly once half of those are taken: whoever sends slowly on purpose can
// have some requests with a body shed, but none without.
type gate struct {
	// Requests on different processors mostly count in different lanes: one counter for all would
	// be the one thing that they wait for each other at.
	lanes []lane
	limit int64 // of each lane
	shed  prometheus.Counter
}

type lane struct {
	inFlight atomic.Int64
	reading  atomic.Int64 // of those, the ones whose body is waited for
	_        [6]int64     // the rest of a line of the processor's cache
}

// fewPerLane is what a lane holds at least, so that chance does not fill one while others are
// empty.
const fewPerLane = 64

func newGate(limit int) *gate {
	if limit <= 0 {
		limit = inFlightPerProcessor * runtime.GOMAXPROCS(0)
	}
	lanes := 1
	for lanes < runtime.GOMAXPROCS(0) && limit/(2*lanes) >= fewPerLane {
		lanes *= 2
	}
	return &gate{
		lanes: make([]lane, lanes),
		limit: int64((limit + lanes - 1) / lanes),
		shed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "claviger_http_requests_shed_total",
			Help: "Requests that were answered 503 OVERLOADED because too many were in flight.",
		}),
	}
}

func (g *gate) register(r prometheus.Registerer) error {
	inFlight := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "claviger_http_requests_in_flight",
		Help: "Requests that are being read or decided.",
	}, func() float64 { return float64(g.inFlight()) })
	return errors.Join(r.Register(g.shed), r.Register(inFlight))
}

func (g *gate) inFlight() (n int64) {
	for i := range g.lanes {
		n += g.lanes[i].inFlight.Load()
	}
	return n
}

// enter counts a request until it leaves the lane, and be it one too many: then it is not ok.
func (g *gate) enter() (l *lane, ok bool) {
	l = &g.lanes[int(rand.Uint32())&(len(g.lanes)-1)]
	return l, l.inFlight.Add(1) <= g.limit
}

func (l *lane) leave() { l.inFlight.Add(-1) }

// admit opens a door, unless too many requests are in flight. Health checks always pass, or a
// verifier that has much to do would be taken for a dead one.
func (h *handler) admit(d *door, x *exchange) {
	if d.early {
		d.open(h, x)
		return
	}
	lane, ok := h.gate.enter()
	defer lane.leave()
	if !ok {
		h.gate.shed.Inc()
		x.overloaded()
		return
	}
	x.gate, x.lane = h.gate, lane
	d.open(h, x)
}

// errOverloaded is for a body that is not waited for, or not any longer.
var errOverloaded = errors.New("too many bodies are waited for")

// awaitBody counts a request whose body is waited for, and be it one too many, until bodyCame.
func (x *exchange) awaitBody() error {
	most := max(x.gate.limit/4, 1)
	switch n := x.lane.reading.Add(1); {
	case n > most:
		return errOverloaded
	case n > most/2:
		http.NewResponseController(x.writer).SetReadDeadline(time.Now().Add(hurried)) //nolint:errcheck // then the server's own holds
	}
	return nil
}

func (x *exchange) bodyCame() { x.lane.reading.Add(-1) }

func (x *exchange) overloaded() {
	x.header.add("Retry-After", "1")
	x.problem(http.StatusServiceUnavailable, "OVERLOADED", "The verifier has too much to do. Please try again.")
}
