package keyindex

import (
	"k8s.io/apimachinery/pkg/types"

	"github.com/claviger-dev/claviger/internal/limit"
)

// peek returns a subject's buckets of a limit.
func (x *Index) peek(id, subject types.UID) []*limit.Bucket {
	var buckets []*limit.Bucket
	for _, attached := range x.buckets.Attach(id, subject) {
		buckets = append(buckets, attached.Bucket)
	}
	return buckets
}

// size counts what is kept, to find what is never let go.
func (x *Index) size() [8]int {
	entries := 0
	x.entries.Range(func(any, any) bool { entries++; return true })
	return [8]int{entries, len(x.keys), len(x.byUID), len(x.workspaces), len(x.accounts), len(x.limits), len(x.credentials), len(x.claims)}
}
