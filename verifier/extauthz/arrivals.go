package extauthz

import (
	"context"
	"sync/atomic"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/tap"
)

// arrivals bounds the calls whose message has not come yet. They are no requests so far, and take none
// of the places of those: else whoever opens streams and sends nothing would keep everybody out.
//
// A call that begins when there are too many ends the oldest of them, rather than being refused:
// a message that was sent with its call is there long before as many others begin.
type arrivals struct {
	slots []atomic.Pointer[arrival]
	begun atomic.Uint64
}

// arrival is a call until its message is there. It is the call's context, too, as that is all that grpc
// lets a call be ended by.
type arrival struct {
	context.Context
	cancel context.CancelFunc
	slot   *atomic.Pointer[arrival]
	seen   atomic.Int32 // how often by sweep
}

const (
	// Each takes some 20 KiB.
	fewestArrivals, mostArrivals = 256, 4096
	// A call may wait for its message for between two and three seconds.
	sweepEvery = time.Second
	sweeps     = 3
)

var errNoMessage = status.Error(codes.Canceled, "the message did not come in time")

// newArrivals holds twice as many as are answered at once: if more come at the same time, some are
// shed anyway.
func newArrivals(maxInFlight int64) *arrivals {
	return &arrivals{slots: make([]atomic.Pointer[arrival], min(max(2*maxInFlight, fewestArrivals), mostArrivals))}
}

// begin is called by grpc for each call, before anything is read of its message.
func (a *arrivals) begin(ctx context.Context, _ *tap.Info) (context.Context, error) {
	call := &arrival{slot: &a.slots[a.begun.Add(1)%uint64(len(a.slots))]}
	call.Context, call.cancel = context.WithCancel(ctx)
	if oldest := call.slot.Swap(call); oldest != nil {
		oldest.cancel()
	}
	return call, nil
}

type arrivalKey struct{}

// Value implements context.Context.
func (a *arrival) Value(key any) any {
	if key == (arrivalKey{}) {
		return a
	}
	return a.Context.Value(key)
}

// arrived says that a call's message is there. It is false if the call was ended before.
func arrived(ctx context.Context) bool {
	call, ok := ctx.Value(arrivalKey{}).(*arrival)
	return !ok || call.slot.CompareAndSwap(call, nil)
}

// sweep ends the calls that it has seen too often.
func (a *arrivals) sweep() {
	for i := range a.slots {
		call := a.slots[i].Load()
		if call != nil && call.seen.Add(1) >= sweeps && a.slots[i].CompareAndSwap(call, nil) {
			call.cancel()
		}
	}
}

// follow sweeps until ctx ends.
func (a *arrivals) follow(ctx context.Context) {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			a.sweep()
		}
	}
}
