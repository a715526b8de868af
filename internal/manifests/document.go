package manifests

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	yamlnode "go.yaml.in/yaml/v3"
	kjson "sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// document is one of the documents of a file.
type document struct {
	origin
	content map[string]any // as JSON is decoded, numbers as int64 or float64
}

// documents reads those of a file. Empty ones are left out.
func documents(f file) (all []document, mistakes Mistakes) {
	if !utf8.Valid(f.text) {
		return nil, Mistakes{{f.name, 0, "is not in UTF-8: save it as that"}}
	}
	expanded := 0
	for _, o := range split(f) {
		content, errs := decode(&o, &expanded)
		mistakes.add(errs...)
		if content != nil && errs == nil {
			all = append(all, document{o, content})
		}
	}
	return all, mistakes
}

// split cuts a file at the lines that begin with ---, as kubectl does. What stands on such a
// line belongs to the document below.
func split(f file) (parts []origin) {
	text := f.text
	if strings.HasSuffix(f.name, ".json") || stdjson.Valid(text) {
		// In JSON a tab can only stand between tokens, and the parser of YAML, which is to find
		// the lines, does not take it.
		return []origin{{file: f.name, line: 1, tree: new(tree), text: bytes.ReplaceAll(text, []byte("\t"), []byte(" "))}}
	}
	part, line := origin{file: f.name, line: 1, tree: new(tree)}, 0
	start := 0
	for at := 0; at < len(text); {
		end := len(text)
		if i := bytes.IndexByte(text[at:], '\n'); i >= 0 {
			end = at + i + 1
		}
		line++
		if separates(text[at:end]) {
			part.text = text[start:at]
			parts = append(parts, part)
			part, start = origin{file: f.name, line: line, tree: new(tree)}, at+len("---")
		}
		at = end
	}
	part.text = text[start:]
	return append(parts, part)
}

func separates(line []byte) bool {
	rest, ok := bytes.CutPrefix(line, []byte("---"))
	return ok && (len(rest) == 0 || bytes.IndexByte([]byte(" \t\r\n"), rest[0]) >= 0)
}

// decode reads a document as the API server does: strictly, and by the rules of YAML 1.1.
// Both are nil where it is empty. What it is with its aliases written out is added to expanded.
func decode(o *origin, expanded *int) (map[string]any, Mistakes) {
	text := o.text
	if !stdjson.Valid(text) {
		err := o.parse(expanded)
		if err == nil {
			text, err = yaml.YAMLToJSONStrict(text)
		}
		if err != nil {
			return nil, o.unreadable(err)
		}
	}
	text = bytes.TrimSpace(text)
	if bytes.Equal(text, []byte("null")) {
		return nil, nil
	}
	if text[0] != '{' {
		return nil, Mistakes{{o.file, o.lineOf(""), "is not a manifest: it must have apiVersion, kind and metadata"}}
	}
	var content map[string]any
	strict, err := kjson.UnmarshalStrict(text, &content)
	for _, fault := range strict {
		return nil, Mistakes{{o.file, o.lineOf(""), masked(fault.Error())}}
	}
	if err != nil {
		return nil, Mistakes{{o.file, o.lineOf(""), "cannot be understood as an object"}}
	}
	return content, nil
}

// maxExpanded bounds a file with its aliases written out, of which a few bytes can make gigabytes.
const maxExpanded = 16 << 20

// parse makes sure that a document can be converted without harm, and that nothing follows its end
// without a --- in between, which would be passed over in silence.
func (o *origin) parse(expanded *int) error {
	decoder := yamlnode.NewDecoder(bytes.NewReader(o.text))
	var node, next yamlnode.Node
	err := decoder.Decode(&node)
	if err == nil {
		e := expansion{sizes: map[*yamlnode.Node]int{}}
		if *expanded += e.size(&node); *expanded > maxExpanded {
			return fmt.Errorf("with its aliases written out the file is larger than %d MiB", maxExpanded>>20)
		}
		if err = decoder.Decode(&next); err == nil {
			return fmt.Errorf("line %d: another document begins here: put a line --- before it", next.Line)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// expansion counts how large nodes are with their aliases written out, each anchor once.
type expansion struct{ sizes map[*yamlnode.Node]int }

// size is at most a little more than maxExpanded. A node within itself counts for nothing: the conversion
// refuses it.
func (e *expansion) size(node *yamlnode.Node) (size int) {
	if node.Kind == yamlnode.AliasNode {
		return e.size(node.Alias)
	}
	if node.Anchor != "" {
		if known, ok := e.sizes[node]; ok {
			return known
		}
		e.sizes[node] = 0
		defer func() { e.sizes[node] = size }()
	}
	size = len(node.Value) + 1
	for _, child := range node.Content {
		if size += e.size(child); size > maxExpanded {
			return maxExpanded + 1
		}
	}
	return size
}

var (
	yamlLine = regexp.MustCompile(`line ([0-9]+): (.*)`)
	// What the parser quotes may be of a Secret; so may the name of an anchor be, where a value begins with * or &.
	quoted = regexp.MustCompile("`[^`]*`|anchor '.*'")
)

// unreadable moves the lines in an error of the YAML parser to where they are in the file.
func (o *origin) unreadable(err error) (mistakes Mistakes) {
	last := max(1, bytes.Count(bytes.TrimRight(o.text, "\n"), []byte("\n"))+1) // the parser may have looked beyond
	for _, text := range strings.Split(err.Error(), "\n") {
		match := yamlLine.FindStringSubmatch(text)
		if match == nil {
			continue
		}
		if n, err := strconv.Atoi(match[1]); err == nil {
			mistakes.add(Mistake{o.file, o.line + min(max(1, n), last) - 1, "is not YAML: " + masked(quoted.ReplaceAllString(match[2], redacted))})
		}
	}
	if mistakes == nil {
		text := strings.TrimPrefix(err.Error(), "error converting YAML to JSON: ")
		mistakes.add(Mistake{o.file, o.line, "is not YAML: " + masked(quoted.ReplaceAllString(strings.TrimPrefix(text, "yaml: "), redacted))})
	}
	return mistakes
}
