package postgres

import (
	"context"
	"time"

	"github.com/claviger-dev/claviger/internal/keyid"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// Sum implements usagestore.Reader.
func (s *Store) Sum(ctx context.Context, q *usagestore.Query) ([]usagestore.Row, error) {
	if err := s.ready(ctx); err != nil {
		return nil, err
	}
	return s.reader.Sum(ctx, q)
}

// Log implements usagestore.Reader.
func (s *Store) Log(ctx context.Context, q *usagestore.LogQuery) (usagestore.LogPage, error) {
	if err := s.ready(ctx); err != nil {
		return usagestore.LogPage{}, err
	}
	return s.reader.Log(ctx, q)
}

// EachLine implements usagestore.Reader.
func (s *Store) EachLine(ctx context.Context, from, to time.Time, f *usagestore.Filter, take func(*usagestore.Line) error) error {
	if err := s.ready(ctx); err != nil {
		return err
	}
	return s.reader.EachLine(ctx, from, to, f, take)
}

// Owner implements usagestore.Reader.
func (s *Store) Owner(ctx context.Context, key keyid.ID) (workspace string, found bool, err error) {
	if err := s.ready(ctx); err != nil {
		return "", false, err
	}
	return s.reader.Owner(ctx, key)
}
