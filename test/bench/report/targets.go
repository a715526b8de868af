package report

// target is what design asks of a figure.
type target struct {
	limit, wish float64
	// least: the figure must not be below; else it must not be above.
	least bool
}

// targets are the project's, by metric. They are shown, and nothing fails because of them: how
// fast a machine is today is no bug.
var targets = map[string]target{
	"verify_inprocess_ns":             {limit: 600, wish: 450},
	"verify_inprocess_allocs":         {limit: 0, wish: 0},
	"verify_miss_ratio":               {limit: 1, wish: 1},
	"http_verify_ratio":               {limit: 0.85, wish: 0.92, least: true},
	"forward_auth_ratio":              {limit: 0.85, wish: 0.92, least: true},
	"extauthz_ratio":                  {limit: 1.2, wish: 1.6, least: true},
	"million_keys_forward_auth_ratio": {limit: 0.85, wish: 0.92, least: true},
	"million_keys_verify_ratio":       {limit: 0.85, wish: 0.92, least: true},
	"million_keys_extauthz_ratio":     {limit: 0.85, wish: 0.92, least: true},
	"index_bytes_per_key":             {limit: 160, wish: 110},
	"process_bytes_per_key":           {limit: 1536, wish: 800},
	"revoke_p99_ms":                   {limit: 1000, wish: 250},
	"flood_p99_ratio":                 {limit: 2, wish: 1},
	"limits_leased_ratio":             {limit: 0.8, wish: 0.95, least: true},
	"limits_leased_ratio_of_three":    {limit: 0.8, wish: 0.95, least: true},
	"limits_leased_over_percent":      {limit: 1, wish: 0},
	"limits_strict_over_percent":      {limit: 0, wish: 0},
	"usage_ingest_sqlite_ratio":       {limit: 0.5, wish: 0.8, least: true},
	"usage_ingest_postgres_ratio":     {limit: 0.5, wish: 0.8, least: true},
	"usage_counting_ratio":            {limit: 0.9, wish: 0.95, least: true},
	"usage_summary_p99_ms":            {limit: 50, wish: 10},
	"usage_log_page_p99_ms":           {limit: 150, wish: 50},
}

// bounds writes what is asked of a row, if anything is.
func bounds(row Row) (must, aim string) {
	t, ok := targets[row.Metric]
	if !ok {
		return "", ""
	}
	sign := "≤ "
	if t.least {
		sign = "≥ "
	}
	return sign + figure(t.limit, row.Unit), sign + figure(t.wish, row.Unit)
}

// verdict compares a row with its target.
func verdict(row Row) string {
	t, ok := targets[row.Metric]
	switch {
	case !ok:
		return ""
	case t.met(row.Value, t.wish):
		return "aim met"
	case t.met(row.Value, t.limit):
		return "met"
	}
	return "**not met**"
}

// met allows for the digits that are not shown.
func (t target) met(value, bound float64) bool {
	const unseen = 0.0005
	if t.least {
		return value >= bound-unseen
	}
	return value <= bound+unseen
}
