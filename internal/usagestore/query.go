package usagestore

import (
	"errors"
	"time"

	"github.com/claviger-dev/claviger/internal/usage"
)

// Dimension is what usage can be told apart by.
type Dimension string

// The dimensions.
const (
	ByWorkspace      Dimension = "workspace"
	ByKey            Dimension = "key"
	ByServiceAccount Dimension = "serviceAccount"
	ByEntityKind     Dimension = "entityKind"
	ByEntity         Dimension = "entity" // its ID
	ByDepartment     Dimension = "department"
	ByEnvironment    Dimension = "environment"
	ByStatus         Dimension = "status"
	ByError          Dimension = "error"
	ByTier           Dimension = "tier"
	ByDomain         Dimension = "domain"
	ByResource       Dimension = "resource"
)

// Dimensions are all of them.
var Dimensions = []Dimension{
	ByWorkspace, ByKey, ByServiceAccount, ByEntityKind, ByEntity, ByDepartment, ByEnvironment,
	ByStatus, ByError, ByTier, ByDomain, ByResource,
}

// Filter selects what has certain values of dimensions. An empty one selects everything, of all workspaces.
type Filter struct {
	// Equal are the values that are asked for, of each dimension one of them; an empty list selects nothing.
	Equal map[Dimension][]string
	// DomainContains is a part of the domain, in whatever case; empty: any domain.
	DomainContains string
}

// Bucket is how usage is cut along time.
type Bucket string

// The buckets; in all but the first a Query's zone says when they begin. A week begins on Monday.
const (
	ByMinute Bucket = "minute" // out of the request log, and so of what is in it
	ByHour   Bucket = "hour"
	ByDay    Bucket = "day"
	ByWeek   Bucket = "week"
	ByMonth  Bucket = "month"
)

// MaxRows are as many as an answer may have unless a Query says otherwise: some tens of megabytes.
const MaxRows = 100_000

// ErrTooManyRows is what a Query comes to that would have more rows than it may.
var ErrTooManyRows = errors.New("the answer would have too many rows: ask about fewer dimensions, a shorter time, or with a filter")

// Query is a question about sums.
type Query struct {
	// From and To are whole hours of UTC, or quarters of one where the workspace's local days begin
	// with one: From <= t < To. ByMinute they may be any.
	From, To time.Time
	Filter
	By []Dimension
	// Every cuts the range; empty: it is not cut.
	Every Bucket
	// Zone is for Every; nil: UTC.
	Zone *time.Location
	// HoursSince is since when hours are kept; zero: all are. Before it From and To must be midnights of UTC, and
	// buckets begin as Cut says.
	HoursSince time.Time
	// Most is how many rows there may be; 0: MaxRows.
	Most int
}

// Row is one answer.
type Row struct {
	// Start is when the bucket begins, as Starts has it, and be it before From; zero where the range is not cut.
	Start time.Time
	// Values are of the query's By, in its order.
	Values []string
	usage.Totals
}

// LogQuery is a question about the request log.
type LogQuery struct {
	From, To time.Time
	Filter
	Page, PageSize int // from 1
}

// LogPage is one answer.
type LogPage struct {
	Lines []Line
	Total int64 // on all pages
}

// Line is an event in the request log.
type Line struct {
	At        time.Time
	RequestID string
	Key       string // its ID
	usage.Attribution
	usage.Details
	HTTPStatus      int
	SpendMicrocents int64
	Latency         time.Duration
	Bytes           int64
}
