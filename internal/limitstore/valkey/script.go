package valkey

import (
	_ "embed"
	"strings"
)

// scriptText is the one script by which everything is counted: what is called, how each kind is counted, and what
// is done with it in one call.
var scriptText = strings.Join([]string{callText, spanText, tokensText, countedText, heldText, requestText}, "\n")

var (
	//go:embed script/call.lua
	callText string
	//go:embed script/span.lua
	spanText string
	//go:embed script/tokens.lua
	tokensText string
	//go:embed script/counted.lua
	countedText string
	//go:embed script/held.lua
	heldText string
	//go:embed script/request.lua
	requestText string
)
