package main

import (
	"context"
	"math"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/go-logr/logr"
)

// boundMemory has the garbage collector stay below nine tenths of what the container may use,
// so that it works harder before the kernel ends the process. The limit may change while it runs.
// GOMEMLIMIT in the environment has precedence. (GOMAXPROCS the Go runtime takes from the
// container's CPU limit by itself.)
func boundMemory(ctx context.Context, log logr.Logger) {
	limit, err := memlimit.Set(memlimit.WithRefreshInterval(ctx, time.Minute))
	switch {
	case err != nil:
		log.Info("The container's memory limit cannot be read; if there is one, set GOMEMLIMIT to nine tenths of it", "reason", err.Error())
	case limit < math.MaxInt64:
		log.Info("Memory is bounded", "bytes", limit)
	}
}
