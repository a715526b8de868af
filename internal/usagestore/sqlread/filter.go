package sqlread

import (
	"strconv"
	"strings"

	"github.com/claviger-dev/claviger/internal/usagestore"
)

// builder puts a statement together. What comes from outside is never a part of its text.
type builder struct {
	dialect Dialect
	values  []any
}

// value is the place of a value.
func (b *builder) value(v any) string {
	b.values = append(b.values, v)
	if b.dialect == PostgreSQL {
		return "$" + strconv.Itoa(len(b.values))
	}
	return "?" + strconv.Itoa(len(b.values))
}

// columns are the dimensions' columns in a statement with series as s. The key is told by its row.
var columns = map[usagestore.Dimension]string{
	usagestore.ByWorkspace:      "s.workspace",
	usagestore.ByKey:            "s.key_id",
	usagestore.ByServiceAccount: "s.service_account",
	usagestore.ByEntityKind:     "s.entity_kind",
	usagestore.ByEntity:         "s.entity_id",
	usagestore.ByDepartment:     "s.department",
	usagestore.ByEnvironment:    "s.environment",
	usagestore.ByStatus:         "s.status",
	usagestore.ByError:          "s.error",
	usagestore.ByTier:           "s.tier",
	usagestore.ByDomain:         "s.domain",
	usagestore.ByResource:       "s.resource",
}

// where is the condition of a filter.
func (b *builder) where(f *usagestore.Filter) string {
	conditions := []string{"1 = 1"}
	for _, dimension := range usagestore.Dimensions { // in this order, so that a statement is the same the next time
		wanted, ok := f.Equal[dimension]
		switch {
		case !ok:
		case len(wanted) == 0:
			conditions = append(conditions, "1 = 0")
		case dimension == usagestore.ByKey:
			conditions = append(conditions, "s.key_id IN (SELECT id FROM keys WHERE key IN ("+b.list(wanted)+"))")
		default:
			conditions = append(conditions, columns[dimension]+" IN ("+b.list(wanted)+")")
		}
	}
	if f.DomainContains != "" {
		part := b.value(strings.ToLower(f.DomainContains))
		if b.dialect == PostgreSQL {
			conditions = append(conditions, "position("+part+" IN lower(s.domain)) > 0")
		} else {
			conditions = append(conditions, "instr(lower(s.domain), "+part+") > 0")
		}
	}
	return strings.Join(conditions, " AND ")
}

func (b *builder) list(values []string) string {
	places := make([]string, len(values))
	for i, v := range values {
		places[i] = b.value(v)
	}
	return strings.Join(places, ", ")
}
