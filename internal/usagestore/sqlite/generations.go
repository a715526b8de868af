package sqlite

import (
	"context"
	"encoding/json"

	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagefeed"
)

// As with the last use of a key, the newer one is kept, but for one that a wrong clock stamped.
const (
	insertUses = `INSERT INTO key_generations (key_id, generation, last_used_ms) VALUES `
	keepUses   = `
ON CONFLICT (key_id, generation) DO UPDATE SET
    last_used_ms = iif(last_used_ms - excluded.last_used_ms BETWEEN 1 AND ` + leapMillis + `, last_used_ms, excluded.last_used_ms)`
)

func addUses(ctx context.Context, uses *rows, key int64, generations *usage.Generations) error {
	for _, g := range generations {
		if g.Number == 0 {
			break
		}
		if err := uses.add(ctx, key, g.Number, g.UsedAt.UnixMilli()); err != nil {
			return err
		}
	}
	return nil
}

// generationsOfKey are a key's, the newest first, as an array of pairs in JSON.
const generationsOfKey = `(SELECT json_group_array(json_array(generation, last_used_ms)) FROM (
        SELECT generation, last_used_ms FROM key_generations WHERE key_id = keys.id ORDER BY generation DESC))`

func readGenerations(text string) (generations []usagefeed.Generation, err error) {
	var pairs [][2]int64
	if err := json.Unmarshal([]byte(text), &pairs); err != nil {
		return nil, err
	}
	for _, pair := range pairs {
		generations = append(generations, usagefeed.Generation{Number: int(pair[0]), LastUsedAt: fromMillis(pair[1])})
	}
	return generations, nil
}
