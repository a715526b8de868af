package adminapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/claviger-dev/claviger/internal/usagefeed"
	"github.com/claviger-dev/claviger/internal/usagestore"
)

// feed answers with the page of what changed after what is asked for.
func feed[Page any](s *Server, read func(ctx context.Context, after int64, now time.Time) (Page, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		after, err := parseAfter(r.URL.RawQuery)
		if err != nil {
			respondError(w, http.StatusBadRequest, err.Error())
			return
		}
		page, err := read(r.Context(), after, s.Now())
		if err != nil {
			if r.Context().Err() == nil {
				s.Log.Error(err, "Usage cannot be read")
			}
			respondError(w, http.StatusServiceUnavailable, "usage cannot be read now; the verifier's log says why")
			return
		}
		respond(w, http.StatusOK, page)
	}
}

// changes also tells until when all is in there, as it was before it was read.
func (s *Server) changes(ctx context.Context, after int64, now time.Time) (usagefeed.Page, error) {
	var until time.Time
	if s.CountedUntil != nil {
		until = s.CountedUntil()
	}
	page, err := s.Usage.Changes(ctx, after, now, s.Period)
	page.CountedUntil = until
	return page, err
}

// inPeriods reads what is told by billing periods.
func inPeriods[Page any](s *Server, read func(ctx context.Context, after int64, now time.Time, period usagestore.PeriodOf) (Page, error)) func(context.Context, int64, time.Time) (Page, error) {
	return func(ctx context.Context, after int64, now time.Time) (Page, error) {
		return read(ctx, after, now, s.Period)
	}
}

// parseAfter reads ?after=; without it the feed is read from its beginning.
func parseAfter(query string) (int64, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return 0, fmt.Errorf("the query cannot be read: write it as ?%s=<number>", usagefeed.After)
	}
	switch after := values[usagefeed.After]; len(after) {
	case 0:
		return 0, nil
	case 1:
		n, err := strconv.ParseInt(after[0], 10, 64)
		if err == nil && n >= 0 {
			return n, nil
		}
		return 0, fmt.Errorf("%s must be a whole number from 0 on: the next of the page before, or 0 to begin", usagefeed.After)
	default:
		return 0, fmt.Errorf("%s may be given once only", usagefeed.After)
	}
}

func respond(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(body) //nolint:errcheck // the client is gone
}

func respondError(w http.ResponseWriter, status int, message string) {
	respond(w, status, map[string]string{"error": message})
}
