package main

import (
	"context"
	_ "embed"
	"errors"
	"math/rand/v2"
	"strconv"

	"github.com/redis/rueidis"
)

//go:embed gcra.lua
var gcraText string

// bareLimits are the limit of whoever asks a server for each request: the smallest script, and the client library that
// verifiers use, by as many connections as there are verifiers.
type bareLimits struct {
	clients []rueidis.Client
	script  *rueidis.Lua
	keys    []string
	rate    []string
}

// connectBare prepares to ask for so many keys, each of which may be asked for so often in a minute.
func (r *redisServer) connectBare(clients, keys int, perMinute int64) (*bareLimits, error) {
	const minute = 60_000_000 // in microseconds
	bare := &bareLimits{script: rueidis.NewLuaScript(gcraText), rate: []string{strconv.FormatInt(minute/perMinute, 10), strconv.Itoa(minute)}}
	for range clients {
		client, err := r.connect()
		if err != nil {
			bare.close()
			return nil, err
		}
		bare.clients = append(bare.clients, client)
	}
	for number := range keys {
		bare.keys = append(bare.keys, "bare:"+strconv.Itoa(number))
	}
	return bare, nil
}

func (l *bareLimits) close() {
	for _, client := range l.clients {
		client.Close()
	}
}

var errRefused = errors.New("a limit refused that is never reached")

// call asks once, for any of the keys.
func (l *bareLimits) call(caller int, random *rand.Rand) error {
	allowed, err := l.ask(caller, random.IntN(len(l.keys)))
	if err == nil && !allowed {
		err = errRefused
	}
	return err
}

func (l *bareLimits) ask(caller, key int) (allowed bool, err error) {
	return l.script.Exec(context.Background(), l.clients[caller%len(l.clients)], l.keys[key:key+1], l.rate).AsBool()
}
