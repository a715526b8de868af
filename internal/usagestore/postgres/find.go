package postgres

import (
	"bytes"
	"context"
	"slices"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usage"
	"github.com/claviger-dev/claviger/internal/usagestore/grouping"
)

// settle finds out which reports are new. One that waited for the database longer than such marks are kept is marked as
// of now: the mark would be gone before another verifier stores the same report, which waited as long.
func (a *addition) settle(ctx context.Context, b *usage.Batch) (*usage.Rollup, []usage.Line, error) {
	if len(b.Reports) == 0 {
		return b.Rollup, b.Lines, nil
	}
	type name struct {
		key     keyid.ID
		request grouping.Hash
	}
	first := map[name]int{} // of several in the batch
	for i := range b.Reports {
		n := name{b.Reports[i].Key, grouping.RequestHash(b.Reports[i].RequestID)}
		if _, ok := first[n]; !ok {
			first[n] = i
		}
	}
	names := make([]name, 0, len(first))
	for n := range first {
		names = append(names, n)
	}
	slices.SortFunc(names, func(a, b name) int {
		if order := bytes.Compare(a.key[:], b.key[:]); order != 0 {
			return order
		}
		return bytes.Compare(a.request[:], b.request[:])
	})
	keys, requests, times := make([][]byte, len(names)), make([][]byte, len(names)), make([]int64, len(names))
	now := a.store.now().Unix()
	for i := range names {
		keys[i], requests[i], times[i] = names[i].key[:], names[i].request[:], max(b.Reports[first[names[i]]].At.Unix(), now)
	}
	rows, err := a.Query(ctx, `INSERT INTO reports (key, request, at_s)
SELECT * FROM unnest($1::bytea[], $2::bytea[], $3::bigint[])
ON CONFLICT DO NOTHING RETURNING key, request`, keys, requests, times)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	news := map[int]bool{}
	for rows.Next() {
		var key, request []byte
		if err := rows.Scan(&key, &request); err != nil {
			return nil, nil, err
		}
		news[first[name{keyid.ID(key), grouping.Hash(request)}]] = true
	}
	rollup, lines := b.Settle(func(i int) bool { return news[i] })
	return rollup, lines, rows.Err()
}

// findKeys finds the rows of keys, and makes those that are missing.
func (a *addition) findKeys(ctx context.Context, keys []*grouping.Key) error {
	names, workspaces := make([]string, len(keys)), map[string]string{}
	for i, k := range keys {
		names[i] = k.ID.String()
		workspaces[names[i]] = k.Last.Workspace
	}
	var unknown []string
	if a.keys, unknown = a.store.keys.split(a.in, names); len(unknown) == 0 {
		return nil
	}
	slices.Sort(unknown)
	of := make([]string, len(unknown))
	for i, name := range unknown {
		of[i] = workspaces[name]
	}
	if _, err := a.Exec(ctx, "INSERT INTO keys (key, workspace) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING", unknown, of); err != nil {
		return err
	}
	return find(ctx, a, "SELECT key, id FROM keys WHERE key = ANY($1::text[])", unknown,
		func(name []byte, row int64) { a.keys[string(name)] = row })
}

// findSeries finds the rows of series likewise.
func (a *addition) findSeries(ctx context.Context, slots []grouping.Slot) error {
	all := make(map[[16]byte]*usage.Series, len(slots))
	names := make([][16]byte, 0, len(slots))
	for i := range slots {
		hash := grouping.HashOf(slots[i].Series)
		if all[hash] == nil {
			names = append(names, hash)
			all[hash] = slots[i].Series
		}
	}
	var unknown [][16]byte
	if a.series, unknown = a.store.series.split(a.in, names); len(unknown) == 0 {
		return nil
	}
	slices.SortFunc(unknown, func(a, b [16]byte) int { return bytes.Compare(a[:], b[:]) })
	hashes, keys, texts := make([][]byte, len(unknown)), make([]int64, len(unknown)), make([][]string, 11)
	for i := range unknown {
		series := all[unknown[i]]
		hashes[i], keys[i] = unknown[i][:], a.keys[series.Key.String()]
		for column, text := range grouping.Texts(series) {
			texts[column] = append(texts[column], text)
		}
	}
	values := []any{hashes, keys}
	for _, column := range texts {
		values = append(values, column)
	}
	_, err := a.Exec(ctx, `INSERT INTO series (hash, key_id, `+grouping.Columns+`)
SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[],
    $10::text[], $11::text[], $12::text[], $13::text[]) ON CONFLICT (hash) DO NOTHING`, values...)
	if err != nil {
		return err
	}
	return find(ctx, a, "SELECT hash, id FROM series WHERE hash = ANY($1::bytea[])", hashes,
		func(hash []byte, row int64) { a.series[grouping.Hash(hash)] = row })
}

// find hands over the rows of names.
func find(ctx context.Context, a *addition, query string, names any, take func(name []byte, row int64)) error {
	rows, err := a.Query(ctx, query, names)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name []byte
		var id int64
		if err := rows.Scan(&name, &id); err != nil {
			return err
		}
		take(name, id)
	}
	return rows.Err()
}
