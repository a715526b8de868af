// Package crd carries the CRDs inside the program, for those who check objects where no API
// server does.
package crd

import "embed"

// Bases holds the CRDs as generated, under bases/.
//
//go:embed bases/*.yaml
var Bases embed.FS
