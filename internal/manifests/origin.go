package manifests

import (
	"bytes"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// origin is where an object was read from.
type origin struct {
	file string
	line int    // of the document's first line, from 1
	text []byte // of the document
	at   string // the object's path in the document: empty, or such as items[3]
	tree *tree  // of the document, shared by all objects in it
}

// tree is a document as a tree that knows its lines. It is only made when somebody asks, which in
// a directory without mistakes nobody does, and only once, however many do.
type tree struct {
	root   *yaml.Node // nil: it has none
	parsed bool
}

func (t *tree) of(text []byte) *yaml.Node {
	if !t.parsed {
		t.parsed = true
		var document yaml.Node
		if yaml.NewDecoder(bytes.NewReader(text)).Decode(&document) == nil && len(document.Content) > 0 {
			t.root = document.Content[0]
		}
	}
	return t.root
}

// mistake makes one of a fault in a field.
func (o *origin) mistake(err *field.Error) Mistake {
	return Mistake{o.file, o.lineOf(err.Field), masked(err.Error())}
}

func (o *origin) mistakes(errs field.ErrorList) (all Mistakes) {
	for _, err := range errs {
		all.add(o.mistake(err))
	}
	return all
}

// place is for messages about another object.
func (o *origin) place() string { return Mistake{File: o.file, Line: o.lineOf("")}.where() }

func (m Mistake) where() string { return m.File + ":" + strconv.Itoa(m.Line) }

// lineOf finds the line of a field, or of the innermost one around it that is there.
func (o *origin) lineOf(path string) int {
	root := o.tree.of(o.text)
	if root == nil {
		return o.line
	}
	path = strings.TrimSuffix(o.at+"."+path, ".")
	return o.line + max(1, find(root, root.Line, path)) - 1
}

// find follows a path from a node and returns the line at which it ends. The path is as
// k8s.io/apimachinery writes it: names with dots in them may stand in brackets or not, so each
// key is tried for being next. Every step uses up some of the path.
func find(node *yaml.Node, line int, path string) int {
	for node.Kind == yaml.AliasNode {
		node = node.Alias
	}
	path = strings.TrimPrefix(path, ".")
	if path == "" {
		return line
	}
	switch node.Kind {
	case yaml.MappingNode:
		var key, value *yaml.Node
		var rest string
		for i := 0; i+1 < len(node.Content); i += 2 {
			candidate := node.Content[i]
			after, ok := follow(path, candidate.Value)
			if ok && (key == nil || len(candidate.Value) > len(key.Value)) {
				key, value, rest = candidate, node.Content[i+1], after
			}
		}
		if key != nil {
			return find(value, key.Line, rest)
		}
	case yaml.SequenceNode:
		number, rest, _ := strings.Cut(strings.TrimPrefix(path, "["), "]")
		if n, err := strconv.Atoi(number); err == nil && n >= 0 && n < len(node.Content) {
			return find(node.Content[n], node.Content[n].Line, rest)
		}
	}
	return line
}

// follow says whether a path goes on with a key, and what is left of it then.
func follow(path, key string) (rest string, ok bool) {
	if key == "" {
		return "", false
	}
	if rest, ok = strings.CutPrefix(path, "["+key+"]"); ok {
		return rest, true
	}
	rest, ok = strings.CutPrefix(path, key)
	return rest, ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
