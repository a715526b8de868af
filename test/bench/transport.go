package main

import (
	"fmt"
	"time"

	"github.com/claviger-dev/claviger/test/bench/cpu"
	"github.com/claviger-dev/claviger/test/bench/load"
	"github.com/claviger-dev/claviger/test/bench/population"
	"github.com/claviger-dev/claviger/test/bench/report"
	"github.com/claviger-dev/claviger/test/bench/stats"
)

// The figures of a server under load, in this order.
const (
	perSecond = iota // requests answered
	cpuTime          // µs of processor time that the server used for one
)

// saturated measures a server that is asked as fast as it answers.
func (b *bench) saturated(name string, s *server, l *load.Load) stats.Side {
	return b.saturatedFor(b.slice, 0, name, s, l)
}

// What a verifier process does twice a second, and may still be at when nobody asks it any more.
const settling = 700 * time.Millisecond

// saturatedProcess is the same for a server that stores usage from time to time: a slice holds
// several such times, and what is left is done before it is another's turn.
func (b *bench) saturatedProcess(name string, s *server, l *load.Load) stats.Side {
	return b.saturatedFor(8*b.slice, settling, name, s, l)
}

// processRounds are fewer, as a slice of saturatedProcess is long.
func (b *bench) processRounds() int { return max(b.rounds/5, 2) }

func (b *bench) saturatedFor(slice, settle time.Duration, name string, s *server, l *load.Load) stats.Side {
	b.measured = append(b.measured, loaded{name, s, l})
	return stats.Side{Name: name, Measure: func() ([]float64, error) { return saturated(slice, settle, s, l) }}
}

func saturated(slice, settle time.Duration, s *server, l *load.Load) ([]float64, error) {
	before, err := cpu.Used(s.PID())
	if err != nil {
		return nil, err
	}
	count, took, err := l.Saturate(slice)
	if err != nil {
		return nil, err
	}
	time.Sleep(settle)
	after, err := cpu.Used(s.PID())
	if err != nil {
		return nil, err
	}
	used := float64((after - before).Nanoseconds()) / float64(time.Microsecond)
	return []float64{float64(count) / took.Seconds(), used / float64(max(count, 1))}, nil
}

// connect opens one connection.
type connect = func() (load.Peer, error)

// door tells how to connect to one of a server's doors and to ask about records there.
type door func(*server, load.Records) (connect, error)

// side is a server, and what it is asked.
type side struct {
	name    string
	server  *server
	door    door
	records load.Records
}

// sides opens the connections, to be measured in one way or another. Of the keys as many are
// asked for as are hot, at most.
func (b *bench) sides(measured func(string, *server, *load.Load) stats.Side, all ...side) ([]stats.Side, error) {
	var sides []stats.Side
	for _, s := range all {
		connect, err := s.door(s.server, s.records)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		l, err := b.open(connect, s.records, min(s.records.Count(), population.Hot))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		sides = append(sides, measured(s.name, s.server, l))
	}
	return sides, nil
}

// open connects to a server. The connections are closed at the end of the run.
func (b *bench) open(connect connect, records load.Records, hot int) (*load.Load, error) {
	return b.openSome(connections, connect, records, hot)
}

func (b *bench) openSome(connections int, connect connect, records load.Records, hot int) (*load.Load, error) {
	l, err := load.Open(connections, connect, records, hot)
	if err != nil {
		return nil, err
	}
	b.cleanup(l.Close)
	return l, nil
}

// addTransport adds two rows: how many requests are answered, and what one costs the server, each
// against the bare server.
func (b *bench) addTransport(what, metric string, verifier, bare []stats.Sample) {
	row := report.FromSample(what+": requests/s", metric, "ratio", verifier[perSecond].Ratios(bare[perSecond]))
	row.Measured, row.Bare = report.Count(verifier[perSecond].Median())+"/s", report.Count(bare[perSecond].Median())+"/s"
	b.report.Add(row)
	row = report.FromSample(what+": CPU time of the server, bare ÷ verifier", "", "ratio", bare[cpuTime].Ratios(verifier[cpuTime]))
	row.Measured, row.Bare = micros(verifier[cpuTime].Median()), micros(bare[cpuTime].Median())
	b.report.Add(row)
}

// addRatio adds a row of one server's requests a second against another's.
func (b *bench) addRatio(what, metric string, one, other []stats.Sample) {
	row := report.FromSample(what, metric, "ratio", one[perSecond].Ratios(other[perSecond]))
	row.Measured, row.Bare = report.Count(one[perSecond].Median())+"/s", report.Count(other[perSecond].Median())+"/s"
	b.report.Add(row)
}

func micros(value float64) string { return fmt.Sprintf("%.1f µs", value) }
