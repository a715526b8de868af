package main

import (
	"net/netip"
	"unsafe"

	"github.com/claviger-dev/claviger/test/bench/population"
	"github.com/claviger-dev/claviger/verifier"
)

// asker makes requests about some keys.
type asker struct {
	records string
	length  int
	hot     int
	example verifier.Request
	// addresses makes each request come from another address.
	addresses bool
}

// strangersOf makes requests with keys that nobody issued, from many addresses: those who are seen
// to try keys are told to wait, which is less work.
func strangersOf(keys population.Keys, hot int) *asker {
	a := askerOf(keys, hot)
	a.addresses = true
	return a
}

func askerOf(keys population.Keys, hot int) *asker {
	records := keys.Records()
	return &asker{
		records: unsafe.String(&records.Data[0], len(records.Data)), length: records.Length, hot: hot,
		example: verifier.Request{
			Scopes:   verifier.Scopes{AllOf: population.Scopes()},
			ClientIP: netip.MustParseAddr(population.ClientIP),
		},
	}
}

// request is one about the key with a number. Its strings are parts of one long one, as those of a
// request that was just read are parts of a buffer.
func (a *asker) request(number int) verifier.Request {
	record := a.records[number*a.length : (number+1)*a.length]
	r := a.example
	r.Key = record[population.AtKey:population.AtWorkspace]
	r.Workspace = record[population.AtWorkspace:population.AtResource]
	r.Resource = record[population.AtResource:population.AtAddress]
	if a.addresses {
		r.ClientIP = netip.AddrFrom4([4]byte{110, byte(number >> 16), byte(number >> 8), byte(number)})
	}
	return r
}
