package extauthz

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/claviger-dev/claviger/verifier/extauthz/internal/wire"
)

var (
	errUnknownExtension = errors.New("context_extensions may hold scope, anyScope, resource, workspace, cost, tier and domain, and nothing else")
	errCost             = errors.New("the context extension cost must be a whole number from 1 on")
)

// readExtensions reads what a route requires. It is in the configuration of Envoy, which the
// client does not see. All of it must be understood: to ignore a misspelt name would be to
// ignore a check. And nothing may be empty, as a variable that was not set would lift what was
// to be required.
func (x *exchange) readExtensions() error {
	q := &x.question
	for i := range x.in.Extensions {
		e := &x.in.Extensions[i]
		value := string(e.Value)
		if strings.Trim(value, separators) == "" {
			return emptyExtension(e)
		}
		switch string(e.Name) {
		case "scope":
			x.allOf = appendWords(x.allOf[:0], value)
		case "anyScope":
			x.anyOf = appendWords(x.anyOf[:0], value)
		case "resource":
			q.Resource = value
		case "workspace":
			q.Workspace = value
		case "cost":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil || n < 1 {
				return errCost
			}
			q.Cost.Requests = n
		case "tier":
			q.Labels.Tier = value
		case "domain":
			q.Labels.Domain = value
		default:
			return errUnknownExtension
		}
	}
	return nil
}

func emptyExtension(e *wire.Pair) error {
	const longest = 32
	if len(e.Name) > longest {
		return errUnknownExtension
	}
	return fmt.Errorf("the context extension %q is empty; leave it out where nothing is required", e.Name)
}

// separators stand between words.
const separators = ", \t\r\n"

// appendWords appends the words of a text.
func appendWords(list []string, text string) []string {
	for text != "" {
		end := strings.IndexAny(text, separators)
		if end < 0 {
			end = len(text)
		}
		if end > 0 {
			list = append(list, text[:end])
		}
		text = text[min(end+1, len(text)):]
	}
	return list
}
