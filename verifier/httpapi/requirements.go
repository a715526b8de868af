package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/claviger-dev/claviger/verifier"
	"github.com/claviger-dev/claviger/verifier/internal/presented"
)

// headerRequiredScope adds to the scopes that a route requires. It can only ever add: a client
// that sends it makes its own request harder.
const headerRequiredScope = "X-Claviger-Required-Scope"

var errQuery = malformed("the query cannot be read; write ?scope=a&scope=b")

// readRoute reads what a route requires into the question: from the query, which the gateway's
// configuration writes and the client does not see, and from the header above.
//
// All of the query must be understood: to ignore a misspelt parameter would be to ignore a
// check. And nothing may be there twice where the second could take the place of the first or widen it: a gateway
// that puts a part of the client's path into the query, unescaped, lets the client append to it.
func (q *question) readRoute(query string, header http.Header) error {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if pair == "" {
			continue
		}
		name, value, ok := presented.QueryPair(pair)
		if !ok {
			return errQuery
		}
		if err := q.parameter(name, value); err != nil {
			return err
		}
	}
	for _, value := range header[headerRequiredScope] {
		q.allOf = appendWordsOf(q.allOf, value)
	}
	q.request.Scopes = verifier.Scopes{AllOf: q.allOf, AnyOf: q.anyOf}
	return nil
}

func (q *question) parameter(name, value string) error {
	switch name {
	case "scope":
		q.allOf = append(q.allOf, value)
		return nil
	case "anyScope":
		for more := true; more; {
			var scope string
			scope, value, more = strings.Cut(value, ",")
			q.anyOf = append(q.anyOf, scope)
		}
		return q.once(seenAnyOf, "anyScope")
	case "workspace":
		q.request.Workspace = value
		return q.filled(seenWorkspace, name, value)
	case "resource":
		q.request.Resource = value
		return q.filled(seenResource, name, value)
	case "cost":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil || n < 1 {
			return malformed("cost must be a whole number from 1 on")
		}
		q.request.Cost.Requests = n
		return q.once(seenRequests, "cost")
	}
	return malformed("the query may hold scope, anyScope, workspace, resource and cost, not " + quoteName(name))
}

// filled refuses an empty parameter: it is a variable that the gateway did not set, and would
// lift what was to be required.
func (q *question) filled(field uint32, name, value string) error {
	if value == "" {
		return malformed(name + " is empty; leave it out where nothing is required")
	}
	return q.once(field, name)
}

// appendWordsOf appends the words of a header, between commas or spaces.
func appendWordsOf(list []string, value string) []string {
	for value != "" {
		end := strings.IndexAny(value, ", \t")
		if end < 0 {
			end = len(value)
		}
		if end > 0 {
			list = append(list, value[:end])
		}
		value = value[min(end+1, len(value)):]
	}
	return list
}
